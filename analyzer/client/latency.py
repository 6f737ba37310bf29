"""Latency in full: percentiles up to the maximum, retransmitted SYNs, and over time.

Everything is exact and bounded: a million requests become some hundreds of numbers, none of them
interpolated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from analyzer.charts.long_columns import rows_at_a_time
from analyzer.charts.ordered import Ordered
from analyzer.client.samples import carries_quantile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.arrays import Floats, Ints
    from analyzer.client.outcomes import Outcomes

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


def latencies(outcomes: Outcomes, repeated_syns: int | None) -> Latencies:
    """Requests as percentiles, SYN retransmissions and a heat map.

    Args:
        outcomes: of the run's requests.
        repeated_syns: connections with more than one SYN on the wire; None without a capture.
    """
    spans: list[tuple[str, Since, Ordered]] = [
        ("connect", "send", outcomes.connects),
        ("first_byte", "send", outcomes.first_bytes),
        ("total", "send", outcomes.done),
    ]
    lateness = outcomes.lateness
    scheduled = len(lateness) > 0 and lateness.largest > DUE_APART_MS
    if scheduled:
        spans.append(("total", "due", outcomes.done_due))
    computed = [percentiles(name, since, values) for name, since, values in spans]
    return Latencies(
        percentiles=tuple(percentile for percentile in computed if percentile),
        syn=syn_retries(outcomes.connects, repeated_syns),
        heat=heat(outcomes.sent_s, outcomes.total_ms),
        sent_late_ms=lateness.largest if scheduled else None,
    )


def percentiles(name: str, since: Since, values_ms: Ordered | Floats) -> Percentiles | None:
    """A latency's distribution on a grid that is fine towards the end; None without values."""
    ordered = Ordered.of(values_ms)
    n = len(ordered)
    if n == 0:
        return None
    nines = np.linspace(0, np.log10(n), max(int(POINTS_PER_NINE * np.log10(n)), 1) + 1)
    carried = [q for q in QUANTILES if carries_quantile(q, n)]
    share = np.unique(np.r_[1 - 10.0**-nines, carried])
    share = share[share <= 1 - 1 / n]
    ms = ordered.at(np.r_[_rank(share, n), _rank(np.array(carried), n)].astype(np.int64))
    at = dict(zip(carried, ms[len(share) :].tolist(), strict=True))
    return Percentiles(
        name=name,
        since=since,
        n=n,
        share=share,
        ms=ms[: len(share)],
        at=tuple(at.get(q) for q in QUANTILES),
    )


def _rank(share: Floats | float, n: int) -> Ints:
    """The first value that is not below this share of the others, as in ``requests.latency``."""
    return np.asarray(np.ceil(np.round(np.asarray(share) * (n - 1), 9)), dtype=np.int64)


def syn_retries(connect_ms: Ordered | Floats, seen: int | None) -> SynRetries:
    """Which connects took as long as a retransmitted SYN makes them.

    Args:
        connect_ms: the known ones, or NaN where not reached.
        seen: as in ``SynRetries``.
    """
    took = Ordered.of(connect_ms)
    usual = _shorter_than(took, _USUAL_S)
    ninth_s = float(took.at([int(np.ceil((usual - 1) * 0.9))])[0]) / 1e3 if usual else None
    window_s = min(max(_LEAST_WINDOW_S, 2 * (ninth_s or 0)), _MOST_WINDOW_S)
    counts = [
        _shorter_than(took, at_s + window_s) - _shorter_than(took, at_s - _EARLY_S)
        for at_s, _ in SYN_STEPS_S
    ]
    rules = {rule for (_, rule), n in zip(SYN_STEPS_S, counts, strict=True) if n}
    steps: Sequence[tuple[float, int]] = [
        (at_s, n) for (at_s, _), n in zip(SYN_STEPS_S, counts, strict=True) if n
    ]
    return SynRetries(
        steps=tuple(steps),
        usual_ms=None if ninth_s is None else ninth_s * 1e3,
        other=len(took) - usual - sum(counts),
        rule=_rule(rules),
        seen=seen,
    )


def _rule(rules: set[str]) -> Literal["linear", "doubling"] | None:
    if "linear" in rules:
        return None if "doubling" in rules else "linear"
    return "doubling" if rules & {"doubling", "both"} else None


def _shorter_than(took: Ordered, limit_s: float) -> int:
    """How many of some milliseconds are, in seconds, below a limit."""
    limit_ms = limit_s * 1e3
    while limit_ms / 1e3 >= limit_s:
        limit_ms = float(np.nextafter(limit_ms, -np.inf))
    while limit_ms / 1e3 < limit_s:
        limit_ms = float(np.nextafter(limit_ms, np.inf))
    return took.below(limit_ms)


def heat(sent_s: Floats, took_ms: Floats) -> Heat | None:
    """How many requests took how long, by when they were sent; None without one.

    Args:
        sent_s: seconds since the run's start; shape (n,).
        took_ms: NaN where not known; shape (n,).
    """
    stretches = [_shown(*rows) for rows in rows_at_a_time(sent_s, took_ms)]
    known = [rows for rows in stretches if rows]
    if not known:
        return None
    n, first_s, last_s, least, most = (
        sum(rows.n for rows in known),
        min(rows.first_s for rows in known),
        max(rows.last_s for rows in known),
        min(rows.least for rows in known),
        max(rows.most for rows in known),
    )
    low, high = np.floor(least * _PER_DECADE), np.ceil(most * _PER_DECADE)
    rows_at = np.arange(low, max(high, low + 1) + 1) / _PER_DECADE
    columns = int(np.clip(2 * np.sqrt(n), _LEAST_COLUMNS, _MOST_COLUMNS))
    columns_at = np.linspace(first_s, max(last_s, first_s + 1e-3), columns + 1)
    counts = np.zeros((len(rows_at) - 1, columns))
    for part in rows_at_a_time(sent_s, took_ms):
        at_s, log_ms = _known(*part)
        counts += np.histogram2d(log_ms, at_s, bins=[rows_at, columns_at])[0]
    return Heat(start_s=columns_at, log_ms=rows_at, counts=counts.astype(np.int64))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """How many requests of a stretch are shown, and between which bounds."""

    n: int
    first_s: float
    last_s: float
    least: float  # log10 of milliseconds
    most: float


def _shown(sent_s: Floats, took_ms: Floats) -> _Shown | None:
    at_s, log_ms = _known(sent_s, took_ms)
    if not len(at_s):
        return None
    return _Shown(
        n=len(at_s),
        first_s=float(at_s.min()),
        last_s=float(at_s.max()),
        least=float(log_ms.min()),
        most=float(log_ms.max()),
    )


def _known(sent_s: Floats, took_ms: Floats) -> tuple[Floats, Floats]:
    """When requests were sent, and the logarithms of how long they took, where both are known."""
    known = np.isfinite(took_ms) & (took_ms > 0) & np.isfinite(sent_s)
    return sent_s[known], np.log10(took_ms[known])
