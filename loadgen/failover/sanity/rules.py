"""Is the set-up sane before a fault? If it is not, the run would prove nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analyzer.ipvs.proc.formats import Service
    from loadgen.director.boot_facts import BootFacts
    from loadgen.target import Target

    Known = Mapping[str, BootFacts]


def insanities(known: Known, target: Target, where: str | None = None) -> list[str]:
    """What is wrong, a line each; none of a set-up that is as it should be.

    Args:
        known: what each director said of itself, by name.
        target: the service that the fail-over is about.
        where: the host that is to fail; None where that is not known.
    """
    return [
        *_holders(known, target.vip),
        *_no_holder(known, target.vip, where),
        *_services(known, target),
    ]


def unknown(known: Known, vip: str) -> list[str]:
    """Which directors do not tell whether they hold the VIP."""
    return [
        name for name, facts in known.items() if facts.director_settings.vips_held({vip}) is None
    ]


def holders(known: Known, vip: str) -> list[str]:
    """The directors that have the VIP as an address of theirs."""
    return [name for name, facts in known.items() if facts.director_settings.vips_held({vip})]


def _holders(known: Known, vip: str) -> list[str]:
    names = holders(known, vip)
    if len(names) != 1 and not unknown(known, vip):
        return [f"{vip} is held by {' and '.join(names) or 'nobody'}, expected one director"]
    others = [name for name in known if name not in names]
    return [
        f"{name} is no BACKUP: keepalived does not run there"
        for name in others
        if not known[name].director_settings.keepalived
    ]


def _no_holder(known: Known, vip: str, where: str | None) -> list[str]:
    """A director that fails has to be the one that holds the VIP; else nothing fails over."""
    names = holders(known, vip)
    if where not in known or len(names) != 1 or where in names:
        return []
    return [f"{where} is to fail, and {vip} is held by {names[0]}: nothing would move"]


def _services(known: Known, target: Target) -> list[str]:
    """Every director needs the service, and the same one."""
    tables = {
        name: sorted(map(_shape, _of(facts.services.services, target)))
        for name, facts in known.items()
    }
    missing = [
        f"{name} has no service {target.protocol} {target.vip}:{target.port}"
        for name, table in tables.items()
        if not table
    ]
    first = next(iter(tables), "")
    differ = [
        f"{name} has another service {target.vip}:{target.port} than {first}"
        for name, table in tables.items()
        if table and tables[first] and table != tables[first]
    ]
    return missing + differ


def _of(services: Sequence[Service], target: Target) -> list[Service]:
    return [
        service
        for service in services
        if (service.address, service.port, service.protocol)
        == (target.vip, target.port, target.protocol)
    ]


def _shape(service: Service) -> tuple[object, ...]:
    """What two directors must have alike; counters are each one's own."""
    servers = [
        (server.address, server.port, server.forwarding, server.weight)
        for server in service.destinations
    ]
    return (str(service.scheduler), *sorted(servers))
