"""Changes of entries in order of flows, where there are too many to be put in order in memory.

They are dealt out twice: by a hash of the connection, which brings the changes of each together and
shows its first; then by that first change, which numbers the flows as ``entries.numbered`` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analyzer.ipvs.addresses import CONNECTION_KEY
from analyzer.observed.entries import ns, numbered, servers_of
from analyzer.observed.parted import ROWS, Coded, Kept, Parted

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from analyzer.arrays import Ints
    from analyzer.parts import Buckets, Columns, Store

_ROW, _FIRST = "row", "first"
_MIX = 0x9E3779B1
_CELLS = 1 << 16


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
    coded = Coded()
    by_key, size = _by_key(changes, coded, store, count, see)
    by_first, counts = store.buckets(count), np.zeros(_CELLS, dtype=np.int64)
    width = size // _CELLS + 1
    for number in range(count):
        if columns := by_key.bucket(number).read():
            see_flows(coded.frame(columns))
            columns[_FIRST] = _first_rows(columns)
            counts += np.bincount(columns[_FIRST] // width, minlength=_CELLS)
            by_first.append(number, columns)
    bounds = np.searchsorted(np.cumsum(counts), size * np.arange(1, count) // count) + 1
    in_order = store.buckets(count)
    for number in range(count):
        if columns := by_first.bucket(number).read():
            ranks = np.searchsorted(bounds * width, columns[_FIRST], side="right")
            _deal(in_order, ranks, columns)
    return _in_order(in_order, count, coded, store)


def _by_key(
    changes: Parted, coded: Coded, store: Store, count: int, see: Callable[[pd.DataFrame], None]
) -> tuple[Buckets, int]:
    """The changes dealt out by their connection, and how many there were."""
    buckets, size = store.buckets(count), 0
    for frame in changes:
        see(frame)
        with_port = (frame["client_port"] != 0).to_numpy(dtype=bool)
        columns = coded.columns(frame)
        columns[_ROW] = size + np.arange(len(frame))
        size += len(frame)
        columns = {name: column[with_port] for name, column in columns.items()}
        _deal(buckets, _hash(columns) % count, columns)
    return buckets, size


def _hash(columns: Columns) -> Ints:
    mixed = np.zeros(len(columns[_ROW]), dtype=np.uint64)
    for name in CONNECTION_KEY:
        mixed = (mixed + columns[name].astype(np.uint64)) * np.uint64(_MIX)
        mixed ^= mixed >> np.uint64(29)
    return (mixed >> np.uint64(8)).astype(np.int64)


def _deal(buckets: Buckets, bucket: Ints, columns: Columns) -> None:
    order = np.argsort(bucket, kind="stable")
    numbers, begins = np.unique(bucket[order], return_index=True)
    ends = [*begins[1:].tolist(), len(order)]
    for number, begin, end in zip(
        numbers.tolist(), begins.tolist(), ends[: len(numbers)], strict=True
    ):
        rows = order[begin:end]
        buckets.append(number, {name: column[rows] for name, column in columns.items()})


def _first_rows(columns: Columns) -> Ints:
    """The first row of the connection of each row; rows ascend."""
    codes = np.zeros(len(columns[_ROW]), dtype=np.int64)
    for name in CONNECTION_KEY:
        distinct, numbers = np.unique(columns[name], return_inverse=True)
        _, codes = np.unique(codes * len(distinct) + numbers, return_inverse=True)
    _, first = np.unique(codes, return_index=True)
    return columns[_ROW][first][codes]


def _in_order(buckets: Buckets, count: int, coded: Coded, store: Store) -> Parted:
    directors = sorted(coded.texts["director"])
    places = np.empty(len(directors), dtype=np.int64)
    places[[coded.texts["director"][name] for name in directors]] = np.arange(len(directors))
    kept, flows = Kept(store), 0
    for number in range(count):
        columns = buckets.bucket(number).read()
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
