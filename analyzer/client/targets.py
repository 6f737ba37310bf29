"""What was sent to each of several targets, and what the directors held of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.client.requests import latency
from analyzer.client.results import TargetFigures
from analyzer.compared.curves import peaks

if TYPE_CHECKING:
    import pandas as pd

    from analyzer.charts.ordered import Ordered
    from analyzer.client.outcomes import Counts, Outcomes
    from analyzer.evidence.evidence import Evidence
    from analyzer.results import Peak
    from analyzer.wire.segments import VirtualEnd


def by_target(evidence: Evidence, outcomes: Outcomes) -> tuple[TargetFigures, ...]:
    """A row for each target, in the order of the run's; none where load went to one alone.

    Args:
        evidence: the recording.
        outcomes: of its requests, counted by ``Evidence.sent_to`` where these are several.
    """
    if len(evidence.sent_to) < 2:
        return ()
    rows = zip(evidence.sent_to, outcomes.sums.by_target, outcomes.answered_by_target, strict=True)
    return tuple(
        _figures(end, counts, answered, _peaks(evidence.services, end))
        for end, counts, answered in rows
    )


def _figures(
    end: VirtualEnd, counts: Counts, answered: Ordered, held: tuple[Peak, ...]
) -> TargetFigures:
    return TargetFigures(
        protocol=end.protocol,
        vip=end.vip,
        port=end.port,
        sent=counts.sent,
        succeeded=counts.succeeded,
        failed=counts.failed,
        connections=counts.connections,
        total_ms=latency(answered),
        peaks=held,
    )


def _peaks(services: pd.DataFrame, end: VirtualEnd) -> tuple[Peak, ...]:
    """Of the service's own rows; of a service for every port of the VIP where it has none."""
    of_vip = services[
        ((services["protocol"] == end.protocol) & (services["vip"] == end.vip))
        .fillna(value=False)
        .to_numpy(dtype=bool)
    ]
    own = of_vip[of_vip["port"] == end.port]
    return peaks(own if len(own) else of_vip[of_vip["port"] == 0])
