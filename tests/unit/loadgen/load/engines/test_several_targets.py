"""Several targets of one plan: connections take them in turn, and every row says which."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.recording.tables import table_of
from loadgen.errors import UsageProblem
from loadgen.load.engines.abilities import refusal
from loadgen.load.engines.rows import NONE, WIDTH, Row, columns_of
from loadgen.load.engines.tally import TargetTally
from loadgen.load.engines.workers.share import parts
from loadgen.load.plan import Datagram, PlannedTarget, Request
from loadgen.target import Target
from tests.unit.loadgen.load.engines.conduct import ENGINES, Kept, plan
from tests.unit.loadgen.servers import NOT_FOUND, OK, Server

if TYPE_CHECKING:
    from loadgen.load.plan import LoadPlan

BOTH = pytest.mark.parametrize("engine", list(ENGINES))


@dataclass
class Two:
    """Two servers, at addresses of their own."""

    first: Server
    second: Server


def two(answer: bytes | None = OK, **more: Any) -> Two:
    return Two(Server(OK, host="127.0.0.2", **more), Server(answer, host="127.0.0.3", **more))


def planned(servers: Two, **more: Any) -> LoadPlan:
    other = more.pop("other", Request(path="/second"))
    target = Target(vip=servers.second.host, port=servers.second.port)
    others = (PlannedTarget(target=target, request=other),)
    return plan(servers.first.port, vip=servers.first.host, others=others, path="/first", **more)


def sent(engine: str, servers: Two, processes: int = 1, **more: Any) -> list[dict[str, Any]]:
    """The rows of a plan carried out at both servers."""
    outlet = Kept()

    async def main() -> None:
        async with servers.first.running(), servers.second.running():
            load_plan = planned(servers, processes=processes, **more)
            for share in parts(load_plan, time.time_ns()):
                await asyncio.to_thread(ENGINES[engine], share, outlet)

    asyncio.run(main())
    return outlet.shown()


def at(server: Server) -> set[tuple[str, int]]:
    return set(server.peers)


@BOTH
@pytest.mark.parametrize("processes", [1, 3])
def test_requests_go_to_the_targets_in_turn(engine: str, processes: int) -> None:
    servers = two()
    rows = sent(engine, servers, requests=7, concurrency=3, processes=processes)
    assert [row["error"] for row in rows] == [None] * 7
    even = {(row["source"], row["port"]) for row in rows if row["number"] % 2 == 0}
    odd = {(row["source"], row["port"]) for row in rows if row["number"] % 2 == 1}
    assert (at(servers.first), at(servers.second)) == (even, odd)
    assert (len(servers.first.peers), len(servers.second.peers)) == (4, 3)


@BOTH
def test_each_target_is_asked_for_its_own_path_under_its_own_name(engine: str) -> None:
    servers = two()
    sent(engine, servers, requests=2, other=Request(path="/second", authority="shop.example"))
    assert servers.first.requests[0].startswith(b"HEAD /first HTTP/1.1\r\n")
    assert f"Host: 127.0.0.2:{servers.first.port}\r\n".encode() in servers.first.requests[0]
    assert servers.second.requests[0].startswith(b"HEAD /second HTTP/1.1\r\n")
    assert b"Host: shop.example\r\n" in servers.second.requests[0]


@BOTH
def test_a_connection_that_carries_several_requests_stays_at_its_target(engine: str) -> None:
    servers = two(keeps_alive=True)
    rows = sent(engine, servers, requests=10, requests_per_connection=3)
    assert [row["error"] for row in rows] == [None] * 10
    ports = [row["port"] for row in rows]
    assert [len(set(ports[at : at + 3])) for at in (0, 3, 6)] == [1, 1, 1]
    assert sorted(servers.first.served.values()) == [3, 3]
    assert sorted(servers.second.served.values()) == [1, 3]


@BOTH
def test_what_a_server_breaks_off_goes_on_at_the_same_target(engine: str) -> None:
    servers = two(keeps_alive=True, closes_after=1, announces=True)
    rows = sent(engine, servers, requests=8, requests_per_connection=4)
    assert [row["error"] for row in rows] == [None] * 8
    assert (len(servers.first.peers), len(servers.second.peers)) == (4, 4)


@BOTH
def test_every_target_is_reached_from_every_source(engine: str) -> None:
    servers = two()
    sources = ("127.0.0.11", "127.0.0.12")
    sent(engine, servers, requests=8, sources=sources)
    for server in (servers.first, servers.second):
        assert sorted(address for address, _ in server.peers) == sorted([*sources, *sources])


def test_a_redirect_is_followed_at_the_target_that_sent_it() -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"
    servers = two(moved, elsewhere=OK)
    rows = sent("http", servers, requests=2, redirects=2, other=Request(path="/", redirects=2))
    assert [(row["number"], row["followed"]) for row in rows] == [(0, None), (1, 1), (1, None)]
    assert (len(servers.first.peers), len(servers.second.peers)) == (1, 2)


def test_a_target_that_fails_does_not_touch_the_others() -> None:
    servers = two(NOT_FOUND)
    rows = sent("http", servers, requests=4)
    assert [row["failure"] for row in rows] == [None, "http-4xx", None, "http-4xx"]


def lines(*numbers: int, failed: bool = False) -> Any:
    rows = np.full((len(numbers), WIDTH), NONE, np.int64)
    rows[:, Row._fields.index("number")] = numbers
    rows[:, Row._fields.index("scheduled")] = 1
    if failed:
        rows[:, Row._fields.index("error")] = 0
    return rows


def of_two(**more: Any) -> LoadPlan:
    others = (
        PlannedTarget(
            target=Target(vip="10.0.0.2", port=8080), request=Request(authority="shop.example")
        ),
    )
    return plan(80, vip="10.0.0.1", others=others, **more)


def test_a_row_says_where_its_request_went() -> None:
    table = table_of("requests", columns_of(lines(0, 1, 2, 5), [], of_two()))
    assert table["vip"].to_pylist() == ["10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.2"]
    assert table["port"].to_pylist() == [80, 8080, 80, 8080]
    assert table["host"].to_pylist() == ["10.0.0.1", "shop.example"] * 2
    kept_alive = table_of(
        "requests", columns_of(lines(0, 1, 2, 3, 4), [], of_two(requests_per_connection=2))
    )
    assert kept_alive["port"].to_pylist() == [80, 80, 8080, 8080, 80]


@given(
    numbers=st.lists(st.integers(0, 10**9 - 1), min_size=1, max_size=20),
    per=st.integers(1, 7),
    processes=st.integers(1, 4),
)
def test_the_target_of_a_row_is_that_of_its_connection(
    numbers: list[int], per: int, processes: int
) -> None:
    load_plan = of_two(requests_per_connection=per, processes=processes, requests=10**9)
    ports = table_of("requests", columns_of(lines(*numbers), [], load_plan))["port"].to_pylist()
    for number, port in zip(numbers, ports, strict=True):
        connection = number // per
        assert number in load_plan.division.numbers(connection)
        assert port == load_plan.planned_targets[connection % 2].target.port


def test_addresses_without_a_success_are_known() -> None:
    tally = TargetTally(of_two())
    assert tally.vips_without_success() == []
    tally.add(lines(0, 2))
    tally.add(lines(1, 3, failed=True))
    assert tally.vips_without_success() == ["10.0.0.2"]
    tally.add(lines(5))
    assert tally.vips_without_success() == []


def test_a_manifest_lists_the_targets_only_where_they_are_several() -> None:
    assert "targets" not in plan(80).manifest()
    shown = of_two().manifest()
    assert shown["target"] == {"vip": "10.0.0.1", "port": 80, "protocol": "TCP"}
    assert [(each["vip"], each["port"]) for each in shown["targets"]] == [
        ("10.0.0.1", 80),
        ("10.0.0.2", 8080),
    ]
    assert shown["targets"][1]["request"]["authority"] == "shop.example"


def test_what_does_not_go_together_is_refused() -> None:
    assert refusal("packets", of_two()) == (
        "--engine packets cannot do several targets: its frames go to one VIP and port"
    )
    secured = (PlannedTarget(target=Target(vip="10.0.0.2", port=443), request=Request(tls=True)),)
    assert refusal("sockets", plan(80, others=secured)) is not None
    six = (PlannedTarget(target=Target(vip="fd00::2", port=80), request=Request()),)
    with pytest.raises(UsageProblem, match="--local-ips: expected addresses of the VIP's family"):
        plan(80, others=six, sources=("127.0.0.1",))
    udp = Target(vip="10.0.0.1", port=53, protocol="UDP")
    with pytest.raises(UsageProblem, match="one protocol"):
        plan(53, target=udp, datagram=Datagram(), others=secured)
