"""What the present rate of connections comes to: source ports and memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.forecast.lives import DEBIAN_HZ, EPHEMERAL_PORTS
from analyzer.forecast.model import port_budget, table_memory
from analyzer.health.model import made, name_of
from analyzer.ipvs import sctp
from analyzer.ipvs.proc.formats import entries_counted
from analyzer.ipvs.states import Timeouts
from analyzer.ipvs.table_status import in_words, is_full
from analyzer.ipvs.timers import granule_s

if TYPE_CHECKING:
    from collections.abc import Iterable

    from analyzer.health.model import Check, Health
    from analyzer.health.places import Sorted
    from analyzer.ipvs.proc.formats import Service

FIXED_S = 120.0  # TIME_WAIT: where both sides' packets pass the director
MEMORY_SHARE = 0.5  # of what is available, that the table may come to take


def lifetime_s(
    service: Service, timeouts: Timeouts, hz: int, protocols: Iterable[str] = ()
) -> float:
    """How long an entry of a closed connection is kept at the longest, seconds.

    Args:
        service: whose entries.
        timeouts: in force.
        hz: of the director.
        protocols: of the entries, where the service is a firewall mark's; TCP where there are none.
    """
    tcp_s = FIXED_S if _sees_replies(service) else float(timeouts.tcpfin_s)
    kept_s = {"UDP": float(timeouts.udp_s), "SCTP": sctp.CLOSED_S}
    known = tuple(protocols) if service.address is None else (service.protocol,)
    governing_s = max((kept_s.get(protocol, tcp_s) for protocol in known), default=tcp_s)
    return governing_s + granule_s(governing_s, hz)


def _sees_replies(service: Service) -> bool:
    return any(server.forwarding in ("nat", "local") for server in service.destinations)


def _rates(one: Health, found: Sorted) -> list[tuple[Service, float, float]]:
    """Each service with its rate and its entries' lifetime; those that nobody uses left out."""
    rates = one.per_s or {}
    timeouts, hz = one.timeouts or Timeouts(), one.hz or DEBIAN_HZ
    used = [
        (service, rate)
        for service in one.services
        if (rate := rates.get(name_of(service), 0.0)) > 0
    ]
    return [
        (service, rate, lifetime_s(service, timeouts, hz, _protocols(found, service)))
        for service, rate in used
    ]


def _protocols(found: Sorted, service: Service) -> set[str]:
    return {entry.protocol for entry in found.of_service(name_of(service))}


def _unknown_rate(what: str, one: Health) -> Check | None:
    if one.per_s is None:
        why = one.why_no_rate or "its counters cannot be read: root there, or sudo -n for ipvsadm"
        return made(what, one.director, "not measured", why)
    if one.timeouts is None:
        return made(what, one.director, "not measured", "its timeouts cannot be read")
    used = any(one.per_s.get(name_of(service), 0.0) > 0 for service in one.services)
    return None if used else made(what, one.director, True, "no new connections at present")


def ports(one: Health, found: Sorted) -> Check:
    """Would a client's port come back while its entry is still there?"""
    what = "source ports"
    unknown = _unknown_rate(what, one)
    if unknown is not None:
        return unknown
    shares: dict[str, float] = {}
    for service, rate, kept_s in _rates(one, found):
        sources = None if one.entries is None else _sources(found, service)
        clients = max(sources or 1, 1)
        budget = port_budget(rate, clients, EPHEMERAL_PORTS, kept_s, client_held_s=0)
        share = rate / budget.entry_limit_per_s
        if share > 1 and (sources is None or one.sample_of):
            why = f"{name_of(service)}: {rate:.0f}/s; how many clients share it is not known"
            return made(what, one.director, "not measured", why)
        text = f"{name_of(service)}: {rate:.1f}/s, {share:.1%} of what the ports of "
        shares[text + _allow(service, clients)] = share
    worst = max(shares, key=lambda text: shares[text])
    return made(what, one.director, shares[worst] <= 1, worst)


def _allow(service: Service, clients: int) -> str:
    verb = "allows" if clients == 1 else "allow"
    one_port = service.address is not None and service.port
    asked = "" if one_port else " (counted once for each address and port that it asks for)"
    return f"{clients:,} client{'s' * (clients != 1)}{asked} {verb}"


def _sources(found: Sorted, service: Service) -> int:
    """Clients, each once for every address and port: a source port serves them all at a time."""
    own = found.of_service(name_of(service))
    return len({(entry.client_ip, entry.protocol, entry.vip, entry.port) for entry in own})


def memory(one: Health, found: Sorted) -> Check:
    """Has the director the memory for the entries that this rate comes to?"""
    what = "memory"
    unknown = _unknown_rate(what, one)
    if unknown is not None:
        return unknown
    entries = round(sum(rate * kept_s for _, rate, kept_s in _rates(one, found)))
    cost = table_memory(entries, one.conn_tab_bits, one.entry_bytes)
    text = f"{entries:,} entries at this rate, {cost.slab_bytes / 1e6:.1f} MB"
    if one.memory_available_bytes is None:
        why = f"{text}; what is available is not known"
        return made(what, one.director, "not measured", why)
    share = cost.slab_bytes / one.memory_available_bytes
    text += f" ({share:.2%} of what is available)"
    if not one.law.table_resizes:  # else its present size says nothing of that many entries
        text += f", chains of {cost.chain_length:.2f}"
    return made(what, one.director, share <= MEMORY_SHARE, text)


def table(one: Health) -> Check:
    """Does the table take more entries? Since Linux 7.2 it has a limit, ``conn_max``."""
    counted = entries_counted(one.services)
    status, most = one.table_status, one.conn_max
    held = counted if status is None else status.entries
    text = (
        f"{counted:,} entries by the counters, in {2**one.conn_tab_bits:,} buckets"
        if status is None
        else f"{in_words(status)}, by /proc/net/ip_vs_status"
    )
    text += "; it grows by itself" if one.law.table_resizes else ""
    text += f"; at most {most:,} (conn_max)" if most is not None else ""
    full = most is not None and is_full(held, most)
    text += ": a SYN beyond gets no entry and no answer" if full else ""
    return made("table of entries", one.director, not full, text)
