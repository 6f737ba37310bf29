"""Changes of entries in order of flows, where there are too many to be put in order in memory.

They are dealt out twice: by a hash of the connection, which brings the changes of each together and
shows its first; then by that first change, which numbers the flows as ``entries.numbered`` does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from analyzer.ipvs.addresses import CONNECTION_KEY
from analyzer.observed.entries import ns, numbered, servers_of
from analyzer.observed.parted import ROWS, Coded, Kept, Parted
from analyzer.parts import Dealt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import pandas as pd

    from analyzer.arrays import Ints
    from analyzer.parts import Buckets, Columns, Store

_ROW, _FIRST, _RECORD = "row", "first", "record"
_MIX = 0x9E3779B1
_CELLS = 1 << 16
_AT_ONCE = 1 << 19
"""Changes that are dealt out at once, of some 90 bytes each."""


def numbered_parts(
    changes: Parted,
    rows: int,
    store: Store,
    see: Callable[[pd.DataFrame], None],
    see_flows: Callable[[pd.DataFrame], None],
) -> Parted:
    """``entries.numbered`` of changes without a capture, in parts of whole flows.

    Within a part the order is that of director, flow and time.

    Args:
        changes: as recorded.
        rows: how many there are, about.
        store: keeps them; of few its memory.
        see: is shown the changes as recorded, part by part.
        see_flows: is shown all of them but templates' (all, of few) as recorded, each connection's
            in one part.
    """
    count = -(-rows // min(ROWS, store.part_rows))
    if count <= 1:
        whole = changes.whole()
        see(whole)
        see_flows(whole)
        return Parted.of(numbered(whole, None))
    coded, reading = Coded(), _Reading(width=rows // _CELLS + 1)
    by_key = store.deal(count, _as_it_is, _at_once(reading.by_key(changes, coded, count, see)))
    by_first = store.deal(count, _as_it_is, reading.by_first(by_key, coded, count, see_flows))
    bounds = reading.bounds(count)
    in_order = store.deal(count, _as_it_is, _at_once(_by_range(by_first, bounds, count)))
    return _in_order(in_order, count, coded, store)


def _as_it_is(dealt: Dealt) -> Dealt:
    return dealt


def _dealt(bucket: Ints, columns: Columns) -> tuple[Dealt]:
    """A task of rows that are dealt out as packed records: there are many small pieces."""
    kinds = [(name, column.dtype) for name, column in columns.items()]
    records = np.empty(len(bucket), dtype=kinds)
    for name, column in columns.items():
        records[name] = column
    return (Dealt(bucket, {_RECORD: records}),)


def _at_once(tasks: Iterable[tuple[Dealt]]) -> Iterator[tuple[Dealt]]:
    """Several tasks' rows as one task's: each makes a piece for every bucket."""
    waiting: list[Dealt] = []
    for (dealt,) in tasks:
        waiting.append(dealt)
        if sum(len(each.bucket) for each in waiting) >= _AT_ONCE:
            yield (_together(waiting),)
            waiting = []
    if waiting:
        yield (_together(waiting),)


def _together(dealt: list[Dealt]) -> Dealt:
    records = np.concatenate([each.columns[_RECORD] for each in dealt])
    return Dealt(np.concatenate([each.bucket for each in dealt]), {_RECORD: records})


def _read(buckets: Buckets, number: int) -> Columns:
    """The columns of a bucket; none if it has no row."""
    found = buckets.bucket(number).read()
    if not found:
        return {}
    records = found[_RECORD]
    return {name: np.ascontiguousarray(records[name]) for name in records.dtype.names or ()}


@dataclass(slots=True)
class _Reading:
    """How many changes were read, and how many have connections that began in which of them.

    Attributes:
        width: changes of a cell of ``counts``; what comes after the last cell is in that.
        size: changes read.
    """

    width: int
    size: int = 0
    counts: Ints = field(default_factory=lambda: np.zeros(_CELLS, dtype=np.int64))

    def by_key(
        self, changes: Parted, coded: Coded, count: int, see: Callable[[pd.DataFrame], None]
    ) -> Iterator[tuple[Dealt]]:
        """The changes by a hash of their connections."""
        for frame in changes:
            see(frame)
            with_port = (frame["client_port"] != 0).to_numpy(dtype=bool)
            columns = coded.columns(frame)
            columns[_ROW] = self.size + np.arange(len(frame))
            self.size += len(frame)
            columns = {name: column[with_port] for name, column in columns.items()}
            yield _dealt(_hash(columns) % count, columns)

    def by_first(
        self, by_key: Buckets, coded: Coded, count: int, see_flows: Callable[[pd.DataFrame], None]
    ) -> Iterator[tuple[Dealt]]:
        """The same changes, with the first of each connection, and as they were dealt out."""
        for number in range(count):
            if columns := _read(by_key, number):
                see_flows(coded.frame(columns))
                columns[_FIRST] = first = _first_rows(columns)
                cells = np.minimum(first // self.width, _CELLS - 1)
                self.counts += np.bincount(cells, minlength=_CELLS)
                yield _dealt(np.full(len(first), number), columns)

    def bounds(self, count: int) -> Ints:
        """First changes that cut the connections into ``count`` parts of about as many changes."""
        wanted = self.size * np.arange(1, count) // count
        return (np.searchsorted(np.cumsum(self.counts), wanted) + 1) * self.width


def _by_range(by_first: Buckets, bounds: Ints, count: int) -> Iterator[tuple[Dealt]]:
    for number in range(count):
        if columns := _read(by_first, number):
            yield _dealt(np.searchsorted(bounds, columns[_FIRST], side="right"), columns)


def _hash(columns: Columns) -> Ints:
    mixed = np.zeros(len(columns[_ROW]), dtype=np.uint64)
    for name in CONNECTION_KEY:
        mixed = (mixed + columns[name].astype(np.uint64)) * np.uint64(_MIX)
        mixed ^= mixed >> np.uint64(29)
    return (mixed >> np.uint64(8)).astype(np.int64)


def _first_rows(columns: Columns) -> Ints:
    """The first row of the connection of each row; rows ascend."""
    codes = np.zeros(len(columns[_ROW]), dtype=np.int64)
    for name in CONNECTION_KEY:
        distinct, numbers = np.unique(columns[name], return_inverse=True)
        _, codes = np.unique(codes * len(distinct) + numbers, return_inverse=True)
    _, first = np.unique(codes, return_index=True)
    return columns[_ROW][first][codes]


def _in_order(buckets: Buckets, count: int, coded: Coded, store: Store) -> Parted:
    of_director = coded.texts["director"].numbers
    directors = sorted(of_director)
    places = np.empty(len(directors), dtype=np.int64)
    places[[of_director[name] for name in directors]] = np.arange(len(directors))
    kept, flows = Kept(store), 0
    for number in range(count):
        columns = _read(buckets, number)
        if not columns:
            continue
        first, flow = np.unique(columns[_FIRST], return_inverse=True)
        order = np.lexsort((columns[_ROW], columns["at"], flow, places[columns["director"]]))
        frame = coded.frame({name: column[order] for name, column in columns.items()})
        frame["flow"] = flows + flow[order]
        frame["at_ns"] = ns(frame["at"])
        frame["server"] = servers_of(frame)
        kept.append(frame)
        flows += len(first)
        store.release()
    return kept.finish() if flows else Parted.of(numbered(coded.empty, None))
