"""The service that load is sent to, as a director has it."""

from __future__ import annotations

import pytest

from loadgen.director.target_service import has_service, server_ports, service_facts
from loadgen.target import Target
from tests.unit.loadgen.failover.sanity.test_rules import TABLE, VIP, facts

TCP80 = "TCP  C0A80A02:0050 rr"


def has(service: str, target: Target) -> bool | None:
    return has_service(facts(holds=True, table=TABLE.replace(TCP80, service)), target)


@pytest.mark.parametrize(
    ("service", "found"),
    [
        (TCP80, True),
        ("TCP  C0A80A02:0000 rr persistent 300 FFFFFFFF", True),  # a catch-all takes every port
        ("TCP  C0A80A02:0051 rr", False),
        ("TCP  C0A80A03:0050 rr", False),
        ("UDP  C0A80A02:0050 rr", False),
        ("FWM  00000102 rr", None),  # its mark may be set on packets to any address
    ],
)
def test_a_service_is_that_of_the_target_or_may_be(service: str, found: bool | None) -> None:
    assert has(service, Target(vip=VIP, port=80)) is found


def test_what_run_json_keeps_of_it() -> None:
    target = Target(vip=VIP, port=80)
    assert service_facts(facts(holds=True), [target]) == {"has_service": True, "real_servers": 2}
    bare = "\n".join(TABLE.splitlines()[:4]) + "\n"
    empty = facts(holds=True, table=bare)
    assert service_facts(empty, [target]) == {"has_service": True, "real_servers": 0}
    other = service_facts(facts(holds=True), [Target(vip=VIP, port=81)])
    assert other == {"has_service": False, "real_servers": None}


def test_of_several_targets_run_json_keeps_each() -> None:
    targets = [Target(vip=VIP, port=80), Target(vip=VIP, port=81)]
    assert service_facts(facts(holds=True), targets) == {
        "services": [
            {"vip": VIP, "port": 80, "protocol": "TCP", "has_service": True, "real_servers": 2},
            {"vip": VIP, "port": 81, "protocol": "TCP", "has_service": False, "real_servers": None},
        ]
    }


def test_servers_listen_at_the_services_port_and_at_their_own() -> None:
    table = TABLE.replace("C0A80A15:0050", "C0A80A15:1F90")
    held = [facts(holds=True, table=table)]
    assert server_ports(held, [Target(vip=VIP, port=80)]) == {80, 8080}
    assert server_ports(held, [Target(vip=VIP, port=80), Target(vip=VIP, port=81)]) == {
        80,
        81,
        8080,
    }
