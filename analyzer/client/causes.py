"""Why nothing answered: a service that no director has, a VIP that no host on the link owns.

What a client sees of these is a refusal or a timeout, like that of any other fault. The directors'
own tables, the packets and the client's neighbour table distinguish them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.evidence.held import rows_of, services_lacking

if TYPE_CHECKING:
    from analyzer.evidence.evidence import Evidence
    from analyzer.recording.director import Director
    from analyzer.wire.segments import VirtualEnd

NEIGHBOUR = "neighbour"
"""Kind of the event by which a run notes the VIP's entry in the client's neighbour table."""

_FAILED = ("FAILED", "INCOMPLETE")


def lacks_services(director: Director, evidence: Evidence) -> bool:
    """Whether a director was seen to have none of the services that load was sent to."""
    sent_to = evidence.sent_to
    return bool(sent_to) and len(services_lacking(director, evidence)) == len(sent_to)


def services_without_servers(director: Director, evidence: Evidence) -> tuple[VirtualEnd, ...]:
    """The run's services that a director has, and never had a real server to send to for.

    By the weights at all polls; where these have no row of it, by what it had at the start.
    """
    return tuple(end for end in evidence.sent_to if _lacks_servers(director, evidence, end))


def _lacks_servers(director: Director, evidence: Evidence, end: VirtualEnd) -> bool:
    held = director.held(end)
    if held.has_service is False:
        return False
    rows = evidence.by_director[director.name].services
    weights = rows["weight"][rows_of(rows, end)]
    if weights.empty:
        return held.has_service is True and held.real_servers == 0
    return not (weights.fillna(1) > 0).any()


def is_unanswered(evidence: Evidence, vip: str) -> bool:
    """Whether ARP requests for a VIP were sent and none was answered; False if that is not known.

    By ARP on the wire, or by what the client's neighbour table had at the end.
    """
    return _unanswered_on_the_wire(evidence, vip) or _failed_neighbour(evidence, vip)


def _unanswered_on_the_wire(evidence: Evidence, vip: str) -> bool:
    claims = evidence.announcements.claims if evidence.announcements else ()
    asked = any(claim.kind == "arp-request" and claim.target == vip for claim in claims)
    return asked and not any(claim.address == vip and claim.kind != "arp-probe" for claim in claims)


def _failed_neighbour(evidence: Evidence, vip: str) -> bool:
    rows = evidence.events[evidence.events["kind"] == NEIGHBOUR]
    return any(str(detail) in [f"{vip} {state}" for state in _FAILED] for detail in rows["detail"])
