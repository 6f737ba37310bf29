"""The section on a fail-over: masters and outage as a chart, connections and entries as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.run.section import Section
from reports.run.sections.failover.chart import failover_chart
from reports.run.sections.failover.tables import failover_tables

if TYPE_CHECKING:
    from analyzer.failover.results import Failover
    from analyzer.report import Analysis

SHOWS = frozenset(
    {
        "bfd-take-over",
        "black-hole",
        "clean-stop",
        "connections-reset",
        "failover-differs",
        "failover-invalid",
    }
    | {"flapping", "keepalived-alone", "no-master", "preemption", "syn-retries", "two-masters"}
)


def section(analysis: Analysis) -> Section | None:
    """The fail-over; None if the run was no fail-over."""
    failover = analysis.failover
    if failover is None:
        return None
    return Section(
        id="failover",
        title="How the VIP moved, and what clients saw of it",
        summary=_summary(failover),
        charts=(failover_chart(analysis, failover),),
        template="sections/failover.html",
        facts={
            "tables": [(title, table) for title, table in failover_tables(failover) if table.rows]
        },
        shows=SHOWS,
    )


def _summary(failover: Failover) -> str:
    if not failover.valid:
        return f"This run is invalid: {failover.why_invalid}. Its figures do not count."
    if failover.observed_only:
        return "Who advertised as master, and when; no load was sent meanwhile."
    theory = {
        "silence": "A master that fails silently is replaced after its backup's "
        "master_down_interval, less the age of its last advertisement.",
        "clean-stop": "A master that announces priority 0 is replaced after its backup's skew.",
        "keepalived-alone": "If only keepalived fails, its director keeps forwarding: two "
        "directors hold the VIP, and no connect waits.",
        "bfd": "BFD reported a neighbour down, and mastership moved before the backup's "
        "master_down_interval ended.",
        None: "No director was seen to take over.",
    }
    return theory[failover.how]
