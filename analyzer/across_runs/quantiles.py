"""Whether a quantile of a latency differs between two runs.

A quantile is an order statistic: its bootstrap distribution is known exactly (the k-th of n
resampled values is the value at rank n times Beta(k, n - k + 1)), so no resampling is done.
Requests near in time are slow together; n is first divided by how much more the batches of a run
vary than independent values would.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analyzer.across_runs.difference import Difference, Tolerances, judged, unknown

if TYPE_CHECKING:
    from analyzer.arrays import Floats

CONFIDENCE = 0.99
DRAWS = 4000
BEYOND = 10
"""Fewest values beyond a quantile, in each run, for it to be judged."""


def quantile_difference(
    name: str, quantile: float, before: Floats, after: Floats, allowed: Tolerances
) -> Difference:
    """The difference of a latency's quantile, with its bootstrap interval.

    Args:
        name: the quantity.
        quantile: 0 to 1.
        before: milliseconds in the order of sending; shape (n,).
        after: likewise; shape (m,).
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


def quantile_draws(values: Floats, quantile: float, random: np.random.Generator) -> Floats:
    """Draws from the bootstrap distribution of a quantile; shape (DRAWS,).

    Args:
        values: in the order in which they arose; shape (n,), n at least 1.
        quantile: 0 to 1.
        random: source of the draws.
    """
    n = len(values)
    independent = n / _clumping(values, quantile)
    rank = quantile * independent
    at = random.beta(max(rank, 0.5), max(independent - rank, 0.5), DRAWS)
    return np.sort(values)[np.minimum((at * n).astype(np.int64), n - 1)]


def _clumping(values: Floats, quantile: float) -> float:
    """The variance of a run's batches over that of independent values; at least 1."""
    batches = int(np.sqrt(len(values)))
    if batches < 8:
        return 1.0
    size = len(values) // batches
    beyond = values[: batches * size] > np.quantile(values, quantile)
    share = float(beyond.mean())
    if not 0 < share < 1:
        return 1.0
    spread = float(beyond.reshape(batches, size).mean(axis=1).var(ddof=1))
    return float(np.clip(spread * size / (share * (1 - share)), 1.0, size))


def _quantile(values: Floats, quantile: float) -> float | None:
    return float(np.percentile(values, 100 * quantile, method="higher")) if len(values) else None
