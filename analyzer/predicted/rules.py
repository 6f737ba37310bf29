"""What a director goes by: its clock, its rules as they changed, the packets that passed it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from analyzer.ipvs.replay import Rules
from analyzer.ipvs.states import Timeouts
from analyzer.observed.entries import ns
from analyzer.recording.clock import DirectorClock, clock_from_polls
from analyzer.wire.packets import NO_MAC
from analyzer.wire.segments import Segments, passed

if TYPE_CHECKING:
    import numpy.typing as npt

    from analyzer.compared.evidence import Evidence
    from analyzer.recording.director import Director

    Bools = npt.NDArray[np.bool_]

SECURE_TCP_ALWAYS = 3


def director_clock(director: Director, evidence: Evidence) -> DirectorClock:
    """The director's clock from its polls; without any, the run's start stands for its boot."""
    polls = evidence.polls[evidence.polls["director"] == director.name].sort_values("asked")
    polls = polls[polls["director_uptime_s"].notna()]
    if polls.empty:
        zero = np.array([evidence.zero_ns], dtype=np.int64)
        return DirectorClock(at_ns=zero, boot_ns=zero, uncertainty_s=0.0)
    asked_ns = ns(polls["asked"])
    took_ns = np.rint(polls["took_ms"].to_numpy(dtype=np.float64) * 1e6).astype(np.int64)
    uptime_s = polls["director_uptime_s"].to_numpy(dtype=np.float64)
    clock = clock_from_polls(asked_ns, asked_ns + took_ns, uptime_s, director.uptime_step_s)
    return replace(clock, uncertainty_s=clock.uncertainty_s + director.clock_uncertainty_s)


def rules_of(director: Director, evidence: Evidence) -> Rules:
    """What the director's replay depends on, as it was told; its timeouts: ``in_force``."""
    forwarding = evidence.forwarding or "dr"
    return Rules(
        sees_replies=forwarding == "nat",
        timeouts=director.timeouts or Timeouts(),
        hz=director.hz,
        phase_s=director.phase_s,
        conn_reuse_mode=director.conn_reuse_mode,
        old_conntrack=director.conntrack and forwarding != "nat",
        secure_tcp=director.secure_tcp >= SECURE_TCP_ALWAYS,
    )


def segments_passed(director: Director, evidence: Evidence, segments: Segments) -> Bools:
    """Which segments passed this director, each once.

    Where the link does not say who took the segments to the VIP (no MACs; on a client, all of its
    interfaces), all of them passed the only director.
    """
    macs = director.macs
    if len(evidence.directors) == 1:
        macs = macs or evidence.forwarder_macs
    found = passed(segments, macs)
    if len(evidence.directors) > 1 or found[segments.to_vip].any():
        return found
    nobody_said = segments.to_vip & (segments.destination_mac == NO_MAC)
    if macs and not nobody_said.any():
        return found
    return (nobody_said if macs else segments.to_vip) | (evidence.forwarding == "nat") & (
        ~segments.to_vip
    )
