"""Findings about the run itself: what failed, what was lost, what cannot be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.agreement import TOLERATED
from analyzer.results import Finding

if TYPE_CHECKING:
    from analyzer.findings.figures import Figures
    from analyzer.results import Agreement


def requests_failed(figures: Figures) -> Finding | None:
    """Requests failed."""
    requests = figures.requests
    if not requests.failed:
        return None
    return Finding(
        id="requests-failed",
        severity="problem",
        title=f"{requests.failed} of {requests.sent} requests failed",
        evidence=f"{requests.succeeded} succeeded; the errors stand in requests/, column error.",
        advice="See whether the real servers answer, and whether the VIP has a director.",
    )


def director_lost(figures: Figures) -> Finding | None:
    """A director did not answer for a while."""
    lost = [event for event in figures.events if event.kind == "link-lost"]
    if not lost:
        return None
    hosts = ", ".join(sorted({event.host for event in lost}))
    return Finding(
        id="director-lost",
        severity="warning",
        title=f"The link to {hosts} was lost during the run",
        evidence="; ".join(f"{event.t_s:.1f} s: {event.host}: {event.detail}" for event in lost),
        advice="The polls have a gap there; nothing is known of the director meanwhile.",
    )


def capture_incomplete(figures: Figures) -> Finding | None:
    """The capture missed packets."""
    if not figures.capture_dropped:
        return None
    return Finding(
        id="capture-incomplete",
        severity="warning",
        title="The capture missed packets, so predictions may be off",
        evidence=f"The kernel dropped {figures.capture_dropped} packets before the capture.",
        advice="Send at a lower rate, or capture on a less loaded machine.",
    )


def foreign_entries(figures: Figures) -> Finding | None:
    """Entries that this run did not make."""
    foreign = {name: n for name, n in figures.foreign_entries.items() if n}
    if not foreign:
        return None
    counts = ", ".join(f"{n} on {name}" for name, n in foreign.items())
    return Finding(
        id="foreign-entries",
        severity="info",
        title="The director also held entries that this run did not make",
        evidence=f"Entries of the service without a packet of this run: {counts}. The predicted "
        "curves leave them out, the polled counters do not.",
        advice="For a clean measurement wait until earlier entries have gone.",
    )


def prediction_differs(figures: Figures) -> Finding | None:
    """Predicted and observed part."""
    off = [row for row in figures.agreement if _off(row)]
    if not off:
        return None
    parts = [
        f"{row.director}: InActConn off by up to {row.inactive_max_error} entries, "
        f"by more than {TOLERATED} for {row.disagreement_polls} polls in a row; "
        f"{row.state_samples - row.state_matches} of {row.state_samples} states differ; "
        f"{row.residuals.get('unexplained', 0)} expiries unexplained"
        for row in off
    ]
    return Finding(
        id="prediction-differs",
        severity="warning",
        title="The director did not do what the captured packets predict",
        evidence="; ".join(parts) + ".",
        advice="Other clients' traffic, packets that the capture missed, or a change made "
        "meanwhile would explain it; look at the timeline where the curves part.",
    )


def _off(row: Agreement) -> bool:
    return (
        (row.disagreement_polls > 2 and "clock" not in row.residuals)
        or row.state_matches < row.state_samples
        or "unexplained" in row.residuals
    )
