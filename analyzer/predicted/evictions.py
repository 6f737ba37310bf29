"""Entries that a director removed because another connection needed their source port.

Where no port is left to masquerade with, the kernel removes an entry in TIME_WAIT or later whose
port a new SYN can have (Linux 6.6 and later: ``nf_nat_used_tuple_harder``, ``nf_nat_may_kill``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analyzer.observed.dealing import FLOW, at_once, dealt, dealt_by, read
from analyzer.observed.masquerades import NO_FLOW, PORT_IN_USE
from analyzer.observed.parted import ROWS, Coded
from analyzer.parts import cuts
from analyzer.parts.columns import alike, codes_of
from analyzer.predicted.entries import CAUSES, PORT_TAKEN, TIMER, at_instants, ended_at
from analyzer.recording.instants import latest_row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analyzer.arrays import Ints
    from analyzer.observed.parted import Parted
    from analyzer.parts import Columns, Dealt
    from analyzer.predicted.entries import Prediction

_NONE = -1
_ROW = [*PORT_IN_USE, FLOW, "at_ns", "row"]
_ENTRY = ("flow", "first_ns", "ends_ns")


def with_evictions(prediction: Prediction, hidden: Parted) -> Prediction:
    """The prediction with entries ended by the SYN of the connection that has their port next.

    Each hidden connection is brought beside its entry, then beside the others of its port.

    Args:
        prediction: of one netfilter director.
        hidden: ``hidden_connections`` of it; those without captured packets are left out.
    """
    if hidden.empty or prediction.entries.empty:
        return prediction
    store, flow = prediction.store, prediction.entries["flow"].to_numpy()
    parts = cuts(flow, min(ROWS, store.part_rows))
    first = flow[[part.start for part in parts]]
    by_flow = store.keep(len(parts), at_once(_captured(hidden, first)))

    def beside_entries() -> Iterator[Dealt]:
        for number, part in enumerate(parts):
            if rows := read(by_flow, number):
                found = _with_entries(rows, prediction, part)
                yield dealt_by(PORT_IN_USE, found, len(parts))
            store.release()

    by_port = store.keep(len(parts), at_once(beside_entries()))
    ended = [_evicted(rows) for number in range(len(parts)) if (rows := read(by_port, number))]
    if not any(len(each["place"]) for each in ended):
        return prediction
    evicted = {name: np.concatenate([each[name] for each in ended]) for name in ended[0]}
    order = np.lexsort((evicted["row"], evicted["at_ns"], evicted["place"]))
    places, once = np.unique(evicted["place"][order], return_index=True)
    return ended_at(prediction, at_instants(places, evicted["ended_ns"][order][once]), PORT_TAKEN)


def _captured(hidden: Parted, first: Ints) -> Iterator[Dealt]:
    """The hidden connections whose packets were captured, by their flows.

    Args:
        hidden: all.
        first: the first flow of each bucket, ascending.
    """
    coded = Coded()
    for part in hidden:
        there = (part[FLOW] != NO_FLOW) & part["server"].notna()
        columns = coded.columns(part.loc[there, _ROW])
        bucket = np.searchsorted(first, columns[FLOW], side="right") - 1
        yield dealt(np.maximum(bucket, 0), columns)


def _with_entries(rows: Columns, prediction: Prediction, part: slice) -> Columns:
    """Hidden connections and the entry that each had; ``place`` -1 for none.

    Args:
        rows: of the flows of ``part``.
        prediction: of the director.
        part: of its entries.
    """
    entries = prediction.entries.iloc[part]
    flow, first_ns, ends_ns = (entries[name].to_numpy(dtype=np.int64) for name in _ENTRY)
    place = latest_row(flow, first_ns, rows[FLOW], rows["at_ns"])
    has_entry = place != _NONE
    timed = codes_of(entries["cause"]) == CAUSES.index(TIMER)
    return {
        **{name: rows[name] for name in _ROW if name != FLOW},
        "place": np.where(has_entry, part.start + place, _NONE),
        "first_ns": first_ns[place],
        "ends_ns": ends_ns[place],
        "timed": timed[place] & has_entry,
    }


def _evicted(rows: Columns) -> Columns:
    """The entries that end with the connection that has their port next, and when they do."""
    port = alike([rows[name] for name in PORT_IN_USE])
    order = np.lexsort((rows["row"], rows["at_ns"], port))
    port, rows = port[order], {name: column[order] for name, column in rows.items()}
    follows = port[1:] == port[:-1]
    old, later = (
        {name: column[:-1][follows] for name, column in rows.items()},
        {name: column[1:][follows] for name, column in rows.items()},
    )
    ended_ns = np.where(later["place"] == _NONE, later["at_ns"], later["first_ns"])
    evicted = old["timed"] & (old["first_ns"] < ended_ns) & (old["ends_ns"] > ended_ns)
    found = {name: old[name][evicted] for name in ("place", "at_ns", "row")}
    return {**found, "ended_ns": ended_ns[evicted]}
