"""Which of the services that load was sent to a director was seen not to have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from analyzer.arrays import Bools
    from analyzer.evidence.evidence import Evidence
    from analyzer.observed.parted import Parted
    from analyzer.recording.director import Director
    from analyzer.wire.segments import Segments, VirtualEnd


def services_lacking(director: Director, evidence: Evidence) -> tuple[VirtualEnd, ...]:
    """The run's services that a director had neither at the start nor at any poll.

    As recorded where the run noted it; else by polls of the services none of which has a row of
    it, where no entry of it was seen either. A service by firewall mark may take the packets of
    any VIP: where the director has one, it is not known. Nor is it of a netfilter director, whose
    services only its entries show.
    """
    if director.kind == "netfilter":
        return ()
    return tuple(end for end in evidence.sent_to if _lacks(director, evidence, end))


def _lacks(director: Director, evidence: Evidence, end: VirtualEnd) -> bool:
    held = director.held(end)
    record = evidence.by_director[director.name]
    if held.has_service or _has_entries(record.entries, end, evidence):
        return False
    if held.has_service is None:
        return bool(len(record.polls)) and _sent_itself(evidence) and record.services.empty
    return not rows_of(record.services, end).any()


def _has_entries(entries: Parted, end: VirtualEnd, evidence: Evidence) -> bool:
    """Whether a director was seen with entries of a service; of the only one, with any."""
    if len(evidence.sent_to) == 1:
        return not entries.empty
    return any(bool(_at(rows, end, (end.port,)).any()) for rows in entries)


def _sent_itself(evidence: Evidence) -> bool:
    """Whether the run polled the service that it sent to: a poll without a row then counts."""
    return evidence.manifest.command in ("burst", "failover")


def rows_of(services: pd.DataFrame, end: VirtualEnd) -> pd.Series:
    """Rows of ``services/`` that may be the service: its own, a catch-all port's, a mark's."""
    return _at(services, end, (end.port, 0)) | services["fwmark"].notna()


def _at(rows: pd.DataFrame, end: VirtualEnd, ports: tuple[int, ...]) -> pd.Series:
    here = (rows["vip"] == end.vip) & (rows["protocol"] == end.protocol)
    here &= rows["port"].isin(ports)
    return here.fillna(value=False)


def to_services_held(director: Director, evidence: Evidence, segments: Segments) -> Bools:
    """Which segments are of a service that the director may have; shape (n,).

    Packets to another are its own host's: no entry comes of them.
    """
    lacking = services_lacking(director, evidence)

    def held(part: Segments) -> Bools:
        if not lacking or not len(part.flow):
            return np.ones(len(part.flow), dtype=bool)
        flows = segments.flows.iloc[part.flow[0] : part.flow[-1] + 1]
        lacked = [_at(flows, end, (end.port,)).to_numpy(dtype=bool) for end in lacking]
        return np.asarray(~np.logical_or.reduce(lacked)[part.flow - part.flow[0]])

    return segments.where(held)
