"""What keeps columns, deals their rows out, and runs what is to be done with each part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from analyzer.arrays import Ints

Columns: TypeAlias = dict[str, "npt.NDArray[Any]"]
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

    def release(self) -> None:
        """Let the machine take back the memory of columns that lie in files."""

    def map(
        self, function: Callable[..., Result], tasks: Iterable[tuple[Any, ...]]
    ) -> Iterator[Result]:
        """What a function of a module returns for each task's arguments, in their order."""

    def apart(
        self, function: Callable[..., Result], tasks: Iterable[tuple[Any, ...]]
    ) -> Iterator[Result]:
        """As ``map``, of a function that keeps columns meanwhile, in the store it is given first.

        That store runs what it is given where the function runs, and its columns go with it.
        """

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

    def keep(self, count: int, made: Iterable[Dealt]) -> Buckets:
        """So many buckets of rows that are here: no other process is asked."""


def fill_here(writer: ColumnWriter, made: Iterable[Rows[Result]]) -> Iterator[Result]:
    """Add rows to columns one after another; the rest of each."""
    first = 0
    for rows in made:
        if rows.columns:
            writer.append(rows.counted_from(first))
        first += rows.count
        yield rows.rest


def filled(
    store: Store, function: Callable[..., Rows[None]], tasks: Iterable[tuple[Any, ...]]
) -> Columns:
    """New columns of what a function makes of each task."""
    writer = store.columns()
    for _ in store.fill(writer, function, tasks):
        pass
    return writer.finish()


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

    def release(self) -> None:
        """Nothing is to be released."""

    def map(
        self, function: Callable[..., Result], tasks: Iterable[tuple[Any, ...]]
    ) -> Iterator[Result]:
        """What a function returns for each task's arguments, one after another."""
        return (function(*task) for task in tasks)

    def apart(
        self, function: Callable[..., Result], tasks: Iterable[tuple[Any, ...]]
    ) -> Iterator[Result]:
        """What a function returns for this store and each task's arguments."""
        return (function(self, *task) for task in tasks)

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
        return self.keep(count, self.map(function, tasks))

    def keep(self, count: int, made: Iterable[Dealt]) -> Buckets:
        """So many buckets of rows that are here."""
        return _InBuckets([dealt.in_buckets(count) for dealt in made])


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
