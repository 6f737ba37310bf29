"""Long arrays in parts: whole flows together, so that what is made of them at a time is bounded.

What is computed for each flow by itself is computed part by part and put together in order: the
result is the same for any number of parts. What a run keeps for each packet are *columns*: arrays
that a ``Store`` keeps, in memory or, of a long capture, in mapped files
(``analyzer.recording.spill``).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import numpy as np

from analyzer.mapped import release

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from analyzer.arrays import Ints

    Columns = dict[str, npt.NDArray[Any]]

Result = TypeVar("Result")

PART_ROWS = 1 << 19
"""Packets of a part: enough for numpy, few enough for the memory of several processes."""


@dataclass(frozen=True, slots=True)
class Rows(Generic[Result]):
    """Rows that a task makes of a table's columns.

    Attributes:
        columns: none at all, or all columns of the table.
        rest: what else the task found.
        numbers: the column that numbers something on from the tasks before; here from 0.
        count: how many numbers this task needs.
    """

    columns: Columns
    rest: Result
    numbers: str | None = None
    count: int = 0

    def counted_from(self, first: int) -> Columns:
        """The columns, with numbers from ``first``."""
        if not self.numbers or not self.columns or not first:
            return self.columns
        return self.columns | {self.numbers: self.columns[self.numbers] + first}


@dataclass(frozen=True, slots=True)
class Dealt:
    """Rows, and the bucket of each; shape (n,). Names and types are the same for each task."""

    bucket: Ints
    columns: Columns

    def in_buckets(self, count: int) -> tuple[Columns, Ints]:
        """The rows in the order of their buckets; where each begins, and the end: (count + 1,)."""
        bounds = np.zeros(count + 1, dtype=np.int64)
        np.cumsum(np.bincount(self.bucket, minlength=count), out=bounds[1:])
        if (self.bucket[1:] >= self.bucket[:-1]).all():
            return self.columns, bounds
        numbers = self.bucket.astype(np.min_scalar_type(count))  # 16 bits are sorted by counting
        order = np.argsort(numbers, kind="stable")
        return {name: column[order] for name, column in self.columns.items()}, bounds


class ColumnWriter(Protocol):
    """Columns of one table, which grow by some rows at a time."""

    def append(self, columns: Mapping[str, npt.NDArray[Any]]) -> None:
        """Add rows; the same names and types at each call, at least one call."""

    def finish(self) -> Columns:
        """The whole columns."""


class Bucket(Protocol):
    """Some of the rows that tasks dealt out; they are read once, and are then gone."""

    def read(self) -> Columns:
        """All of them, in the order of the tasks; no column if there are none."""


class Buckets(Protocol):
    """Rows dealt out to numbered buckets."""

    def rows(self) -> int:
        """How many there are in all."""

    def bucket(self, number: int) -> Bucket:
        """One of them."""


class Store(Protocol):
    """Keeps columns, and runs what is to be done with each part."""

    @property
    def part_rows(self) -> int:
        """Packets of a part, about; a flow is never cut."""

    def columns(self) -> ColumnWriter:
        """New columns."""

    def reading(self, packets: int, share: float) -> None:
        """Take note that so many packets, and this share of the captures' bytes, have been read."""

    def reading_requests(self, rows: int, share: float) -> None:
        """Take note that so many rows of requests, and this share of them, have been read."""

    def release(self, *captures: memoryview) -> None:
        """Let the machine take back the memory of columns, and of captures, that lie in files."""

    def map(
        self, function: Callable[..., Result], tasks: Iterable[tuple[Any, ...]]
    ) -> Iterator[Result]:
        """What a function of a module returns for each task's arguments, in their order."""

    def fill(
        self,
        writer: ColumnWriter,
        function: Callable[..., Rows[Result]],
        tasks: Iterable[tuple[Any, ...]],
    ) -> Iterator[Result]:
        """Add to new columns what a function makes of each task; the rest of it, as ``map``."""

    def deal(
        self, count: int, function: Callable[..., Dealt], tasks: Iterable[tuple[Any, ...]]
    ) -> Buckets:
        """So many buckets of what a function makes of each task."""


def fill_here(writer: ColumnWriter, made: Iterable[Rows[Result]]) -> Iterator[Result]:
    """Add rows to columns one after another; the rest of each."""
    first = 0
    for rows in made:
        if rows.columns:
            writer.append(rows.counted_from(first))
        first += rows.count
        yield rows.rest


@dataclass(frozen=True, slots=True)
class InMemory:
    """A store of plain arrays, for what is small."""

    part_rows: int = PART_ROWS

    def columns(self) -> ColumnWriter:
        """New columns."""
        return _Growing([])

    def reading(self, packets: int, share: float) -> None:
        """It takes no time worth a line."""

    def reading_requests(self, rows: int, share: float) -> None:
        """Nor does this."""

    def release(self, *captures: memoryview) -> None:
        """Nothing is to be released."""

    def map(
        self, function: Callable[..., Result], tasks: Iterable[tuple[Any, ...]]
    ) -> Iterator[Result]:
        """What a function returns for each task's arguments, one after another."""
        return (function(*task) for task in tasks)

    def fill(
        self,
        writer: ColumnWriter,
        function: Callable[..., Rows[Result]],
        tasks: Iterable[tuple[Any, ...]],
    ) -> Iterator[Result]:
        """Add what a function makes of each task to columns; the rest of it."""
        return fill_here(writer, self.map(function, tasks))

    def deal(
        self, count: int, function: Callable[..., Dealt], tasks: Iterable[tuple[Any, ...]]
    ) -> Buckets:
        """So many buckets of what a function makes of each task."""
        return _InBuckets([dealt.in_buckets(count) for dealt in self.map(function, tasks)])


IN_MEMORY = InMemory()


@dataclass(frozen=True, slots=True)
class _Growing:
    rows: list[Mapping[str, npt.NDArray[Any]]]

    def append(self, columns: Mapping[str, npt.NDArray[Any]]) -> None:
        self.rows.append(columns)

    def finish(self) -> Columns:
        return joined(self.rows)


@dataclass(frozen=True, slots=True)
class _InBuckets:
    tables: list[tuple[Columns, Ints]]

    def rows(self) -> int:
        return sum(int(bounds[-1]) for _, bounds in self.tables)

    def bucket(self, number: int) -> Bucket:
        pieces = [
            (columns, *bounds[number : number + 2].tolist()) for columns, bounds in self.tables
        ]
        return _Rows(
            [
                {name: column[first:last] for name, column in columns.items()}
                for columns, first, last in pieces
                if last > first
            ]
        )


@dataclass(frozen=True, slots=True)
class _Rows:
    rows: list[Mapping[str, npt.NDArray[Any]]]

    def read(self) -> Columns:
        return joined(self.rows)


def joined(rows: Sequence[Mapping[str, npt.NDArray[Any]]]) -> Columns:
    """The columns of tables, one after another; none of none."""
    if len(rows) == 1:
        return dict(rows[0])
    return {name: np.concatenate([row[name] for row in rows]) for name in (rows[0] if rows else ())}


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


def stored(store: Store, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """An array, kept by the store."""
    return by_stretches(store, len(values), lambda rows: values[rows])


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


def rows_of_flows(flow: Ints, wanted: Ints) -> Ints:
    """The rows of a table that are of some flows.

    Args:
        flow: of each row, ascending.
        wanted: the flows, ascending, each once.
    """
    first, until = np.searchsorted(flow, wanted), np.searchsorted(flow, wanted, side="right")
    counts = until - first
    step = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.asarray(np.repeat(first, counts) + step)
