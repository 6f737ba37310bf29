"""The page's sections: one module each, with a function from an Analysis to a Section or None."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.run.sections import (
    agreement,
    errors,
    failover,
    latency,
    lifetimes,
    not_measured,
    provenance,
    servers,
    sockets,
    states,
    tcpfin,
    timeline,
    what_if,
)
from reports.run.sections import traces as traces

if TYPE_CHECKING:
    from collections.abc import Callable

    from analyzer.report import Analysis
    from reports.run.section import Section

BUILDERS: tuple[Callable[[Analysis], Section | None], ...] = (  # in the order of the page
    failover.section,
    timeline.section,
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
