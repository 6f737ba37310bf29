"""Long arrays in parts: whole flows together, so that what is made of them at a time is bounded.

What is computed for each flow by itself is computed part by part and put together in order: the
result is the same for any number of parts. What a run keeps for each packet are *columns*: arrays
that a ``Store`` keeps, in memory or, of a long capture, in mapped files
(``analyzer.recording.spill``).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from analyzer.arrays import Ints

    Columns = dict[str, npt.NDArray[Any]]

Result = TypeVar("Result")

PART_ROWS = 1 << 19
"""Packets of a part: enough for numpy, few enough for the memory of several processes."""


class ColumnWriter(Protocol):
    """Columns of one table, which grow by some rows at a time."""

    def append(self, columns: Mapping[str, npt.NDArray[Any]]) -> None:
        """Add rows; the same names and types at each call, at least one call."""

    def finish(self) -> Columns:
        """The whole columns."""


class Bucket(Protocol):
    """Rows that are read once, and are then gone."""

    def read(self) -> Columns:
        """All of them, in the order in which they were added; no column if there are none."""


class Buckets(Protocol):
    """Rows dealt out to numbered buckets."""

    def append(self, bucket: int, columns: Mapping[str, npt.NDArray[Any]]) -> None:
        """Add rows to a bucket; the same names and types at each call."""

    def bucket(self, number: int) -> Bucket:
        """One of them, once all rows have been added."""


class Store(Protocol):
    """Keeps columns, and runs what is to be done with each part."""

    @property
    def part_rows(self) -> int:
        """Packets of a part, about; a flow is never cut."""

    def columns(self) -> ColumnWriter:
        """New columns."""

    def buckets(self, count: int) -> Buckets:
        """New buckets."""

    def reading(self, packets: int, share: float) -> None:
        """Take note that so many packets, and this share of the captures' bytes, have been read."""

    def release(self, *captures: memoryview) -> None:
        """Let the machine take back the memory of columns, and of captures, that lie in files."""

    def map(
        self, function: Callable[..., Result], tasks: Iterable[tuple[Any, ...]]
    ) -> Iterator[Result]:
        """What a function of a module returns for each task's arguments, in their order."""


@dataclass(frozen=True, slots=True)
class InMemory:
    """A store of plain arrays, for what is small."""

    part_rows: int = PART_ROWS

    def columns(self) -> ColumnWriter:
        """New columns."""
        return _Growing([])

    def buckets(self, count: int) -> Buckets:
        """New buckets."""
        return _Lists([[] for _ in range(count)])

    def reading(self, packets: int, share: float) -> None:
        """It takes no time worth a line."""

    def release(self, *captures: memoryview) -> None:
        """Nothing is to be released."""

    def map(
        self, function: Callable[..., Result], tasks: Iterable[tuple[Any, ...]]
    ) -> Iterator[Result]:
        """What a function returns for each task's arguments, one after another."""
        return (function(*task) for task in tasks)


IN_MEMORY = InMemory()


@dataclass(frozen=True, slots=True)
class _Growing:
    rows: list[Mapping[str, npt.NDArray[Any]]]

    def append(self, columns: Mapping[str, npt.NDArray[Any]]) -> None:
        self.rows.append(columns)

    def finish(self) -> Columns:
        return joined(self.rows)


@dataclass(frozen=True, slots=True)
class _Lists:
    rows: list[list[Mapping[str, npt.NDArray[Any]]]]

    def append(self, bucket: int, columns: Mapping[str, npt.NDArray[Any]]) -> None:
        self.rows[bucket].append(columns)

    def bucket(self, number: int) -> Bucket:
        rows, self.rows[number] = self.rows[number], []
        return _Rows(rows)


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
    wanted = size * np.arange(1, parts) // parts
    inner = np.searchsorted(numbers, numbers[wanted]) if size else wanted
    bounds = np.unique(np.r_[0, inner, size]).tolist()
    return [slice(first, last) for first, last in itertools.pairwise(bounds)]


def stretches(size: int, part_rows: int) -> Iterator[slice]:
    """Rows of a table in stretches of ``part_rows``, where a flow may be cut."""
    for first in range(0, size, max(part_rows, 1)):
        yield slice(first, min(first + max(part_rows, 1), size))


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
