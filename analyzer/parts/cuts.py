"""Long tables cut into parts of whole flows, and into stretches where a flow may be cut."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from analyzer.parts.mapped import release

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt
    import pandas as pd

    from analyzer.arrays import Bools, Ints
    from analyzer.parts.store import Store

Result = TypeVar("Result")


def cuts(numbers: Ints, part_rows: int) -> list[slice]:
    """The rows of each part, in order: none is cut within a run of equal numbers.

    Args:
        numbers: ascending; shape (n,).
        part_rows: about so many in each.
    """
    size = len(numbers)
    parts = max(-(-size // max(part_rows, 1)), 1)
    wanted = [size * part // parts for part in range(1, parts)] if size else []
    bounds = sorted({0, *(_run_start(numbers, row) for row in wanted), size})
    return [slice(first, last) for first, last in itertools.pairwise(bounds)]


def frames_of(store: Store, table: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """A table part by part, of whole flows; at least one part.

    Args:
        store: keeps its columns.
        table: with ``flow``, ascending.
    """
    for rows in cuts(table["flow"].to_numpy(), store.part_rows) or [slice(0, 0)]:
        yield table.iloc[rows]
        store.release()


def _run_start(numbers: Ints, row: int) -> int:
    """The first row with the same number; looked for near the row: what is read is mapped in."""
    reach, number = 1, numbers[row]
    while reach < row and numbers[row - reach] == number:
        reach *= 2
    first = max(row - reach, 0)
    start = first + int(np.searchsorted(numbers[first:row], number))
    release(numbers)  # a file's pages come megabytes at a time
    return start


def stretches(size: int, part_rows: int) -> Iterator[slice]:
    """Rows of a table in stretches of ``part_rows``, where a flow may be cut."""
    for first in range(0, size, max(part_rows, 1)):
        yield slice(first, min(first + max(part_rows, 1), size))


def over_stretches(
    store: Store, size: int, function: Callable[[slice], Result]
) -> Iterator[Result]:
    """What a function makes of the rows of each stretch; of no rows at least once."""
    for rows in stretches(size, store.part_rows) if size else [slice(0, 0)]:
        yield function(rows)
        store.release()


def by_stretches(
    store: Store, size: int, function: Callable[[slice], npt.NDArray[Any]]
) -> npt.NDArray[Any]:
    """An array that is computed, and kept by the store, some rows at a time; shape (size,).

    Args:
        store: keeps it.
        size: of the whole.
        function: the values of some rows.
    """
    writer = store.columns()
    for values in over_stretches(store, size, function):
        writer.append({"values": values})
    return writer.finish()["values"]


def taken(store: Store, values: npt.NDArray[Any], places: Ints) -> npt.NDArray[Any]:
    """Few values of a long array, which is gone through some rows at a time.

    Args:
        store: keeps the array.
        values: shape (n,).
        places: ascending.
    """
    found = [values[:0]]
    for rows in stretches(len(values), store.part_rows):
        first, until = np.searchsorted(places, [rows.start, rows.stop]).tolist()
        found.append(values[places[first:until]])
        store.release()
    return np.concatenate(found)


def same_flows(part: Ints, flow: Ints) -> slice:
    """The rows of another table that are of a part's flows, or lie between them.

    Args:
        part: the flow of each row of the part, ascending.
        flow: of each row of the other table, ascending; shape (n,).
    """
    if not len(part):
        return slice(0, 0)
    first, last = np.searchsorted(flow, [part[0], part[-1] + 1]).tolist()
    return slice(first, last)


def are_among(part: Ints, wanted: Ints) -> Bools:
    """Which rows of a part are of some flows.

    Args:
        part: the flow of each row, ascending; shape (n,).
        wanted: the flows, ascending: only those near the part are looked at.
    """
    return np.isin(part, wanted[same_flows(part, wanted)])


def rows_of_flows(flow: Ints, wanted: Ints) -> Ints:
    """The rows of a table that are of some flows.

    Args:
        flow: of each row, ascending.
        wanted: the flows, in any order, also several times.

    Returns:
        Ascending.
    """
    wanted = np.unique(np.asarray(wanted, dtype=flow.dtype))  # of another type: all are copied
    first, until = np.searchsorted(flow, wanted), np.searchsorted(flow, wanted, side="right")
    counts = until - first
    step = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.asarray(np.repeat(first, counts) + step)
