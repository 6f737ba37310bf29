"""Whether two runs differ: a test for each kind of quantity.

* A timeout is measured to within bounds (``Estimate``), the timer wheel's lateness taken out; where
  the phase of the timers is not known, a mean lifetime is late by anything from 0 to one granule,
  and that stays open in the difference.
* A latency's quantile is judged by its bootstrap distribution (``analyzer.across_runs.quantiles``).
* A count out of a whole is judged by Fisher's exact test.
* A peak is the highest value polled, compared as it is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from analyzer.across_runs.difference import Difference, Tolerances, Verdict, judged, unknown
from analyzer.across_runs.quantiles import BEYOND, CONFIDENCE, Sample, quantile_difference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analyzer.report import Analysis
    from analyzer.results import Lifetime

QUANTILES = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999))
LATENCIES = (("connect", "connect_ms"), ("first_byte", "first_byte_ms"), ("total", "total_ms"))


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
        return unknown(name, "s", values, tolerance_s, "no entry was seen to expire in both")
    exact = _is_exact(before) and _is_exact(after)
    by = "measured timeouts" if exact else "mean lifetimes, up to a granule late each"
    low, high = second[1] - first[2], second[2] - first[1]
    return judged(name, "s", (first[0], second[0]), (low, high), tolerance_s, by)


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
        return unknown(name, "", (before, after), tolerance, "not polled in both")
    change = after - before
    return judged(name, "", (before, after), (change, change), tolerance, "as polled")


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
    from scipy import stats  # takes half a second to import; the documents' schema needs none of it

    if not before[1] or not after[1]:
        known = [float(n) if whole else None for n, whole in (before, after)]
        by = "nothing to count in one of the runs"
        return unknown(name, "", (known[0], known[1]), 0.0, by)
    table = np.array([[n, whole - n] for n, whole in (before, after)])
    p = float(stats.fisher_exact(table).pvalue)
    change = float(after[0] - before[0])
    more = after[0] / after[1] > before[0] / before[1]
    verdict: Verdict = "alike" if p >= 1 - CONFIDENCE else "higher" if more else "lower"
    by = f"of {before[1]:,} and of {after[1]:,}, Fisher's exact test: p = {p:.2g}"
    values = float(before[0]), float(after[0])
    return replace(judged(name, "", values, (change, change), 0.0, by), verdict=verdict)


# -- latencies -----------------------------------------------------------------------------------


def _latencies(before: Analysis, after: Analysis, allowed: Tolerances) -> Iterator[Difference]:
    for latency, key in LATENCIES:
        pair = [
            Sample(values=getattr(each.timeline, key), ordered=each.timeline.latency(key))
            for each in (before, after)
        ]
        for text, quantile in QUANTILES:
            if min(len(values) for values in pair) * (1 - quantile) < BEYOND and quantile > 0.99:
                continue
            yield quantile_difference(f"{latency}_{text}", quantile, pair[0], pair[1], allowed)
