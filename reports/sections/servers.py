"""The real servers as the director counted them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.section import Section
from reports.wording import why_no_polls

if TYPE_CHECKING:
    from analyzer.results import Analysis


def section(analysis: Analysis) -> Section:
    """Each director's table at its peak."""
    return Section(
        id="peak",
        title="Each director at its peak",
        template="sections/servers.html",
        shows=frozenset(
            {"imbalance", "removed-server-entries", "weight-zero-still-served", "draining"}
        ),
        facts={"tables": analysis.timeline.peaks, "why_no_polls": why_no_polls(analysis)},
    )
