"""Where the numbers come from: the recording's manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.section import Section

if TYPE_CHECKING:
    from analyzer.results import Analysis


def section(analysis: Analysis) -> Section:
    """Command line, versions, timeouts, clocks."""
    return Section(
        id="manifest",
        title="How it was measured",
        template="sections/provenance.html",
        facts={"manifest": analysis.manifest},
    )
