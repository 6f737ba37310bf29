"""Which samples are large enough for a rate or a percentile; others are not shown.

Fifty requests within 45 ms were sent at no rate that anybody sustained, and of fifty latencies none
lies beyond the 99th percentile: it would be the maximum under another name.
"""

from __future__ import annotations

LEAST_SPAN_S = 1.0
LEAST_COUNT = 30


def carries_rate(count: int, span_s: float | None) -> bool:
    """Whether so many events in so long are enough for a rate."""
    return span_s is not None and span_s >= LEAST_SPAN_S and count >= LEAST_COUNT


def carries_quantile(quantile: float, count: int) -> bool:
    """Whether so many values are enough for a quantile: at least one must lie beyond it."""
    return round(count * (1 - quantile), 6) >= 1
