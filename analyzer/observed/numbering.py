"""Changes of entries in order of flows, where there are too many to be put in order in memory.

They are dealt out twice: by a hash of the connection, which brings the changes of each together,
and the flow of a capture that is the same; then by that flow, or by the first change of those that
were not captured, which numbers the flows as ``entries.numbered`` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analyzer.ipvs.addresses import CONNECTION_KEY
from analyzer.observed.entries import ns, numbered, servers_of
from analyzer.observed.parted import ROWS, Coded, Kept, Parted
from analyzer.parts import Dealt, stretches
from analyzer.parts.columns import alike, buckets_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import pandas as pd

    from analyzer.arrays import Ints
    from analyzer.parts import Buckets, Columns, Store

_ROW, _PLACE, _FLOW, _RECORD = "row", "place", "flow", "record"
_CELLS = 1 << 16
_AT_ONCE = 1 << 19
"""Changes that are dealt out at once, of some 90 bytes each."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """Changes that lie together by a hash of their connections; they are read once.

    Attributes:
        by_key: they, each with the number of its row.
        count: of these buckets.
        coded: their columns as arrays.
        store: keeps them.
    """

    by_key: Buckets
    count: int
    coded: Coded
    store: Store

    def numbered(
        self, flows: pd.DataFrame | None, see_flows: Callable[[pd.DataFrame], None]
    ) -> Parted:
        """``entries.numbered`` of the changes, in parts of whole flows, ascending.

        Within a part the order is that of director, flow and time.

        Args:
            flows: ``Segments.flows``; None without a capture.
            see_flows: is shown all changes but templates' as recorded, each connection's in one
                part.
        """
        captured = 0 if flows is None else len(flows)
        near = None if flows is None else self._near(flows)
        placing = _Placing(captured, self.by_key.rows())
        placed = placing.places(self, near, see_flows)
        by_place = self.store.keep(self.count, placed)
        by_range = _at_once(_by_range(by_place, placing.bounds(self.count), self.count))
        in_order = self.store.keep(self.count, by_range)
        return _in_order(in_order, captured, self)

    def _near(self, flows: pd.DataFrame) -> Buckets:
        """The flows of a capture that may be those of changes, by the same hash."""
        names = list(CONNECTION_KEY)
        parts = (flows.iloc[rows] for rows in stretches(len(flows), self.store.part_rows))
        tasks = (
            _flows_dealt(self.coded.known(part[names]), part.index.to_numpy(), self.count)
            for part in parts
        )
        return self.store.keep(self.count, tasks)


def gathered(
    changes: Parted, rows: int, store: Store, see: Callable[[pd.DataFrame], None]
) -> Gathered:
    """Changes of entries, but templates', brought together by their connections.

    Args:
        changes: as recorded.
        rows: how many there are, about.
        store: keeps them.
        see: is shown the changes as recorded, part by part.
    """
    count = -(-rows // min(ROWS, store.part_rows)) or 1
    coded = Coded()
    by_key = store.keep(count, _at_once(_by_key(changes, coded, count, see)))
    return Gathered(by_key, count, coded, store)


def _dealt(bucket: Ints, columns: Columns) -> Dealt:
    """Rows that are dealt out as packed records: there are many small pieces."""
    kinds = [(name, column.dtype) for name, column in columns.items()]
    records = np.empty(len(bucket), dtype=kinds)
    for name, column in columns.items():
        records[name] = column
    return Dealt(bucket, {_RECORD: records})


def _at_once(dealt: Iterable[Dealt]) -> Iterator[Dealt]:
    """The rows of several as those of one: each makes a piece for every bucket."""
    waiting: list[Dealt] = []
    for some in dealt:
        waiting.append(some)
        if sum(len(each.bucket) for each in waiting) >= _AT_ONCE:
            yield _together(waiting)
            waiting = []
    if waiting:
        yield _together(waiting)


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


def _by_key(
    changes: Parted, coded: Coded, count: int, see: Callable[[pd.DataFrame], None]
) -> Iterator[Dealt]:
    """Changes with their rows, by a hash of their connections; without templates."""
    rows = 0
    for frame in changes:
        see(frame)
        with_port = (frame["client_port"] != 0).to_numpy(dtype=bool)
        columns = coded.columns(frame)
        columns = {name: column[with_port] for name, column in columns.items()}
        bucket = _bucket(columns, count)
        columns[_ROW] = rows + np.arange(len(bucket))
        rows += len(bucket)
        yield _dealt(bucket, columns)


def _flows_dealt(columns: Columns, numbers: Ints, count: int) -> Dealt:
    """Some of a capture's flows, but those that no change can be of."""
    known = np.logical_and.reduce([column >= 0 for column in columns.values()])
    found = {name: column[known].astype(np.int64) for name, column in columns.items()}
    found[_FLOW] = numbers[known].astype(np.int64)
    return _dealt(_bucket(found, count), found)


