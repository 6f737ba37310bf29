"""Checks of what the present rate of new connections needs: source ports, memory, the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.forecast.lifetimes import DEBIAN_HZ, EPHEMERAL_PORTS
from analyzer.forecast.model import port_budget, table_memory
from analyzer.health.model import check, name_of
from analyzer.ipvs import sctp
from analyzer.ipvs.proc.formats import entries_counted
from analyzer.ipvs.states import Timeouts
from analyzer.ipvs.table_status import in_words, is_full
from analyzer.ipvs.timers import granule_s

if TYPE_CHECKING:
    from collections.abc import Iterable

    from analyzer.health.model import Check, Health
    from analyzer.health.places import OwnedEntries
    from analyzer.ipvs.proc.formats import Service

FIXED_S = 120.0  # TIME_WAIT: where both sides' packets pass the director
MEMORY_SHARE = 0.5  # the part of the available memory that the table may take


def lifetime_s(
    service: Service, timeouts: Timeouts, hz: int, protocols: Iterable[str] = ()
) -> float:
    """The longest time that an entry of a closed connection is kept, seconds.

    Args:
        service: of the entries.
        timeouts: in force.
        hz: of the director.
        protocols: of the entries, if the service is a firewall mark; TCP if there are none.
    """
    tcp_s = FIXED_S if _sees_replies(service) else float(timeouts.tcpfin_s)
    kept_s = {"UDP": float(timeouts.udp_s), "SCTP": sctp.CLOSED_S}
    known = tuple(protocols) if service.address is None else (service.protocol,)
    governing_s = max((kept_s.get(protocol, tcp_s) for protocol in known), default=tcp_s)
    return governing_s + granule_s(governing_s, hz)


def _sees_replies(service: Service) -> bool:
    return any(server.forwarding in ("nat", "local") for server in service.destinations)


def _rates(health: Health, owned: OwnedEntries) -> list[tuple[Service, float, float]]:
    """Each service in use with its rate and its entries' lifetime."""
    rates = health.per_s or {}
    timeouts, hz = health.timeouts or Timeouts(), health.hz or DEBIAN_HZ
    used = [
        (service, rate)
        for service in health.services
        if (rate := rates.get(name_of(service), 0.0)) > 0
    ]
    return [
        (service, rate, lifetime_s(service, timeouts, hz, _protocols(owned, service)))
        for service, rate in used
    ]


def _protocols(owned: OwnedEntries, service: Service) -> set[str]:
    return {entry.protocol for entry in owned.of_service(name_of(service))}


def _unknown_rate(what: str, health: Health) -> Check | None:
    if health.per_s is None:
        why = health.why_no_rate or (
            "its counters cannot be read: root there, or sudo -n for ipvsadm"
        )
        return check(what, health.director, "not measured", why)
    if health.timeouts is None:
        return check(what, health.director, "not measured", "its timeouts cannot be read")
    used = any(health.per_s.get(name_of(service), 0.0) > 0 for service in health.services)
    return None if used else check(what, health.director, True, "no new connections at present")


def ports(health: Health, owned: OwnedEntries) -> Check:
    """Check that no client's port returns while its entry is still there."""
    what = "source ports"
    unknown = _unknown_rate(what, health)
    if unknown is not None:
        return unknown
    shares: dict[str, float] = {}
    for service, rate, kept_s in _rates(health, owned):
        sources = None if health.entries is None else _sources(owned, service)
        clients = max(sources or 1, 1)
        budget = port_budget(rate, clients, EPHEMERAL_PORTS, kept_s, client_held_s=0)
        share = rate / budget.entry_limit_per_s
        if share > 1 and (sources is None or health.sample_of):
            why = f"{name_of(service)}: {rate:.0f}/s; how many clients share it is not known"
            return check(what, health.director, "not measured", why)
        text = f"{name_of(service)}: {rate:.1f}/s, {share:.1%} of what the ports of "
        shares[text + _allowed_by(service, clients)] = share
    worst = max(shares, key=lambda text: shares[text])
    return check(what, health.director, shares[worst] <= 1, worst)


def _allowed_by(service: Service, clients: int) -> str:
    verb = "allows" if clients == 1 else "allow"
    one_port = service.address is not None and service.port
    asked = "" if one_port else " (counted once for each address and port that it asks for)"
    return f"{clients:,} client{'s' * (clients != 1)}{asked} {verb}"


def _sources(owned: OwnedEntries, service: Service) -> int:
    """Number of clients, counted for each address and port: one source port serves them all."""
    entries = owned.of_service(name_of(service))
    return len({(entry.client_ip, entry.protocol, entry.vip, entry.port) for entry in entries})


def memory(health: Health, owned: OwnedEntries) -> Check:
    """Check that the director has the memory for the entries that this rate makes."""
    what = "memory"
    unknown = _unknown_rate(what, health)
    if unknown is not None:
        return unknown
    entries = round(sum(rate * kept_s for _, rate, kept_s in _rates(health, owned)))
    cost = table_memory(entries, health.conn_tab_bits, health.entry_bytes)
    text = f"{entries:,} entries at this rate, {cost.slab_bytes / 1e6:.1f} MB"
    if health.memory_available_bytes is None:
        why = f"{text}; what is available is not known"
        return check(what, health.director, "not measured", why)
    share = cost.slab_bytes / health.memory_available_bytes
    text += f" ({share:.2%} of what is available)"
    if not health.law.table_resizes:  # else its present size says nothing of that many entries
        text += f", chains of {cost.chain_length:.2f}"
    return check(what, health.director, share <= MEMORY_SHARE, text)


def table(health: Health) -> Check:
    """Check that the table takes more entries; since Linux 7.2 it has a limit, ``conn_max``."""
    counted = entries_counted(health.services)
    status, most = health.table_status, health.conn_max
    held = counted if status is None else status.entries
    text = (
        f"{counted:,} entries by the counters, in {2**health.conn_tab_bits:,} buckets"
        if status is None
        else f"{in_words(status)}, by /proc/net/ip_vs_status"
    )
    text += "; it grows by itself" if health.law.table_resizes else ""
    text += f"; at most {most:,} (conn_max)" if most is not None else ""
    full = most is not None and is_full(held, most)
    text += ": a SYN beyond gets no entry and no answer" if full else ""
    return check("table of entries", health.director, not full, text)
