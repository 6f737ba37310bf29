"""Services of a netfilter director, as its entries show them."""

from __future__ import annotations

import pytest

from analyzer.conntrack import services as services_module
from analyzer.conntrack.proc import read_conntrack
from analyzer.conntrack.services import ACTIVE, ServicesSeen
from analyzer.ipvs.proc.formats import Destination, Service

ROW = (
    "ipv4     2 {protocol} 9 {state}src=10.0.0.1 dst=10.1.0.2 sport={port} dport=80 "
    "src={server} dst=10.0.0.1 sport=8080 dport={port} {flag}mark=0 zone=0 use=2\n"
)


def tcp(state: str, port: int, server: str = "10.2.0.1") -> str:
    return ROW.format(protocol="tcp      6", state=f"{state} ", port=port, server=server, flag="")


def server(address: str, active: int, inactive: int) -> Destination:
    return Destination(
        address=address, port=8080, forwarding="nat", weight=1, active=active, inactive=inactive
    )


def test_what_goes_on_is_active_and_what_waits_is_inactive() -> None:
    states = ["ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT", "CLOSE_WAIT", "TIME_WAIT", "CLOSE"]
    text = "".join(tcp(state, 4000 + number) for number, state in enumerate(states))
    text += tcp("ESTABLISHED", 5000, "10.2.0.2")
    (service,) = ServicesSeen().update(read_conntrack(text).rows)
    assert service == Service(
        protocol="TCP",
        address="10.1.0.2",
        port=80,
        fwmark=None,
        scheduler="netfilter",
        destinations=(server("10.2.0.1", 1, 6), server("10.2.0.2", 1, 0)),
    )


@pytest.mark.parametrize(
    ("reply", "flag", "active"),
    [("[UNREPLIED] ", "", 0), ("", "", 1), ("", "[ASSURED] ", 1), ("", "[OFFLOAD] ", 1)],
)
def test_a_datagram_s_flow_is_active_once_it_is_answered(
    reply: str, flag: str, active: int
) -> None:
    text = ROW.format(protocol="udp      17", state="", port=4000, server="10.2.0.1", flag=flag)
    text = text.replace("src=10.2", f"{reply}src=10.2")
    (service,) = ServicesSeen().update(read_conntrack(text).rows)
    (found,) = service.destinations
    assert (service.protocol, found.active, found.inactive) == ("UDP", active, 1 - active)


def test_a_server_that_was_seen_stays_with_no_entries() -> None:
    seen = ServicesSeen()
    assert seen.update(read_conntrack("").rows) == ()
    seen.update(read_conntrack(tcp("ESTABLISHED", 4000)).rows)
    (service,) = seen.update(read_conntrack("").rows)
    assert service.destinations == (server("10.2.0.1", 0, 0),)


def test_there_is_a_most_of_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services_module, "MOST_SERVERS", 2)
    text = "".join(tcp("TIME_WAIT", 4000, f"10.2.0.{number}") for number in range(1, 6))
    (service,) = ServicesSeen().update(read_conntrack(text).rows)
    assert len(service.destinations) == 2


def test_active_are_the_states_of_connections_that_go_on() -> None:
    assert {"ESTABLISHED", "REPLIED", "ASSURED", "OFFLOAD"} == ACTIVE
