"""Long columns in order, of which no more than a part is in memory: by time, and by rank."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analyzer.parts import Dealt, over_stretches, stretches

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analyzer.arrays import Ints
    from analyzer.parts import Columns, Store

_GRID = 1 << 16


def in_time(store: Store, columns: Columns) -> Iterator[Columns]:
    """The rows of a table by ``at_ns``, some at a time; none are of the same instant as others.

    Args:
        store: keeps what is on its way.
        columns: with ``at_ns``; shape (n,) each.
    """
    bounds = _time_bounds(store, columns["at_ns"])
    if not len(bounds):
        yield _by_time(columns)
        return
    tasks = (
        ({name: column[rows] for name, column in columns.items()}, bounds)
        for rows in stretches(len(columns["at_ns"]), store.part_rows)
    )
    buckets = store.deal(len(bounds) + 1, _dealt, tasks)
    for number in range(len(bounds) + 1):
        if part := buckets.bucket(number).read():
            yield _by_time(part)


def _dealt(columns: Columns, bounds: Ints) -> Dealt:
    return Dealt(np.searchsorted(bounds, columns["at_ns"], side="right"), columns)


def _by_time(columns: Columns) -> Columns:
    order = np.argsort(columns["at_ns"], kind="stable")
    return {name: column[order] for name, column in columns.items()}


def _time_bounds(store: Store, at_ns: Ints) -> Ints:
    """Instants that cut a table into parts that are about equal, by what a grid counts."""
    size, wanted = len(at_ns), -(-len(at_ns) // max(store.part_rows, 1))
    if wanted <= 1:
        return np.zeros(0, dtype=np.int64)
    first_ns, last_ns = _extremes(store, at_ns)
    width_ns = (last_ns - first_ns) // _GRID + 1
    counts = np.zeros(_GRID, dtype=np.int64)
    for cells in over_stretches(store, size, lambda rows: (at_ns[rows] - first_ns) // width_ns):
        counts += np.bincount(cells, minlength=_GRID)
    full = np.searchsorted(np.cumsum(counts), size * np.arange(1, wanted) // wanted) + 1
    return first_ns + np.unique(full) * width_ns


def middle_of(store: Store, values: Ints) -> tuple[int, int]:
    """The two numbers in the middle of the ascending order, of at least one; mostly the same."""
    low = _ranked(store, values, (len(values) - 1) // 2)
    return low, low if len(values) % 2 else _ranked(store, values, len(values) // 2)


def _extremes(store: Store, values: Ints) -> tuple[int, int]:
    """The least and the greatest of some numbers, at least one."""
    parts = over_stretches(store, len(values), lambda rows: values[rows])
    ends = [(int(part.min()), int(part.max())) for part in parts]
    return min(low for low, _ in ends), max(high for _, high in ends)


def _ranked(store: Store, values: Ints, rank: int) -> int:
    """The number at a place of the ascending order, from 0."""
    size = len(values)
    low, high = _extremes(store, values)
    while low < high:
        counts, width = np.zeros(_GRID, dtype=np.int64), (high - low) // _GRID + 1
        for part in over_stretches(store, size, lambda rows: values[rows]):
            inside = part[(part >= low) & (part <= high)]
            counts += np.bincount((inside - low) // width, minlength=_GRID)
        cell = int(np.searchsorted(np.cumsum(counts), rank, side="right"))
        rank -= int(counts[:cell].sum())
        low, high = low + cell * width, min(low + (cell + 1) * width - 1, high)
    return low
