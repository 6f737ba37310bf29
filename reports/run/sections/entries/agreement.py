"""The section that compares predicted and polled entries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.charts.wording import why_no_packets, why_no_polls
from reports.run.section import Section

if TYPE_CHECKING:
    from analyzer.report import Analysis


def section(analysis: Analysis) -> Section:
    """The agreement, one row for each director."""
    return Section(
        id="agreement",
        title="Predicted against observed",
        template="sections/agreement.html",
        shows=frozenset({"prediction-differs"}),
        facts={"rows": analysis.agreement, "why": _why(analysis)},
    )


def _why(analysis: Analysis) -> str:
    return why_no_packets(analysis) if analysis.timeline.observed else why_no_polls(analysis)
