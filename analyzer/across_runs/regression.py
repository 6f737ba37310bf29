"""Tests whether two runs differ, one for each kind of quantity.

* A timeout is measured to within bounds (``Estimate``), the timer wheel's lateness taken out; where
  the phase of the timers is not known, a mean lifetime is late by anything from 0 to one granule,
  and that stays open in the difference.
* A latency's quantile is an order statistic: its bootstrap distribution is known exactly (the k-th
  of n resampled values is the value at rank n times Beta(k, n - k + 1)), so no resampling is done.
  Requests near in time are slow together; n is first divided by how much more the batches of a run
  vary than independent values would.
* A count out of a whole is judged by Fisher's exact test.
* A peak is the highest value polled, compared as it is.

A difference within its tolerance is none. ``alike`` says that no difference was shown, not that
there is none: how large one may still be stands in ``low`` and ``high``. What too few values can
tell is ``unknown``, never alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy import stats

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from analyzer.arrays import Floats
    from analyzer.report import Analysis
    from analyzer.results import Lifetime


Verdict = Literal["alike", "higher", "lower", "unknown"]

CONFIDENCE = 0.99
DRAWS = 4000
BEYOND = 10
"""Fewest values beyond a quantile, in each run, for it to be judged."""

QUANTILES = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999))
LATENCIES = (("connect", "connect_ms"), ("first_byte", "first_byte_ms"), ("total", "total_ms"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerances:
    """Differences that do not count; of a share and an absolute bound the larger applies."""

    timeout_s: float = 0.1
    latency_share: float = 0.2
    latency_ms: float = 0.5
    peak_share: float = 0.05
    peak: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One quantity of two runs.

    Attributes:
        quantity: such as ``timeout(FIN_WAIT)``, ``connect_p99``, ``failed``.
        unit: ``s``, ``ms`` or "" of a count.
        before, after: the values; None where a run does not have it.
        difference: after less before.
        low, high: bounds of the difference (equal for a count); None where unknown.
        tolerance: what was allowed.
        by: how it was judged.
    """

    quantity: str
    unit: Literal["s", "ms", ""]
    before: float | None
    after: float | None
    difference: float | None
    low: float | None
    high: float | None
    tolerance: float
    verdict: Verdict
    by: str


def differences(
    before: Analysis, after: Analysis, tolerances: Tolerances | None = None
) -> tuple[Difference, ...]:
    """The differences in every quantity that either run has, the lifetimes first.

    Args:
        before: the run to compare with.
        after: the run that is judged.
        tolerances: differences within these do not count.
    """
    allowed = tolerances or Tolerances()
    return (
        *_timeouts(before, after, allowed),
        *_states(before, after),
        *_peaks(before, after, allowed),
        *_requests(before, after),
        *_latencies(before, after, allowed),
    )


# -- lifetimes -----------------------------------------------------------------------------------


def _timeouts(before: Analysis, after: Analysis, allowed: Tolerances) -> Iterator[Difference]:
    for state in _states_of(before, after):
        pair = [_group(analysis, state) for analysis in (before, after)]
        yield timeout_difference(state, pair[0], pair[1], allowed.timeout_s)


def _states_of(*analyses: Analysis) -> list[str]:
    return list(dict.fromkeys(row.state for analysis in analyses for row in analysis.lifetimes))


def _group(analysis: Analysis, state: str) -> Lifetime | None:
    """The largest group of entries that ended in a state."""
    rows = [row for row in analysis.lifetimes if row.state == state]
    return max(rows, key=lambda row: (row.n_expired, row.n), default=None)


def timeout_difference(
    state: str, before: Lifetime | None, after: Lifetime | None, tolerance_s: float = 0.0
) -> Difference:
    """The difference in a state's timeout, allowing for the timer wheel's granule.

    Args:
        state: of both groups.
        before: None where a run had no such entries.
        after: likewise.
        tolerance_s: a difference within this does not count.
    """
    first, second = _measured(before), _measured(after)
    name = f"timeout({state})"
    if first is None or second is None:
        values = (first[0] if first else None), (second[0] if second else None)
        return _unknown(name, "s", *values, tolerance_s, "no entry was seen to expire in both")
    exact = _is_exact(before) and _is_exact(after)
    by = "measured timeouts" if exact else "mean lifetimes, up to a granule late each"
    low, high = second[1] - first[2], second[2] - first[1]
    return _judged(name, "s", (first[0], second[0]), (low, high), tolerance_s, by)


def _is_exact(row: Lifetime | None) -> bool:
    return row is not None and row.timeout_measured_s is not None


def _measured(row: Lifetime | None) -> tuple[float, float, float] | None:
    """A timeout with its bounds; from the mean lifetime if the timers' phase is not known."""
    if row is None or row.lifetime_s is None:
        return None
    if row.timeout_measured_s is not None:
        value, open_s = row.timeout_measured_s.value, row.timeout_measured_s.uncertainty
        return value, value - open_s, value + open_s
    mean, open_s = row.lifetime_s.mean, row.lifetime_s.uncertainty
    return mean, mean - open_s - (row.granule_s or 0.0), mean + open_s


