"""How well the expiries of a lab's entries were predicted, however its machine stalled.

A packet that comes as the timer wheel steps counts in the jiffies before or after, by how late the
director's tick is: its entry goes a whole granule sooner or later. So an expiry may lie anywhere
between where a packet sooner or later by the longest delay would have put it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analyzer.compared import curves
from analyzer.evidence.gather import gather
from analyzer.ipvs.timers import expiry_uptime_s
from analyzer.measure import measure
from analyzer.predicted.entries import TIMER
from analyzer.recording.directory import Recording

if TYPE_CHECKING:
    from pathlib import Path

    from analyzer.measured import Measured
    from analyzer.recording.clock import DirectorClock
    from tests.lab.delays import Delays


def measured_of(directory: Path, name: str) -> tuple[Measured, DirectorClock]:
    """What was measured of one director of a recording, and its clock."""
    evidence = gather(Recording.open(directory))
    (director,) = [one for one in evidence.directors if one.name == name]
    polled = curves.observed_curves(evidence.services, evidence.zero_ns)
    return measure(director, evidence, polled), evidence.by_director[name].clock


def assert_expiries_predicted(
    directory: Path, name: str, delays: Delays, *, n: int, limit_s: float
) -> None:
    """That n entries or more were seen to expire, each in its predicted poll or so close by it."""
    measured, clock = measured_of(directory, name)
    tracked, rules = measured.tracked.whole(), measured.rules
    ended = tracked[tracked[["seen_ns", "absent_ns", "ends_ns"]].notna().all(axis="columns")]
    ended = ended[(ended["cause"] == TIMER).fillna(value=False)]
    assert len(ended) >= n
    assert rules.hz is not None
    assert rules.phase_s is not None
    last_s, seen_s, absent_s = (
        clock.uptime_s(ended[column].to_numpy(dtype=np.int64))
        for column in ("last_ns", "seen_ns", "absent_by_ns")
    )
    soonest_s, latest_s = (
        expiry_uptime_s(
            last_s + delay_s, ended["timeout_s"].astype(float), hz=rules.hz, phase_s=rules.phase_s
        )
        for delay_s in (-delays.allowed_s(0), delays.allowed_s(0))
    )
    beyond_s = np.maximum(seen_s - latest_s, soonest_s - absent_s)
    assert beyond_s.max() < delays.allowed_s(limit_s)
