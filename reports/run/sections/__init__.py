"""The page's sections: one module each, with a function from an Analysis to a Section or None.

``entries/`` has those on the directors' entries, ``other_settings/`` those on what would have been,
``failover/`` the one on a fail-over. None computes a number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.run.sections import (
    errors,
    failover,
    latency,
    not_measured,
    provenance,
    sockets,
    targets,
    timeline,
    traces,
    workers,
)
from reports.run.sections.entries import agreement, lifetimes, servers, states
from reports.run.sections.other_settings import tcpfin, what_if

if TYPE_CHECKING:
    from collections.abc import Callable

    from analyzer.report import Analysis
    from reports.run.section import Section

BUILDERS: tuple[Callable[[Analysis], Section | None], ...] = (  # in the order of the page
    failover.section,
    timeline.section,
    targets.section,
    workers.section,
    errors.section,
    states.section,
    lifetimes.section,
    tcpfin.section,
    what_if.section,
    servers.section,
    sockets.section,
    agreement.section,
    traces.section,
    latency.section,
    not_measured.section,
    provenance.section,
)


def sections(analysis: Analysis) -> tuple[Section, ...]:
    """The sections of the page below its head."""
    built = (build(analysis) for build in BUILDERS)
    return tuple(section for section in built if section is not None)