class _Placing:
    """The place of each connection: its flow; of those not captured, by their first change.

    Args:
        captured: flows of the capture; the places after them are those of the others.
        size: changes in all.
    """

    def __init__(self, captured: int, size: int) -> None:
        self._captured, self._size = captured, size
        self._width = (captured + size) // _CELLS + 1
        self._counts: Ints = np.zeros(_CELLS, dtype=np.int64)  # changes, by their places

    def places(
        self, changes: Gathered, near: Buckets | None, see_flows: Callable[[pd.DataFrame], None]
    ) -> Iterator[Dealt]:
        """The changes with their places, and as they were dealt out."""
        for number in range(changes.count):
            flows = _read(near, number) if near else {}
            if columns := _read(changes.by_key, number):
                see_flows(changes.coded.frame(columns))
                columns[_PLACE] = place = _places(columns, flows, self._captured)
                self._counts += np.bincount(place // self._width, minlength=_CELLS)
                yield _dealt(np.full(len(place), number), columns)

    def bounds(self, count: int) -> Ints:
        """Places that cut the connections into ``count`` parts of about as many changes."""
        wanted = self._size * np.arange(1, count) // count
        return (np.searchsorted(np.cumsum(self._counts), wanted) + 1) * self._width


def _by_range(by_place: Buckets, bounds: Ints, count: int) -> Iterator[Dealt]:
    for number in range(count):
        if columns := _read(by_place, number):
            yield _dealt(np.searchsorted(bounds, columns[_PLACE], side="right"), columns)


def _bucket(columns: Columns, count: int) -> Ints:
    return buckets_of([columns[name] for name in CONNECTION_KEY], count)


def _places(columns: Columns, flows: Columns, captured: int) -> Ints:
    """The place of each row's connection; rows ascend."""
    own = captured + columns[_ROW]
    place = np.r_[flows[_FLOW], own] if flows else own
    tables = [flows, columns] if flows else [columns]
    codes = alike([np.concatenate([each[name] for each in tables]) for name in CONNECTION_KEY])
    _, first = np.unique(codes, return_index=True)
    return place[first][codes[len(place) - len(own) :]]


def _in_order(buckets: Buckets, captured: int, changes: Gathered) -> Parted:
    coded, store = changes.coded, changes.store
    of_director = coded.texts["director"].numbers
    directors = sorted(of_director)
    places = np.empty(len(directors), dtype=np.int64)
    places[[of_director[name] for name in directors]] = np.arange(len(directors))
    kept, others = Kept(store), captured
    for number in range(changes.count):
        columns = _read(buckets, number)
        if not columns:
            continue
        place, rank = np.unique(columns[_PLACE], return_inverse=True)
        of_capture = int(np.searchsorted(place, captured))
        flow = np.r_[place[:of_capture], others + np.arange(len(place) - of_capture)]
        others += len(place) - of_capture
        order = np.lexsort((columns[_ROW], columns["at"], rank, places[columns["director"]]))
        frame = coded.frame({name: column[order] for name, column in columns.items()})
        frame["flow"] = flow[rank[order]]
        frame["at_ns"] = ns(frame["at"])
        frame["server"] = servers_of(frame)
        kept.append(frame)
        store.release()
    return kept.finish() if kept.writer else Parted.of(numbered(coded.empty, None))
