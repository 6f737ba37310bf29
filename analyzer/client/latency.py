"""Latency in full: percentiles up to the maximum, retransmitted SYNs, and over time.

Everything is exact and bounded: a million requests become some hundreds of numbers, none of them
interpolated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from analyzer.client.samples import carries_quantile
from analyzer.observed.entries import ns, span_ms
from analyzer.recording.connections import is_reused
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import pandas as pd

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

Since = Literal["send", "due"]

QUANTILES = (0.5, 0.9, 0.99, 0.999, 0.9999)
POINTS_PER_NINE = 60
DUE_APART_MS = 1.0
"""A request sent this much after it was due makes the two worth showing separately."""

SYN_STEPS_S: tuple[tuple[float, str], ...] = (
    (1.0, "first"),
    (2.0, "linear"),
    (3.0, "both"),
    (4.0, "linear"),
    (7.0, "doubling"),
    (15.0, "doubling"),
    (31.0, "doubling"),
)
"""After how long Linux has sent a SYN again: the first time after 1 s (``TCP_TIMEOUT_INIT``), then
after double the wait each time (3, 7, 15, 31 s in all), or, since 6.5, after 1 s four times
(``net.ipv4.tcp_syn_linear_timeouts``: 2, 3, 4 s)."""

_EARLY_S, _LEAST_WINDOW_S, _MOST_WINDOW_S = 0.02, 0.15, 0.6
_USUAL_S = 0.9
_LEAST_COLUMNS, _MOST_COLUMNS, _PER_DECADE = 12, 120, 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles:
    """One latency's distribution; exact values, each of some request.

    Attributes:
        name: ``connect``, ``first_byte`` or ``total``.
        since: from the send, or from the instant at which the request was due.
        n: requests that got that far.
        share: ascending, from 0 to 1 - 1/n; shape (m,).
        ms: so many took no more than this; shape (m,). The last is the largest of all.
        at: the values at ``QUANTILES``; None where there are too few requests for one.
    """

    name: str
    since: Since
    n: int
    share: Floats
    ms: Floats
    at: tuple[float | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SynRetries:
    """Connects that took as long as a retransmitted SYN makes them.

    Attributes:
        steps: seconds and how many connects took about that; those that any did.
        usual_ms: what nine of ten other connects took at most; None if there were none.
        other: connects of 0.9 s and more that no repetition explains.
        rule: ``linear`` (since Linux 6.5) or ``doubling``; None where the steps leave it open.
        seen: connections of which the capture has more than one SYN; None without a capture.
    """

    steps: tuple[tuple[float, int], ...]
    usual_ms: float | None
    other: int
    rule: Literal["linear", "doubling"] | None
    seen: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Heat:
    """How many requests took how long, by when they were sent.

    Attributes:
        start_s: edges of the columns, seconds since the run's start; shape (columns + 1,).
        log_ms: edges of the rows, log10 of milliseconds; shape (rows + 1,).
        counts: shape (rows, columns).
    """

    start_s: Floats
    log_ms: Floats
    counts: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Latencies:
    """Latencies of a run; ``percentiles`` is empty and ``heat`` None where no request got that far.

    ``sent_late_ms`` is by how much the sends trailed their due instants at most; None where
    requests were not sent on a schedule.
    """

    percentiles: tuple[Percentiles, ...]
    syn: SynRetries
    heat: Heat | None
    sent_late_ms: float | None


def latencies(requests: pd.DataFrame, zero_ns: int, repeated_syns: int | None) -> Latencies:
    """Requests as percentiles, SYN retransmissions and a heat map.

    Args:
        requests: ``analyzer.client.requests.outcomes``: a row for each request of the plan.
        zero_ns: the run's start.
        repeated_syns: connections with more than one SYN on the wire; None without a capture.
    """
    done = requests[requests["error"].isna()]
    connect_ms = span_ms(requests, "started", "connected")
    spans: list[tuple[str, Since, Floats]] = [
        ("connect", "send", connect_ms),
        ("first_byte", "send", span_ms(requests, "started", "first_byte")),
        ("total", "send", span_ms(done, "begun", "ended")),
    ]
    late_ms = _known(span_ms(requests[~is_reused(requests)], "scheduled", "begun"))
    scheduled = len(late_ms) > 0 and float(late_ms.max()) > DUE_APART_MS
    if scheduled:
        spans.append(("total", "due", span_ms(done, "scheduled", "ended")))
    computed = [percentiles(name, since, values) for name, since, values in spans]
    return Latencies(
        percentiles=tuple(percentile for percentile in computed if percentile),
        syn=syn_retries(connect_ms, repeated_syns),
        heat=heat(_sent_s(done, zero_ns), span_ms(done, "begun", "ended")),
        sent_late_ms=float(late_ms.max()) if scheduled else None,
    )


def _sent_s(requests: pd.DataFrame, zero_ns: int) -> Floats:
    sent_s = np.full(len(requests), np.nan)
    known = requests["begun"].notna().to_numpy()
    sent_s[known] = (ns(requests.loc[known, "begun"]) - zero_ns) / NS_PER_S
    return sent_s


def _known(values: Floats) -> Floats:
    return values[np.isfinite(values)]


def percentiles(name: str, since: Since, values_ms: Floats) -> Percentiles | None:
    """A latency's distribution on a grid that is fine towards the end; None without values."""
    ordered = np.sort(_known(values_ms))
    n = len(ordered)
    if n == 0:
        return None
    nines = np.linspace(0, np.log10(n), max(int(POINTS_PER_NINE * np.log10(n)), 1) + 1)
    share = np.unique(np.r_[1 - 10.0**-nines, [q for q in QUANTILES if carries_quantile(q, n)]])
    share = share[share <= 1 - 1 / n]
    return Percentiles(
        name=name,
        since=since,
        n=n,
        share=share,
        ms=ordered[_rank(share, n)],
        at=tuple(
            float(ordered[_rank(q, n)]) if carries_quantile(q, n) else None for q in QUANTILES
        ),
    )


