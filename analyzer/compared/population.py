"""How many entries were in each state, over time: as polled, and as the packets predict."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analyzer.charts.thinning import LONG, kept, lowest_and_highest
from analyzer.charts.values import StateSeries
from analyzer.compared.curves import seconds
from analyzer.parts import over_stretches, taken
from analyzer.parts.sorting import in_time
from analyzer.predicted.entries import state_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt
    import pandas as pd

    from analyzer.parts import Columns, Store
    from analyzer.predicted.entries import Prediction

    Ints = npt.NDArray[np.int64]

POINTS = 1500  # of a predicted curve, for each state
_NEVER = np.iinfo(np.int64).max
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
    changes: dict[str, Ints] = {}
    for part in rows:
        _add_changes(part, polled_ns, changes)
    if not len(polled_ns) or not changes:
        return None
    counts = {name: np.cumsum(change) for name, change in changes.items()}
    return StateSeries(
        director=director, source="observed", t_s=seconds(polled_ns, zero_ns), counts=counts
    )


def _add_changes(rows: pd.DataFrame, polled_ns: Ints, changes: dict[str, Ints]) -> None:
    """Add by how much some flows' entries changed the count of each state at each poll."""
    codes, names = rows["state"].factorize()
    is_absent = (rows["change"] == "gone").to_numpy()
    now = np.where(is_absent, _NONE, codes)
    flow = rows["flow"].to_numpy()
    same = np.r_[False, flow[1:] == flow[:-1]]
    before = np.where(same, np.r_[_NONE, now[:-1]], _NONE)
    at = np.searchsorted(polled_ns, rows["at_ns"].to_numpy())
    for code, name in enumerate(names):
        change = (now == code).astype(np.int64) - (before == code)
        changed = (at < len(polled_ns)) & (change != 0)
        counted = changes.setdefault(str(name), np.zeros(len(polled_ns), dtype=np.int64))
        np.add.at(counted, at[changed], change[changed])


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
    if prediction.entries.empty:
        return None
    store, changes = prediction.store, prediction.store.columns()
    for steps in prediction.parts():
        changes.append(_changes(steps))
    for entries in prediction.entry_parts():
        changes.append(_ends(entries))
    found = changes.finish()
    if until_ns is None:
        until_ns = _NEVER
    else:  # at least the first instant is shown
        all_ns, size = found["at_ns"], len(found["at_ns"])
        first = over_stretches(store, size, lambda rows: int(all_ns[rows].min(initial=_NEVER)))
        until_ns = max(until_ns, min(first))
    courses = _courses(store, found, until_ns)
    at_ns = courses.pop("at_ns")
    chosen = np.unique(np.concatenate([_shown(course, store) for course in courses.values()]))
    return StateSeries(
        director=prediction.director,
        source="predicted",
        t_s=seconds(taken(store, at_ns, chosen), zero_ns),
        counts={
            state_name(int(code)): taken(store, course, chosen).astype(np.int64)
            for code, course in courses.items()
        },
    )


def _changes(steps: pd.DataFrame) -> Columns:
    """Of some steps those that lead to another state: when, and the states before and after."""
    entry, state = steps["entry"].to_numpy(), steps["state"].to_numpy(dtype=np.int8)
    before = np.full(len(state), _NONE, dtype=np.int8)
    before[1:] = np.where(entry[1:] == entry[:-1], state[:-1], np.int8(_NONE))
    changed = before != state
    at_ns = steps["at_ns"].to_numpy()[changed]
    return {"at_ns": at_ns, "old": before[changed], "new": state[changed]}


def _ends(entries: pd.DataFrame) -> Columns:
    return {
        "at_ns": entries["ends_ns"].to_numpy(dtype=np.int64),
        "old": entries["state"].to_numpy(dtype=np.int8),
        "new": np.full(len(entries), _NONE, dtype=np.int8),
    }


def _courses(store: Store, changes: Columns, until_ns: int) -> Columns:
    """How many entries were in each state after each instant with a change, up to one instant.

    Returns:
        ``at_ns``, and counts by the number of each state that occurred; shape (instants,) each.
    """
    seen = over_stretches(store, len(changes["new"]), lambda rows: np.unique(changes["new"][rows]))
    codes = np.setdiff1d(np.concatenate(list(seen)), _NONE).tolist()
    writer, now = store.columns(), np.zeros(len(codes), dtype=np.int64)
    for columns in in_time(store, changes):
        at_ns, old, new = (columns[name] for name in ("at_ns", "old", "new"))
        settled = np.flatnonzero(np.r_[np.diff(at_ns) > 0, True][: len(at_ns)])
        settled = settled[at_ns[settled] <= until_ns]
        courses = [
            start + np.cumsum((new == code).astype(np.int8) - (old == code), dtype=np.int64)
            for code, start in zip(codes, now.tolist(), strict=True)
        ]
        now = np.array([course[-1] for course in courses], dtype=np.int64) if len(at_ns) else now
        shown = (course[settled].astype(np.int32) for course in courses)
        writer.append({"at_ns": at_ns[settled], **dict(zip(map(str, codes), shown, strict=True))})
        store.release()
    return writer.finish()


def _shown(course: Ints, store: Store) -> Ints:
    """Where a course's points are that its curve keeps."""
    if len(course) <= LONG:
        return kept(course, points=POINTS)
    places = lowest_and_highest(course, store)
    return places[kept(taken(store, course, places), points=POINTS)]
