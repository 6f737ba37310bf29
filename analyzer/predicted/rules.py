"""The rules of a director, and the packets that passed it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.evidence.held import to_services_held
from analyzer.ipvs.port_reuse import uses_old_conntrack
from analyzer.ipvs.states import Timeouts
from analyzer.predicted.replay import DirectorRules
from analyzer.wire.packets import NO_MAC
from analyzer.wire.segments import Segments, passed

if TYPE_CHECKING:
    import numpy as np
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
    return _passed(director, evidence, segments) & to_services_held(director, evidence, segments)


def _passed(director: Director, evidence: Evidence, segments: Segments) -> Bools:
    macs = director.macs
    if len(evidence.directors) == 1:
        macs = macs or evidence.forwarder_macs
    to_directors = passed(segments, macs)
    if len(evidence.directors) > 1 or to_directors[segments.to_vip].any():
        return to_directors
    has_no_mac = segments.where(lambda part: part.to_vip & (part.destination_mac == NO_MAC))
    if macs and not has_no_mac.any():
        return to_directors
    return (has_no_mac if macs else segments.to_vip) | (evidence.forwarding == "nat") & (
        ~segments.to_vip
    )
