"""How many entries were in each state, over time: as polled, and as the packets predict."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analyzer.charts.thinning import kept
from analyzer.charts.values import StateSeries
from analyzer.compared.curves import seconds
from analyzer.predicted.entries import state_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt
    import pandas as pd

    from analyzer.predicted.entries import Prediction

    Ints = npt.NDArray[np.int64]
    Int8s = npt.NDArray[np.int8]

POINTS = 1500  # of a predicted curve, for each state
_NONE = -1  # the state before the first and after the last


def observed_states(
    director: str, rows: Iterable[pd.DataFrame], polled_ns: Ints, zero_ns: int
) -> StateSeries | None:
    """How many of a director's entries were in each state at each poll; None without polls.

    Args:
        director: whose.
        rows: its ``observed.entries.numbered`` changes, in order of flow and time, in parts of
            whole flows.
        polled_ns: when its entries were polled, ascending.
        zero_ns: the run's start.
    """
    counts: dict[str, Ints] = {}
    for part in rows:
        for name, count in _counts(part, polled_ns).items():
            counts[name] = counts[name] + count if name in counts else count
    if not len(polled_ns) or not counts:
        return None
    return StateSeries(
        director=director, source="observed", t_s=seconds(polled_ns, zero_ns), counts=counts
    )


def _counts(rows: pd.DataFrame, polled_ns: Ints) -> dict[str, Ints]:
    """How many of some flows' entries were in each state at each poll."""
    codes, names = rows["state"].factorize()
    is_absent = (rows["change"] == "gone").to_numpy()
    now = np.where(is_absent, _NONE, codes)
    flow = rows["flow"].to_numpy()
    same = np.r_[False, flow[1:] == flow[:-1]]
    before = np.where(same, np.r_[_NONE, now[:-1]], _NONE)
    at = np.searchsorted(polled_ns, rows["at_ns"].to_numpy())
    return {
        str(name): _counted(at, before, now, code, len(polled_ns))
        for code, name in enumerate(names)
    }


def _counted(at: Ints, before: Ints, now: Ints, code: int, polls: int) -> Ints:
    change = (now == code).astype(np.int64) - (before == code)
    inside = at < polls
    added = np.bincount(at[inside], weights=change[inside], minlength=polls)
    return np.cumsum(np.rint(added).astype(np.int64))


def predicted_states(
    prediction: Prediction, zero_ns: int, until_ns: int | None = None
) -> StateSeries | None:
    """The states that the packets predict; None where they predict no entry.

    A long curve is thinned: of each state about ``POINTS`` changes stay, its extremes among them.

    Args:
        prediction: a director's.
        zero_ns: the run's start.
        until_ns: where the curve ends though entries are left; None for their last end.
    """
    ends = prediction.entries
    if ends.empty:
        return None
    ended = (
        ends["ends_ns"].to_numpy(dtype=np.int64),
        ends["state"].to_numpy(dtype=np.int8),
        np.full(len(ends), _NONE, dtype=np.int8),
    )
    parts = [*map(_changes, prediction.parts()), ended]
    at_ns, old, new = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(at_ns, kind="stable")
    at_ns, old, new = at_ns[order], old[order], new[order]
    seen = np.unique(new)
    if until_ns is not None:
        shown = at_ns <= max(until_ns, int(at_ns[0]))
        at_ns, old, new = at_ns[shown], old[shown], new[shown]
    settled = np.flatnonzero(np.r_[np.diff(at_ns) > 0, True])
    codes = np.setdiff1d(seen, _NONE)
    courses = (_course(old, new, int(code), settled) for code in codes)
    chosen = np.unique(np.concatenate([kept(course, points=POINTS) for course in courses]))
    return StateSeries(
        director=prediction.director,
        source="predicted",
        t_s=seconds(at_ns[settled][chosen], zero_ns),
        counts={state_name(code): _course(old, new, int(code), settled)[chosen] for code in codes},
    )


def _changes(steps: pd.DataFrame) -> tuple[Ints, Int8s, Int8s]:
    """Of some steps those that lead to another state: when, and the states before and after."""
    entry, state = steps["entry"].to_numpy(), steps["state"].to_numpy(dtype=np.int8)
    before = np.full(len(state), _NONE, dtype=np.int8)
    before[1:] = np.where(entry[1:] == entry[:-1], state[:-1], np.int8(_NONE))
    changed = before != state
    return steps["at_ns"].to_numpy()[changed], before[changed], state[changed]


def _course(old: Int8s, new: Int8s, code: int, settled: Ints) -> Ints:
    change = (new == code).astype(np.int8) - (old == code)
    return np.cumsum(change, dtype=np.int64)[settled]