def _states(before: Analysis, after: Analysis) -> Iterator[Difference]:
    """Differences in the states in which entries ended."""
    whole = [sum(row.n for row in analysis.lifetimes) for analysis in (before, after)]
    if not all(whole):
        return
    for state in _states_of(before, after):
        counts = [
            sum(row.n for row in analysis.lifetimes if row.state == state)
            for analysis in (before, after)
        ]
        yield count_difference(f"ended({state})", (counts[0], whole[0]), (counts[1], whole[1]))


# -- peaks and counts ----------------------------------------------------------------------------


def _peaks(before: Analysis, after: Analysis, allowed: Tolerances) -> Iterator[Difference]:
    sums = [
        next((row for row in analysis.peaks if row.director is None), None)
        for analysis in (before, after)
    ]
    for name in ("active", "inactive"):
        pair = [None if row is None else float(getattr(row, name)) for row in sums]
        yield peak_difference(f"{name}_peak", pair[0], pair[1], allowed)


def peak_difference(
    name: str, before: float | None, after: float | None, allowed: Tolerances
) -> Difference:
    """The difference of two peaks."""
    tolerance = max(allowed.peak, allowed.peak_share * (before or 0.0))
    if before is None or after is None:
        return _unknown(name, "", before, after, tolerance, "not polled in both")
    change = after - before
    return _judged(name, "", (before, after), (change, change), tolerance, "as polled")


def _requests(before: Analysis, after: Analysis) -> Iterator[Difference]:
    pair = (before.requests, after.requests)
    for name in ("failed", "late"):
        counts = [(getattr(requests, name), requests.sent) for requests in pair]
        if counts[0][1] or counts[1][1]:
            yield count_difference(name, counts[0], counts[1])


def count_difference(name: str, before: tuple[int, int], after: tuple[int, int]) -> Difference:
    """The difference of two counts, each out of a total, by Fisher's exact test.

    Args:
        name: the quantity.
        before: the count and its total.
        after: likewise.
    """
    if not before[1] or not after[1]:
        known = [float(n) if whole else None for n, whole in (before, after)]
        return _unknown(name, "", known[0], known[1], 0.0, "nothing to count in one of the runs")
    values = float(before[0]), float(after[0])
    table = np.array([[n, whole - n] for n, whole in (before, after)])
    p = float(stats.fisher_exact(table).pvalue)
    change = values[1] - values[0]
    more = after[0] / after[1] > before[0] / before[1]
    verdict: Verdict = "alike" if p >= 1 - CONFIDENCE else "higher" if more else "lower"
    return Difference(
        quantity=name,
        unit="",
        before=values[0],
        after=values[1],
        difference=change,
        low=change,
        high=change,
        tolerance=0.0,
        verdict=verdict,
        by=f"of {before[1]:,} and of {after[1]:,}, Fisher's exact test: p = {p:.2g}",
    )


# -- latencies -----------------------------------------------------------------------------------


def _latencies(before: Analysis, after: Analysis, allowed: Tolerances) -> Iterator[Difference]:
    for latency, key in LATENCIES:
        pair = [_finite(getattr(analysis.timeline, key)) for analysis in (before, after)]
        for text, quantile in QUANTILES:
            if min(len(values) for values in pair) * (1 - quantile) < BEYOND and quantile > 0.99:
                continue
            yield quantile_difference(f"{latency}_{text}", quantile, pair[0], pair[1], allowed)


def _finite(values: Floats) -> Floats:
    return values[np.isfinite(values)]


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
        return _unknown(name, "ms", values[0], values[1], tolerance, by)
    random = np.random.default_rng(0)
    drawn = [quantile_draws(run_values, quantile, random) for run_values in (before, after)]
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(drawn[1] - drawn[0], [tail, 100 - tail])
    assert values[0] is not None
    assert values[1] is not None
    by = f"bootstrap of the quantile, {100 * CONFIDENCE:g} %"
    return _judged(name, "ms", (values[0], values[1]), (float(low), float(high)), tolerance, by)


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


# -- shared helpers ------------------------------------------------------------------------------


def _judged(
    name: str,
    unit: Literal["s", "ms", ""],
    values: tuple[float, float],
    interval: tuple[float, float],
    tolerance: float,
    by: str,
) -> Difference:
    low, high = interval
    verdict: Verdict = "higher" if low > tolerance else "lower" if high < -tolerance else "alike"
    return Difference(
        quantity=name,
        unit=unit,
        before=values[0],
        after=values[1],
        difference=values[1] - values[0],
        low=low,
        high=high,
        tolerance=tolerance,
        verdict=verdict,
        by=by,
    )


def _unknown(
    name: str,
    unit: Literal["s", "ms", ""],
    before: float | None,
    after: float | None,
    tolerance: float,
    by: str,
) -> Difference:
    return Difference(
        quantity=name,
        unit=unit,
        before=before,
        after=after,
        difference=None,
        low=None,
        high=None,
        tolerance=tolerance,
        verdict="unknown",
        by=by,
    )


def changed(compared: Sequence[Difference]) -> tuple[Difference, ...]:
    """The differences beyond uncertainty and tolerance."""
    return tuple(difference for difference in compared if difference.verdict in ("higher", "lower"))
