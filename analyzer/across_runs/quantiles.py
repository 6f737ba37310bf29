"""Whether a quantile of a latency differs between two runs.

A quantile is an order statistic: its bootstrap distribution is known exactly (the k-th of n
resampled values is the value at rank n times Beta(k, n - k + 1)), so no resampling is done.
Requests near in time are slow together; n is first divided by how much more the batches of a run
vary than independent values would.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analyzer.across_runs.difference import Difference, Tolerances, judged, unknown
from analyzer.charts.long_columns import known
from analyzer.charts.ordered import Ordered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analyzer.arrays import Floats

CONFIDENCE = 0.99
DRAWS = 4000
BEYOND = 10
"""Fewest values beyond a quantile, in each run, for it to be judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The values of one run.

    Attributes:
        values: in the order in which they arose; NaN for what is not known. Shape (rows,).
        ordered: the known ones.
    """

    values: Floats
    ordered: Ordered

    @classmethod
    def of(cls, values: Floats) -> Sample:
        """A sample of values in the order in which they arose."""
        return cls(values=values, ordered=Ordered.of(values))

    def __len__(self) -> int:
        return len(self.ordered)

    def batches(self, size: int) -> Iterator[Floats]:
        """The known values in their order, in rows of this size; what is left at the end not."""
        left = np.zeros(0)
        for some in known(self.values):
            left = np.concatenate([left, some])
            whole = len(left) // size * size
            yield left[:whole].reshape(-1, size)
            left = left[whole:]


def quantile_difference(
    name: str, quantile: float, before: Sample, after: Sample, allowed: Tolerances
) -> Difference:
    """The difference of a latency's quantile, with its bootstrap interval.

    Args:
        name: the quantity.
        quantile: 0 to 1.
        before: milliseconds.
        after: likewise.
        allowed: differences within these do not count.
    """
    values = [_quantile(run_values, quantile) for run_values in (before, after)]
    tolerance = max(allowed.latency_ms, allowed.latency_share * (values[0] or 0.0))
    least = min(len(before), len(after))
    if round(least * min(quantile, 1 - quantile), 6) < BEYOND:
        by = f"too few: {least:,} values, {BEYOND / (1 - quantile):,.0f} are needed"
        return unknown(name, "ms", (values[0], values[1]), tolerance, by)
    random = np.random.default_rng(0)
    drawn = [quantile_draws(run_values, quantile, random) for run_values in (before, after)]
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(drawn[1] - drawn[0], [tail, 100 - tail])
    assert values[0] is not None
    assert values[1] is not None
    by = f"bootstrap of the quantile, {100 * CONFIDENCE:g} %"
    return judged(name, "ms", (values[0], values[1]), (float(low), float(high)), tolerance, by)


def quantile_draws(sample: Sample, quantile: float, random: np.random.Generator) -> Floats:
    """Draws from the bootstrap distribution of a quantile; shape (DRAWS,).

    Args:
        sample: of at least one value.
        quantile: 0 to 1.
        random: source of the draws.
    """
    n = len(sample)
    independent = n / _clumping(sample, quantile)
    rank = quantile * independent
    at = random.beta(max(rank, 0.5), max(independent - rank, 0.5), DRAWS)
    return sample.ordered.at(np.minimum((at * n).astype(np.int64), n - 1))


def _clumping(sample: Sample, quantile: float) -> float:
    """The variance of a run's batches over that of independent values; at least 1."""
    batches = int(np.sqrt(len(sample)))
    if batches < 8:
        return 1.0
    size, limit = len(sample) // batches, sample.ordered.quantile(quantile)
    beyond = np.concatenate([(some > limit).sum(axis=1) for some in sample.batches(size)])[:batches]
    share = float(beyond.sum() / (batches * size))
    if not 0 < share < 1:
        return 1.0
    spread = float((beyond / size).var(ddof=1))
    return float(np.clip(spread * size / (share * (1 - share)), 1.0, size))


def _quantile(sample: Sample, quantile: float) -> float | None:
    return sample.ordered.higher(100 * quantile)[0] if len(sample) else None
