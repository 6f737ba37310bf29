"""ActiveConn and InActConn as the packets predict them: every change, in the order of time."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analyzer.parts import over_stretches
from analyzer.parts.sorting import in_time

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt
    import pandas as pd

    from analyzer.arrays import Bools, Ints
    from analyzer.parts import Columns
    from analyzer.predicted.entries import Prediction

    Int8s = npt.NDArray[np.int8]

_NEVER = np.iinfo(np.int64).max
_NOTHING = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterChanges:
    """Changes of the counters and their instants; each array of shape (n,), ascending in time."""

    at_ns: Ints
    active: Int8s
    entries: Int8s

    def between(self, first: int, until: int) -> CounterChanges:
        """Some rows."""
        rows = slice(first, until)
        return CounterChanges(
            at_ns=self.at_ns[rows], active=self.active[rows], entries=self.entries[rows]
        )

    def with_ends(self, ends: Columns, rows: slice) -> CounterChanges:
        """These, and some of ``_ends`` after them."""
        return CounterChanges(
            at_ns=np.r_[self.at_ns, ends["at_ns"][rows]],
            active=np.r_[self.active, ends["active"][rows]],
            entries=np.r_[self.entries, np.full(rows.stop - rows.start, -1, dtype=np.int8)],
        )


def changes_by_packets(
    prediction: Prediction, chosen: Bools | None, counts_as_active: Bools
) -> CounterChanges:
    """Counter changes by the packets of some of the entries; as ``predicted_curve``."""
    store = prediction.store
    changes, ordered = store.columns(), store.columns()
    for steps in prediction.parts():
        changes.append(_changes(steps, chosen, counts_as_active))
    for columns in in_time(store, changes.finish()):
        ordered.append(columns)
        store.release()
    return CounterChanges(**ordered.finish())


def _changes(steps: pd.DataFrame, chosen: Bools | None, counts_as_active: Bools) -> Columns:
    """Of some steps those that change a counter: when, and ActiveConn and all entries by what."""
    if chosen is not None:
        steps = steps[chosen[steps["entry"].to_numpy()]]
    entry, at_ns = steps["entry"].to_numpy(), steps["at_ns"].to_numpy()
    first = np.ones(len(entry), dtype=bool)
    first[1:] = entry[1:] != entry[:-1]
    active = counts_as_active[steps["state"].to_numpy(dtype=np.int64)].astype(np.int8)
    more = active.copy()
    more[1:] -= np.where(first[1:], np.int8(0), active[:-1])
    changed = first | (more != 0)
    return {
        "at_ns": at_ns[changed],
        "active": more[changed],
        "entries": first[changed].astype(np.int8),
    }


def predicted_curve(
    prediction: Prediction,
    chosen: Bools | None,
    counts_as_active: Bools,
    by_packets: CounterChanges | None = None,
) -> tuple[Ints, Ints, Ints]:
    """ActiveConn and InActConn of some of the entries: when they change, and to what.

    Args:
        prediction: one director's.
        chosen: which of ``prediction.entries``; shape (entries,), None for all.
        counts_as_active: which states its kernel counts so (``states.is_active``).
        by_packets: ``changes_by_packets`` of the same, if it is known already.

    Returns:
        ``at_ns, active, inactive``, each of shape (changes,), ascending in time.
    """
    begun = by_packets or changes_by_packets(prediction, chosen, counts_as_active)
    store, writer, active, entries = prediction.store, prediction.store.columns(), 0, 0
    ends = in_time(store, _ends(prediction, chosen, counts_as_active))
    for changes in _merged(begun, ends, store.part_rows):
        order = np.argsort(changes.at_ns, kind="stable")
        times = changes.at_ns[order]
        last = np.flatnonzero(np.r_[np.diff(times) > 0, True]) if len(times) else order
        actives = active + np.cumsum(changes.active[order], dtype=np.int64)
        both = entries + np.cumsum(changes.entries[order], dtype=np.int64)
        writer.append(
            {"at_ns": times[last], "active": actives[last], "inactive": (both - actives)[last]}
        )
        if len(times):
            active, entries = int(actives[-1]), int(both[-1])
        store.release()
    columns = writer.finish()
    return columns["at_ns"], columns["active"], columns["inactive"]


def _ends(prediction: Prediction, chosen: Bools | None, counts_as_active: Bools) -> Columns:
    """The ends of some entries, as ``CounterChanges`` but for their order."""
    table, writer = prediction.entries, prediction.store.columns()
    state, ends_ns = (table[name].to_numpy() for name in ("state", "ends_ns"))

    def of(rows: slice) -> Columns:
        here = slice(None) if chosen is None else chosen[rows]
        less_active = -counts_as_active[state[rows][here].astype(np.int64)].astype(np.int8)
        return {"at_ns": ends_ns[rows][here].astype(np.int64), "active": less_active}

    for columns in over_stretches(prediction.store, len(table), of):
        writer.append(columns)
    return writer.finish()


def _merged(
    begun: CounterChanges, ends: Iterator[Columns], part_rows: int
) -> Iterator[CounterChanges]:
    """Both, cut into the same spans of time, those of one span together; at least one."""
    cuts_ns = begun.at_ns[part_rows - 1 :: part_rows]
    after, before_ns = 0, np.iinfo(np.int64).min
    for of_ends in itertools.chain(ends, (None,)):
        at_ns, place = (_NOTHING if of_ends is None else of_ends["at_ns"]), 0
        last_ns = int(at_ns[-1]) if len(at_ns) else _NEVER
        inside = cuts_ns[(cuts_ns > before_ns) & (cuts_ns < last_ns)]
        for until_ns in (*inside.tolist(), last_ns):
            until = int(np.searchsorted(begun.at_ns, until_ns, side="right"))
            rows = slice(place, int(np.searchsorted(at_ns, until_ns, side="right")))
            of_packets = begun.between(after, until)
            yield of_packets if of_ends is None else of_packets.with_ends(of_ends, rows)
            after, place, before_ns = until, rows.stop, until_ns
