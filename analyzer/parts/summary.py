"""What is asked of all values of a long column, part by part: in memory there is one part."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from analyzer.arrays import Floats, Ints


@dataclass(frozen=True, slots=True)
class Summary:
    """How many values there are, their mean and their extremes; of none these are NaN."""

    n: int
    mean: float
    least: float
    most: float


def summary_of(parts: Iterable[Floats]) -> Summary:
    """Of the values of all parts: the same to the last digit, whatever the parts and their order.

    The sum is exact before it is rounded (``math.fsum``); of what is not finite there is no mean.
    """
    found = _Finite()
    total = math.fsum(value for part in parts for value in found.seen(part).tolist())
    is_known = found.n and math.isfinite(found.least) and math.isfinite(found.most)
    mean = total / found.n if is_known else math.nan
    return Summary(found.n, mean, found.least, found.most)


@dataclass(slots=True)
class _Finite:
    n: int = 0
    least: float = math.nan
    most: float = math.nan

    def seen(self, part: Floats) -> Floats:
        """The finite values of a part, which is taken note of."""
        if len(part):
            ends = float(part.min()), float(part.max())
            self.least = float(np.minimum(self.least, ends[0])) if self.n else ends[0]
            self.most = float(np.maximum(self.most, ends[1])) if self.n else ends[1]
        self.n += len(part)
        return part[np.isfinite(part)]


def median_of(parts: Iterable[Floats]) -> float:
    """The median of the values of all parts, of which few differ; NaN of none."""
    values, counts = np.zeros(0), np.zeros(0, dtype=np.int64)
    for part in parts:
        values, counts = _counted(values, counts, *np.unique(part, return_counts=True))
    n = int(counts.sum())
    if not n:
        return math.nan
    middle = np.searchsorted(np.cumsum(counts), [(n - 1) // 2, n // 2], side="right")
    return float(values[middle].mean())


def _counted(values: Floats, counts: Ints, more: Floats, of_more: Ints) -> tuple[Floats, Ints]:
    together, place = np.unique(np.concatenate([values, more]), return_inverse=True)
    sums = np.zeros(len(together), dtype=np.int64)
    np.add.at(sums, place, np.concatenate([counts, of_more]))
    return together, sums
