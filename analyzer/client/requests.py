"""Requests of a run: sent, answered, failed, and their latencies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from analyzer.charts.ordered import Ordered
from analyzer.client.failures import KINDS, TITLES
from analyzer.client.results import Latency, RequestErrors, Requests
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    from analyzer.arrays import Floats
    from analyzer.client.outcomes import Outcomes, Sums

MOST_ERRORS = 50
"""The most reasons that are listed separately; a run has few."""


def summarise(outcomes: Outcomes, zero_ns: int = 0) -> Requests:
    """The counts, the rate achieved, the latencies and the errors of a run's requests.

    Args:
        outcomes: of the run's requests.
        zero_ns: the run's start, Unix time.
    """
    sums, counts = outcomes.sums, outcomes.sums.counts
    duration_s = _duration_s(sums)
    return Requests(
        sent=counts.sent,
        succeeded=counts.succeeded,
        failed=counts.failed,
        late=sums.late,
        duration_s=duration_s,
        rate_per_s=counts.sent / duration_s if duration_s else None,
        connect_ms=latency(outcomes.connects),
        first_byte_ms=latency(outcomes.first_bytes),
        total_ms=latency(outcomes.answered),
        total_from_due_ms=latency(outcomes.answered_due),
        lateness_ms=latency(outcomes.lateness),
        errors=errors(sums, zero_ns),
        connections=counts.connections,
    )


def errors(sums: Sums, zero_ns: int) -> tuple[RequestErrors, ...]:
    """Why requests failed, the commonest reason first."""
    rows = [
        RequestErrors(
            kind=kind,
            stage=stage,
            status=status,
            n=failed.n,
            what=TITLES[kind],
            first_s=(failed.begun.first_ns - zero_ns) / NS_PER_S if failed.begun else None,
            last_s=(failed.begun.last_ns - zero_ns) / NS_PER_S if failed.begun else None,
        )
        for (kind, stage, status), failed in sums.failures.items()
    ]
    rows.sort(key=lambda row: (-row.n, KINDS.index(row.kind), row.stage, row.status or 0))
    return tuple(rows[:MOST_ERRORS])


def latency(values_ms: Ordered | Floats) -> Latency | None:
    """Percentiles over the values that are there; None if none is."""
    known = Ordered.of(values_ms)
    if not len(known):
        return None
    p50, p90, p99 = known.higher(50, 90, 99)
    return Latency(p50=p50, p90=p90, p99=p99, max=known.largest)


def _duration_s(sums: Sums) -> float | None:
    """Seconds from the first send to the last end or, failing that, the last send."""
    if not sums.counts.sent or sums.begun is None or sums.seen is None:
        return None
    return pd.Timedelta(sums.seen.last_ns - sums.begun.first_ns).total_seconds()