def _rank(share: Floats | float, n: int) -> Ints:
    """The first value that is not below this share of the others, as in ``requests.latency``."""
    return np.asarray(np.ceil(np.round(np.asarray(share) * (n - 1), 9)), dtype=np.int64)


def syn_retries(connect_ms: Floats, seen: int | None) -> SynRetries:
    """Which connects took as long as a retransmitted SYN makes them.

    Args:
        connect_ms: NaN where not reached.
        seen: as in ``SynRetries``.
    """
    took_s = _known(connect_ms) / 1e3
    usual_s = took_s[took_s < _USUAL_S]
    ninth_s = float(np.percentile(usual_s, 90, method="higher")) if len(usual_s) else None
    window_s = min(max(_LEAST_WINDOW_S, 2 * (ninth_s or 0)), _MOST_WINDOW_S)
    counts = [_between(took_s, at_s - _EARLY_S, at_s + window_s) for at_s, _ in SYN_STEPS_S]
    rules = {rule for (_, rule), n in zip(SYN_STEPS_S, counts, strict=True) if n}
    slow = int((took_s >= _USUAL_S).sum())
    steps: Sequence[tuple[float, int]] = [
        (at_s, n) for (at_s, _), n in zip(SYN_STEPS_S, counts, strict=True) if n
    ]
    return SynRetries(
        steps=tuple(steps),
        usual_ms=None if ninth_s is None else ninth_s * 1e3,
        other=slow - sum(counts),
        rule=_rule(rules),
        seen=seen,
    )


def _rule(rules: set[str]) -> Literal["linear", "doubling"] | None:
    if "linear" in rules:
        return None if "doubling" in rules else "linear"
    return "doubling" if rules & {"doubling", "both"} else None


def _between(values: Floats, low: float, high: float) -> int:
    return int(((values >= low) & (values < high)).sum())


def heat(sent_s: Floats, took_ms: Floats) -> Heat | None:
    """How many requests took how long, by when they were sent; None without one.

    Args:
        sent_s: seconds since the run's start; shape (n,).
        took_ms: NaN where not known; shape (n,).
    """
    known = np.isfinite(took_ms) & (took_ms > 0) & np.isfinite(sent_s)
    if not known.any():
        return None
    sent_s, log_ms = sent_s[known], np.log10(took_ms[known])
    low, high = np.floor(log_ms.min() * _PER_DECADE), np.ceil(log_ms.max() * _PER_DECADE)
    rows_at = np.arange(low, max(high, low + 1) + 1) / _PER_DECADE
    columns = int(np.clip(2 * np.sqrt(len(sent_s)), _LEAST_COLUMNS, _MOST_COLUMNS))
    columns_at = np.linspace(sent_s.min(), max(sent_s.max(), sent_s.min() + 1e-3), columns + 1)
    counts, _, _ = np.histogram2d(log_ms, sent_s, bins=[rows_at, columns_at])
    return Heat(start_s=columns_at, log_ms=rows_at, counts=counts.astype(np.int64))
