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
from analyzer.observed.dealing import FLOW, at_once, dealt, dealt_by, flows_dealt, read
from analyzer.observed.entries import ns, numbered, servers_of
from analyzer.observed.parted import ROWS, Coded, Kept, Parted
from analyzer.parts.columns import alike

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pandas as pd

    from analyzer.arrays import Ints
    from analyzer.parts import Buckets, Columns, Dealt, Store

_ROW, _PLACE = "row", "place"
_CELLS = 1 << 16


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
        near = None
        if flows is not None:
            near = flows_dealt(flows, self.coded, self.count, self.store)
        placing = _Placing(captured, self.by_key.rows())
        placed = placing.places(self, near, see_flows)
        by_place = self.store.keep(self.count, placed)
        by_range = at_once(_by_range(by_place, placing.bounds(self.count), self.count))
        in_order = self.store.keep(self.count, by_range)
        return _in_order(in_order, captured, self)


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
    by_key = store.keep(count, at_once(_by_key(changes, coded, count, see)))
    return Gathered(by_key, count, coded, store)


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
        columns[_ROW] = rows + np.arange(np.count_nonzero(with_port))
        rows += len(columns[_ROW])
        yield dealt_by(CONNECTION_KEY, columns, count)


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
            flows = read(near, number) if near else {}
            if columns := read(changes.by_key, number):
                see_flows(changes.coded.frame(columns))
                columns[_PLACE] = place = _places(columns, flows, self._captured)
                self._counts += np.bincount(place // self._width, minlength=_CELLS)
                yield dealt(np.full(len(place), number), columns)

    def bounds(self, count: int) -> Ints:
        """Places that cut the connections into ``count`` parts of about as many changes."""
        wanted = self._size * np.arange(1, count) // count
        return (np.searchsorted(np.cumsum(self._counts), wanted) + 1) * self._width


def _by_range(by_place: Buckets, bounds: Ints, count: int) -> Iterator[Dealt]:
    for number in range(count):
        if columns := read(by_place, number):
            yield dealt(np.searchsorted(bounds, columns[_PLACE], side="right"), columns)


def _places(columns: Columns, flows: Columns, captured: int) -> Ints:
    """The place of each row's connection; rows ascend."""
    own = captured + columns[_ROW]
    place = np.r_[flows[FLOW], own] if flows else own
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
        columns = read(buckets, number)
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
