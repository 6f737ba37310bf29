"""A change among packets whose entries were not read in time: placed by their expiries."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from analyzer.estimate.in_force.readings import STATE_OF
from analyzer.ipvs.timers import granule_s
from analyzer.predicted.entries import TIMER
from analyzer.recording.clock import REACTION_S
from analyzer.units import KNOWN_HZ, NS_PER_S

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from analyzer.estimate.in_force.model import InForce, TimeoutChange

    Bools = npt.NDArray[np.bool_]
    Ints = npt.NDArray[np.int64]


def near_changes(in_force: InForce, tracked: pd.DataFrame) -> Bools:
    """Which joined entries' last packets came within a change; shape (n,)."""
    last_ns = tracked["last_ns"].to_numpy(dtype=np.int64, na_value=0)
    from_ns = np.sort([change.from_ns for change in in_force.changes])
    until_ns = np.sort([change.until_ns for change in in_force.changes])
    return np.searchsorted(from_ns, last_ns) > np.searchsorted(until_ns, last_ns, side="right")


def settled(in_force: InForce, tracked: pd.DataFrame, hz: int | None, slack_s: float) -> InForce:
    """The timeouts in force, each change where it explains most of the ends about it.

    Args:
        in_force: as reported and as entries show.
        tracked: of the director, joined (``join.with_packets``); those near changes suffice.
        hz: its jiffies per second; None where not known.
        slack_s: how well its clock is known.
    """
    timed = tracked[(tracked["cause"] == TIMER).fillna(value=False)]
    ended = timed[timed["absent_ns"].notna() & timed["seen_ns"].notna()]
    changes = [_settled(change, ended, hz, slack_s) for change in in_force.changes]
    return replace(in_force, changes=tuple(sorted(changes, key=lambda change: change.at_ns)))


def _settled(
    change: TimeoutChange, ended: pd.DataFrame, hz: int | None, slack_s: float
) -> TimeoutChange:
    state = STATE_OF[change.name].name
    last = ended["last_ns"]
    nearby = ended[(ended["state"] == state) & (last > change.from_ns) & (last < change.until_ns)]
    if nearby.empty:
        return change
    nearby = nearby.sort_values("last_ns")
    old = _may_have_waited(nearby, change.before_s, hz, slack_s)
    new = _may_have_waited(nearby, change.value_s, hz, slack_s)
    last_ns = nearby["last_ns"].to_numpy(dtype=np.int64)
    first, end = _cuts(old & ~new, new & ~old)
    edges = np.r_[change.from_ns, last_ns, change.until_ns]
    from_ns, until_ns = int(edges[first]), int(edges[end + 1])
    middle = (first + end) // 2
    at_ns = int(edges[middle]) + (int(edges[middle + 1]) - int(edges[middle])) // 2
    return replace(change, from_ns=from_ns, until_ns=until_ns, at_ns=at_ns)


def _may_have_waited(
    nearby: pd.DataFrame, timeout_s: float, hz: int | None, slack_s: float
) -> npt.NDArray[np.bool_]:
    """Which entries may have waited this long: they expire late by up to a granule, never early."""
    last_ns = nearby["last_ns"].to_numpy(dtype=np.int64)
    seen_s = (nearby["seen_ns"].to_numpy(dtype=np.int64) - last_ns) / NS_PER_S
    absent_s = (nearby["absent_by_ns"].to_numpy(dtype=np.int64) - last_ns) / NS_PER_S
    late_s = max(granule_s(timeout_s, known_hz) for known_hz in ((hz,) if hz else KNOWN_HZ))
    open_s = slack_s + REACTION_S
    return np.asarray(
        (absent_s >= timeout_s - open_s) & (seen_s <= timeout_s + late_s + open_s), dtype=np.bool_
    )


def _cuts(old: npt.NDArray[np.bool_], new: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """The first and the last number of entries before the change that explains most of them."""
    explained = np.r_[0, np.cumsum(old)] + (new.sum() - np.r_[0, np.cumsum(new)])
    best = np.flatnonzero(explained == explained.max())
    return int(best[0]), int(best[-1])
