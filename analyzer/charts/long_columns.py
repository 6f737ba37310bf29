"""Long columns read in stretches, so that what is in memory of them at a time is bounded.

A column is an array; that of a long run lies in a mapped file (``analyzer.recording.spill``), whose
pages leave memory again as soon as a stretch of them has been read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from analyzer.parts import PART_ROWS, stretches
from analyzer.parts.mapped import release

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    from analyzer.arrays import Bools, Floats, Ints


def rows_at_a_time(*columns: npt.NDArray[Any]) -> Iterator[tuple[npt.NDArray[Any], ...]]:
    """The same rows of each of some columns of one length, a stretch at a time."""
    for rows in stretches(len(columns[0]), PART_ROWS):
        yield tuple(column[rows] for column in columns)
        for column in columns:
            release(column)


def known(values: Floats) -> Iterator[Floats]:
    """The values that are known (not NaN or infinite), a stretch at a time."""
    for (part,) in rows_at_a_time(values):
        yield part[np.isfinite(part)]


def count_of(values: Floats, test: Callable[[Floats], Bools]) -> int:
    """How many values pass a test."""
    return sum(int(np.count_nonzero(test(part))) for (part,) in rows_at_a_time(values))


def bounds(values: Floats) -> tuple[float, float] | None:
    """The least and the largest known value; None if none is known."""
    found = [(float(part.min()), float(part.max())) for part in known(values) if len(part)]
    return (min(low for low, _ in found), max(high for _, high in found)) if found else None


def counted(at_s: Floats, edges: Floats, chosen: Bools | None = None) -> Ints:
    """The number of instants in each bin; unknown instants (NaN) are in none.

    Args:
        at_s: shape (n,).
        edges: of the bins, ascending; shape (bins + 1,).
        chosen: which instants count; by default all. Shape (n,).
    """
    total = np.zeros(len(edges) - 1, dtype=np.int64)
    for part in rows_at_a_time(at_s, *(() if chosen is None else (chosen,))):
        counts = part[0] if chosen is None else part[0][part[1]]
        total += np.histogram(counts[np.isfinite(counts)], edges)[0]
    return total
