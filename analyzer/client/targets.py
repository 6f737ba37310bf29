"""What was sent to each of several targets, and what the directors held of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.client.requests import has_failed, latency, outcomes
from analyzer.client.results import TargetFigures
from analyzer.compared.curves import peaks
from analyzer.observed.entries import span_ms
from analyzer.recording.connections import is_reused

if TYPE_CHECKING:
    import pandas as pd

    from analyzer.evidence.evidence import Evidence
    from analyzer.results import Peak
    from analyzer.wire.segments import VirtualEnd


def by_target(evidence: Evidence) -> tuple[TargetFigures, ...]:
    """A row for each target, in the order of the run's; none where load went to one alone."""
    if len(evidence.sent_to) < 2:
        return ()
    ended, begun = outcomes(evidence.requests), evidence.requests
    return tuple(
        _figures(end, _of(ended, end), _of(begun, end), _peaks(evidence.services, end))
        for end in evidence.sent_to
    )


def _of(requests: pd.DataFrame, end: VirtualEnd) -> pd.DataFrame:
    here = (requests["vip"] == end.vip) & (requests["port"] == end.port)
    return requests[here.fillna(value=False).to_numpy(dtype=bool)]


def _figures(
    end: VirtualEnd, ended: pd.DataFrame, begun: pd.DataFrame, held: tuple[Peak, ...]
) -> TargetFigures:
    failed, sent = has_failed(ended), ended["started"].notna().to_numpy(dtype=bool)
    opened = begun["started"].notna() & ~is_reused(begun)
    return TargetFigures(
        protocol=end.protocol,
        vip=end.vip,
        port=end.port,
        sent=int(sent.sum()),
        succeeded=int((~failed).sum()),
        failed=int((failed & sent).sum()),
        connections=int(opened.sum()),
        total_ms=latency(span_ms(ended[~failed], "begun", "ended")),
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
