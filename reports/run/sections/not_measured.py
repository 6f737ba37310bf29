"""The section on what the run did not measure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.run.section import Section

if TYPE_CHECKING:
    from analyzer.report import Analysis


def section(analysis: Analysis) -> Section:
    """The quantities not measured, each with its reason."""
    return Section(
        id="not-measured",
        title="What this run did not measure",
        template="sections/not_measured.html",
        facts={"missing": analysis.not_measured},
        shows=frozenset({"run-incomplete"}),
    )
