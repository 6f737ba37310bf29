"""The section on failed requests: reasons, numbers, stages and times."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.charts.wording import plural, reason, seconds, stage
from reports.run.section import DataTable, Section

if TYPE_CHECKING:
    from analyzer.report import Analysis

COLUMNS = ("reason", "stage reached", "requests", "first begun", "last begun")
SHOWN = frozenset(  # if nothing failed, the timeline is the evidence of these
    {
        "requests-failed",
        "service-missing",
        "vip-unanswered",
        "no-real-server",
        "redirects-not-followed",
    }
)


def section(analysis: Analysis) -> Section | None:
    """A table of the reasons, the most frequent first; None if nothing failed."""
    if not analysis.requests.errors:
        return None
    sent = plural(analysis.requests.sent, "request")
    return Section(
        id="errors",
        title="Why requests failed",
        summary=f"{analysis.requests.failed} of {sent} failed.",
        template="sections/errors.html",
        facts={"table": table(analysis)},
        shows=SHOWN,
    )


def table(analysis: Analysis) -> DataTable:
    """A row for each reason; times are since the run's start."""
    return DataTable(
        columns=COLUMNS,
        rows=[
            (
                reason(row),
                stage(row),
                row.n,
                None if row.first_s is None else seconds(row.first_s),
                None if row.last_s is None else seconds(row.last_s),
            )
            for row in analysis.requests.errors
        ],
    )
