"""The services that load is sent to, as a director has them when the run begins."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.ipvs.proc.formats import Service
    from loadgen.director.boot_facts import BootFacts
    from loadgen.target import Target


def has_service(facts: BootFacts, target: Target) -> bool | None:
    """Whether a director has a service for the target; None where that is not known.

    A service with port 0 takes every port of its VIP. One by firewall mark may be it, and so may
    a rule of netfilter, which is not read.
    """
    if facts.kind == "netfilter":
        return None
    if _services(facts, target):
        return True
    return None if any(service.fwmark for service in facts.services.services) else False


def service_facts(facts: BootFacts, targets: Sequence[Target]) -> dict[str, Any]:
    """What ``run.json`` keeps of them for a director.

    Returns:
        Of one target ``has_service`` as above, and ``real_servers``: how many it has; None without
        the service. Of several ``services``: a list of these, each with its target.
    """
    if len(targets) == 1:
        return _facts_of(facts, targets[0])
    return {"services": [asdict(target) | _facts_of(facts, target) for target in targets]}


def _facts_of(facts: BootFacts, target: Target) -> dict[str, Any]:
    services = _services(facts, target)
    count = sum(len(service.destinations) for service in services)
    return {
        "has_service": has_service(facts, target),
        "real_servers": count if services else None,
    }


def server_ports(facts: Sequence[BootFacts], targets: Sequence[Target]) -> set[int]:
    """Where the real servers listen: in nat it may be another port than the service's."""
    real = {
        server.port
        for known in facts
        for target in targets
        for service in _services(known, target)
        for server in service.destinations
        if server.port
    }
    return {target.port for target in targets} | real


def _services(facts: BootFacts, target: Target) -> list[Service]:
    return [
        service
        for service in facts.services.services
        if (service.address, service.protocol) == (target.vip, target.protocol)
        and service.port in (target.port, 0)
    ]
