"""Rows dealt out as packed records: of long tables there are many small pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analyzer.ipvs.addresses import CONNECTION_KEY
from analyzer.parts import Dealt, stretches
from analyzer.parts.columns import buckets_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pandas as pd

    from analyzer.arrays import Ints
    from analyzer.observed.parted import Coded
    from analyzer.parts import Buckets, Columns, Store

FLOW = "flow"
_RECORD = "record"
_AT_ONCE = 1 << 19
"""Rows that are dealt out at once, of some 90 bytes each."""


def dealt(bucket: Ints, columns: Columns) -> Dealt:
    """Rows and the bucket of each."""
    kinds = [(name, column.dtype) for name, column in columns.items()]
    records = np.empty(len(bucket), dtype=kinds)
    for name, column in columns.items():
        records[name] = column
    return Dealt(bucket, {_RECORD: records})


def dealt_by(names: Sequence[str], columns: Columns, count: int) -> Dealt:
    """Rows by a hash of some of their columns."""
    return dealt(buckets_of([columns[name] for name in names], count), columns)


def connections_dealt(rows: pd.DataFrame, values: Columns, coded: Coded, count: int) -> Dealt:
    """Rows of another table by the hash of their connections; without those of no other row.

    Args:
        rows: with ``CONNECTION_KEY``.
        values: what else there is of each.
        coded: the columns of the table whose connections are wanted, as arrays.
        count: of buckets.
    """
    columns = coded.known(rows[list(CONNECTION_KEY)])
    known = np.logical_and.reduce([column >= 0 for column in columns.values()])
    found = {name: column[known].astype(np.int64) for name, column in columns.items()}
    found |= {name: column[known] for name, column in values.items()}
    return dealt_by(CONNECTION_KEY, found, count)


def flows_dealt(flows: pd.DataFrame, coded: Coded, count: int, store: Store) -> Buckets:
    """The flows of a capture (``Segments.flows``), in the same manner, with their numbers."""
    parts = (flows.iloc[rows] for rows in stretches(len(flows), store.part_rows))
    tasks = (
        connections_dealt(part, {FLOW: part.index.to_numpy(dtype=np.int64)}, coded, count)
        for part in parts
    )
    return store.keep(count, tasks)


def at_once(some: Iterable[Dealt]) -> Iterator[Dealt]:
    """The rows of several as those of one: each makes a piece for every bucket."""
    waiting: list[Dealt] = []
    for each in some:
        waiting.append(each)
        if sum(len(one.bucket) for one in waiting) >= _AT_ONCE:
            yield _together(waiting)
            waiting = []
    if waiting:
        yield _together(waiting)


def _together(some: list[Dealt]) -> Dealt:
    records = np.concatenate([each.columns[_RECORD] for each in some])
    return Dealt(np.concatenate([each.bucket for each in some]), {_RECORD: records})


def read(buckets: Buckets, number: int) -> Columns:
    """The columns of a bucket; none if it has no row."""
    found = buckets.bucket(number).read()
    if not found:
        return {}
    records = found[_RECORD]
    return {name: np.ascontiguousarray(records[name]) for name in records.dtype.names or ()}
