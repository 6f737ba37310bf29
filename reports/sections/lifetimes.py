"""How long entries lived after their last packet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.section import Section
from reports.wording import why_no_lifetime

if TYPE_CHECKING:
    from analyzer.results import Analysis


def section(analysis: Analysis) -> Section:
    """The groups of entries, and what governs each."""
    return Section(
        id="lifetimes",
        title="How long entries lived after their last packet",
        template="sections/lifetimes.html",
        shows=frozenset(
            {
                "tcpfin-governs",
                "tcpfin-has-no-effect",
                "reset-closes-early",
                "idle-established",
                "server-held-open",
                "expires-late",
                "ended-early",
            }
        ),
        facts={
            "groups": analysis.lifetimes,
            "early": analysis.ended_early,
            "why": why_no_lifetime(analysis),
        },
    )
