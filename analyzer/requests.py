"""The client's side: what was sent, what came back, how long it took."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analyzer.observed import span_ms
from analyzer.results import Latency, Requests

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    Floats = npt.NDArray[np.float64]

LATE_S = 0.5
INTERRUPTED = "interrupted"
"""The error of a request that was under way when its run was interrupted."""
MOST_ERRORS = 20
"""Kinds of errors that are told apart; a run has a handful."""


def summarise(requests: pd.DataFrame) -> Requests:
    """The counts, the rate achieved and the latencies of a ``requests`` table."""
    failed = requests["error"].notna() | requests["ended"].isna()
    duration_s = _duration_s(requests)
    sent = int(requests["started"].notna().sum())
    return Requests(
        sent=sent,
        succeeded=int((~failed).sum()),
        failed=int((failed & requests["started"].notna()).sum()),
        late=int((span_ms(requests, "scheduled", "first_byte") > LATE_S * 1e3).sum()),
        duration_s=duration_s,
        rate_per_s=sent / duration_s if duration_s else None,
        connect_ms=latency(span_ms(requests, "started", "connected")),
        first_byte_ms=latency(span_ms(requests, "started", "first_byte")),
        total_ms=latency(span_ms(requests[~failed], "started", "ended")),
        total_from_due_ms=latency(span_ms(requests[~failed], "scheduled", "ended")),
        lateness_ms=latency(span_ms(requests, "scheduled", "started")),
    )


def cut_short(requests: pd.DataFrame) -> int:
    """How many requests the end of the run itself cut off."""
    return int((requests["error"] == INTERRUPTED).sum())


def errors(requests: pd.DataFrame) -> dict[str, int]:
    """How many requests failed, by what their error says, the commonest first."""
    counts = requests["error"].value_counts().head(MOST_ERRORS)
    return {str(text): int(n) for text, n in counts.items()}


def latency(values_ms: Floats) -> Latency | None:
    """Percentiles over the values that are there; None if none is."""
    known = values_ms[~np.isnan(values_ms)]
    if len(known) == 0:
        return None
    p50, p90, p99 = np.percentile(known, [50, 90, 99], method="higher")
    return Latency(p50=float(p50), p90=float(p90), p99=float(p99), max=float(known.max()))


def _duration_s(requests: pd.DataFrame) -> float | None:
    """From the first send to the last end or, failing that, the last send."""
    if requests["started"].notna().sum() == 0:
        return None
    last = requests[["started", "ended"]].max().max()
    return float((last - requests["started"].min()).total_seconds())
