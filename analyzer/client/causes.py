"""Why nothing answered: a service that no director has, a VIP that no host on the link owns.

What a client sees of these is a refusal or a timeout, like that of any other fault. The directors'
own tables, the packets and the client's neighbour table distinguish them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from analyzer.evidence.evidence import Evidence
    from analyzer.recording.director import Director
    from analyzer.wire.segments import VirtualEnd

NEIGHBOUR = "neighbour"
"""Kind of the event by which a run notes the VIP's entry in the client's neighbour table."""

_FAILED = ("FAILED", "INCOMPLETE")


def lacks_service(director: Director, evidence: Evidence) -> bool:
    """Whether a director was seen not to have the run's service, at the start nor at any poll.

    As recorded where the run noted it; else by polls of the services none of which has a row of
    it, where no entry of it was seen either. A service by firewall mark may take the packets of
    any VIP: where the director has one, it is not known. Nor is it of a netfilter director, whose
    services only its entries show.
    """
    if evidence.service is None or director.has_service or director.kind == "netfilter":
        return False
    record = evidence.by_director[director.name]
    if len(record.entries):
        return False
    if director.has_service is None:
        return bool(len(record.polls)) and _sent_itself(evidence) and record.services.empty
    return not _of_service(record.services, evidence.service).any()


def servers_missing(director: Director, evidence: Evidence) -> bool:
    """Whether a director has the run's service and never had a real server to send to.

    By the weights at all polls; where these have no row of it, by what it had at the start.
    """
    if evidence.service is None or director.has_service is False:
        return False
    rows = evidence.by_director[director.name].services
    weights = rows["weight"][_of_service(rows, evidence.service)]
    if weights.empty:
        return director.has_service is True and director.real_servers == 0
    return not (weights.fillna(1) > 0).any()


def _sent_itself(evidence: Evidence) -> bool:
    """Whether the run polled the service that it sent to: a poll without a row then counts."""
    return evidence.manifest.command in ("burst", "failover")


def _of_service(rows: pd.DataFrame, service: VirtualEnd) -> pd.Series:
    """Rows of ``services/`` that may be the service: its own, a catch-all port's, a mark's."""
    here = (rows["vip"] == service.vip) & (rows["protocol"] == service.protocol)
    here &= rows["port"].isin([service.port, 0])
    return here.fillna(value=False) | rows["fwmark"].notna()


def unanswered(evidence: Evidence) -> str | None:
    """The VIP, if ARP requests for it were sent and none was answered; None if that is not known.

    By ARP on the wire, or by what the client's neighbour table had at the end.
    """
    if evidence.service is None:
        return None
    vip = evidence.service.vip
    nobody_answered = _unanswered_on_the_wire(evidence, vip) or _failed_neighbour(evidence, vip)
    return vip if nobody_answered else None


def _unanswered_on_the_wire(evidence: Evidence, vip: str) -> bool:
    claims = evidence.announcements.claims if evidence.announcements else ()
    asked = any(claim.kind == "arp-request" and claim.target == vip for claim in claims)
    return asked and not any(claim.address == vip and claim.kind != "arp-probe" for claim in claims)


def _failed_neighbour(evidence: Evidence, vip: str) -> bool:
    rows = evidence.events[evidence.events["kind"] == NEIGHBOUR]
    return any(str(detail) in [f"{vip} {state}" for state in _FAILED] for detail in rows["detail"])
