"""The rules of a director, and the packets that passed it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analyzer.arrays import is_one_of
from analyzer.evidence.held import to_services_held
from analyzer.ipvs.port_reuse import uses_old_conntrack
from analyzer.ipvs.states import Timeouts
from analyzer.parts import by_stretches
from analyzer.predicted.replay import DirectorRules
from analyzer.wire.packets import NO_MAC
from analyzer.wire.segments import Segments, arrives, passed

if TYPE_CHECKING:
    import numpy.typing as npt

    from analyzer.evidence.evidence import Evidence
    from analyzer.recording.director import Director

    Bools = npt.NDArray[np.bool_]

SECURE_TCP_ALWAYS = 3


def rules_of(director: Director, evidence: Evidence) -> DirectorRules:
    """What the director's replay depends on, as it was reported; its timeouts: ``in_force``."""
    sees_replies = evidence.forwarding == "nat"
    return DirectorRules(
        sees_replies=sees_replies,
        timeouts=director.timeouts or Timeouts(),
        hz=director.hz,
        phase_s=director.phase_s,
        conn_reuse_mode=director.conn_reuse_mode,
        old_conntrack=uses_old_conntrack(conntrack=director.conntrack, sees_replies=sees_replies),
        secure_tcp=director.secure_tcp >= SECURE_TCP_ALWAYS,
    )


def segments_passed(director: Director, evidence: Evidence, segments: Segments) -> Bools:
    """Which segments passed this director, each once.

    Where the link does not show which host took the segments to the VIP (no MACs; on a client, all
    of its interfaces), all of them passed the only director. Those of a service that it lacks did
    not pass through IPVS.
    """
    passing = _passed(director, evidence, segments)
    if len(evidence.sent_to) < 2:  # the one that it lacks is a matter of its own: measure
        return passing
    held = to_services_held(director, evidence, segments)
    size = len(segments.flow)
    return by_stretches(segments.store, size, lambda rows: passing[rows] & held[rows])


def _passed(director: Director, evidence: Evidence, segments: Segments) -> Bools:
    macs = director.macs
    if len(evidence.directors) == 1:
        macs = macs or evidence.forwarder_macs
    known = list(macs)
    if (
        len(evidence.directors) > 1
        or arrives(segments, macs)
        or segments.any(lambda part: part.to_vip & is_one_of(part.source_mac, known))
    ):
        return passed(segments, macs)
    if macs and not segments.any(_has_no_mac):
        return passed(segments, macs)
    replies_pass = evidence.forwarding == "nat"
    to_vip = _has_no_mac if macs else _is_to_vip
    return segments.where(lambda part: to_vip(part) | replies_pass & ~part.to_vip)


def _has_no_mac(segments: Segments) -> Bools:
    return np.asarray(segments.to_vip & (segments.destination_mac == NO_MAC))


def _is_to_vip(segments: Segments) -> Bools:
    return segments.to_vip
