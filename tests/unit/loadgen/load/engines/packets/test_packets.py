"""The packets engine against a real nginx: what the rows say, and what the server's kernel sees."""

from __future__ import annotations

import re
import subprocess
import threading
from ipaddress import ip_address
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from loadgen.errors import UsageProblem
from loadgen.load.engines.packets.wire.egress import check_egress
from loadgen.load.hold import Hold
from loadgen.load.plan import ClosedModel, OpenModel, Stage
from loadgen.target import Target
from tests.unit.loadgen.load.engines.packets.stand import (
    HOST_IP,
    HOST_IP6,
    LARGE,
    NOBODY,
    NOBODY6,
    OTHER_IP,
    OTHER_IP6,
    POOL,
    POOL6,
    SERVER_IP,
    SERVER_IP6,
    SMALL,
    Stand,
    stand,
)
from tests.unit.loadgen.wire import needs_root
from tests.unit.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analyzer.forecast.closings import Close

pytestmark = needs_root

INSTANTS = ("scheduled", "started", "connected", "first_byte", "ended", "closed")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    with stand(tmp_path_factory.mktemp("nginx")) as made:
        yield made


def once_each(rows: list[dict[str, Any]], requests: int) -> None:
    assert [row["number"] for row in rows] == list(range(requests))


@pytest.mark.parametrize("version", [4, 6])
def test_each_request_is_a_connection_and_a_row(version: int, here: Stand) -> None:
    rows, outlet = here.carry_out(here.plan(400, 20, version=version))
    once_each(rows, 400)
    assert {(row["error"], row["status"], row["size"]) for row in rows} == {(None, 200, len(SMALL))}
    assert len({(row["source"], row["port"]) for row in rows}) == 400
    assert {row["source"] for row in rows} == set(POOL6 if version == 6 else POOL)
    assert {row["retransmits"] for row in rows} == {0}
    assert all(row["rtt_us"] > 0 for row in rows)
    for row in rows:
        instants = [row[name] for name in INSTANTS]
        assert instants == sorted(instants)
    sent, ours_again, theirs_again = (
        int(number.replace(",", "")) for number in re.findall(r"[0-9,]*[0-9]", outlet.said[0])[:3]
    )
    assert ours_again == 0
    assert sent - theirs_again == 1600  # a server that waits long repeats itself


CLOSERS: dict[Close, str] = {
    "client": "client",
    "server": "server",
    "reset": "reset",
    "half": "client",
    "never": "none",
    "abandon": "none",
    "half-open": "none",
    "silent": "none",
    "fin-no-ack": "client",
    "reset-syn": "reset",
    "reset-open": "reset",
    "reset-answer": "reset",
    "reset-fin": "client",
}
STATES = ("established", "close-wait", "time-wait", "syn-recv", "last-ack")
LEFT: dict[Close, str] = {
    "abandon": "established",
    "half-open": "syn-recv",
    "silent": "established",
    "fin-no-ack": "last-ack",
}
"""What a silent end leaves the server's sockets in, for as long as it goes on trying."""


@pytest.mark.parametrize(
    ("close", "version"),
    [*((close, 4) for close in CLOSERS), ("client", 6), ("server", 6), ("reset", 6), ("silent", 6)],
)
def test_every_way_of_closing_is_seen_so_by_the_server(
    close: Close, version: int, here: Stand
) -> None:
    seen: dict[str, set[tuple[str, int]]] = {}

    def look() -> None:
        seen.update({state: here.peers(state) for state in STATES})

    rows, _ = here.carry_out(here.plan(50, close=close, version=version), look)
    once_each(rows, 50)
    assert {(row["error"], row["closer"]) for row in rows} == {(None, CLOSERS[close])}
    ours = {(str(ip_address(row["source"])), row["port"]) for row in rows}
    waits_in = LEFT | {"never": "established", "server": "time-wait"}
    for state in STATES:
        assert len(seen[state] & ours) == (50 if waits_in.get(close) == state else 0), state
    # what was left stays with the server; what never closed is reset when the run ends
    left = 50 if LEFT.get(close) == "established" else 0
    assert len(here.peers("established") & ours) == left


@pytest.mark.parametrize("close", ["client", "server", "reset"])
def test_a_hold_stands_between_answer_and_close(close: Close, here: Stand) -> None:
    rows, _ = here.carry_out(here.plan(20, 20, close=close, hold=Hold(given_s=(0.05,))))
    assert min(row["closed"] - row["ended"] for row in rows) >= 0.049e9


def test_each_connection_is_held_for_its_own_time(here: Stand) -> None:
    hold = Hold(distribution="exponential", given_s=(0.1,), seed=5)

    def latest_ns() -> Any:
        rows, _ = here.carry_out(here.plan(40, 40, hold=hold))
        late_ns = [row["closed"] - row["ended"] - hold.ns(row["number"]) for row in rows]
        assert min(late_ns) > -1e6
        return max(late_ns)

    assert wait_until(lambda: latest_ns() < 0.1e9)  # a machine that is busy stalls now and then


@pytest.mark.parametrize(
    ("close", "since"),
    [("reset-syn", "connected"), ("reset-open", "connected"), ("reset-answer", "first_byte")],
)
def test_a_reset_comes_so_long_after_its_point(close: Close, since: str, here: Stand) -> None:
    options = {"close": close, "path": "/large", "hold": Hold(given_s=(0.05,))}

    def longest_s() -> Any:
        rows, _ = here.carry_out(here.plan(20, 20, **options))
        waited_s = [(row["closed"] - row[since]) / 1e9 for row in rows]
        assert min(waited_s) >= 0.049
        return max(waited_s)

    assert wait_until(lambda: longest_s() < 0.5)  # a machine that is busy stalls now and then


@pytest.mark.parametrize("version", [4, 6])
def test_an_answer_of_many_segments_is_counted_to_its_end(version: int, here: Stand) -> None:
    rows, _ = here.carry_out(here.plan(20, 5, path="/large", version=version))
    assert {(row["error"], row["size"]) for row in rows} == {(None, len(LARGE))}


def test_a_port_goes_out_again_when_it_has_rested(here: Stand) -> None:
    few = ClosedModel(requests=120, concurrency=4, think_s=0.01)
    options = here.plan(120, arrivals=few, port_reuse_s=0.1, sources=POOL[:1])
    rows, _ = here.carry_out(options)
    assert {row["error"] for row in rows} == {None}
    by_port: dict[int, list[dict[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: row["started"]):
        by_port.setdefault(row["port"], []).append(row)
    assert len(by_port) < 100
    for used in by_port.values():
        for one, other in pairwise(used):
            assert other["started"] - one["closed"] >= 0.1e9


@pytest.mark.parametrize("close", ["abandon", "half-open"])
def test_the_port_of_one_that_was_left_goes_out_again_too(close: Close, here: Stand) -> None:
    """The server remembers it and says so; our RST makes it forget (RFC 5961, 4.2)."""
    two = ClosedModel(requests=2, think_s=0.3)
    options = here.plan(2, arrivals=two, port_reuse_s=0.2, sources=POOL[:1], close=close)
    first, second = here.carry_out(options)[0]
    assert first["port"] == second["port"]
    assert (first["retransmits"], second["retransmits"]) == (0, 1)
    assert second["error"] is None
    assert second["connected"] - second["started"] >= 1e9


def test_groups_of_the_pool_are_joined_while_it_is_answered_for(here: Stand) -> None:
    groups: list[str] = []

    def look() -> None:
        command = f"ip -n {here.client} -6 maddress show dev up0"
        groups.append(subprocess.check_output(command.split(), text=True))

    here.carry_out(here.plan(1, version=6, close="never"), look)
    look()
    for group in ("ff02::1:ff00:16", "ff02::1:ff09:a"):
        assert group in groups[0]
        assert group not in groups[1]


@pytest.mark.parametrize("version", [4, 6])
def test_a_vip_that_moves_is_followed(version: int, here: Stand) -> None:
    """Another MAC has the address from then on, and says so without being asked."""
    at_rate = OpenModel(stages=(Stage(duration_s=0.8, rate_per_s=200),))
    moving = threading.Timer(0.3, here.move)
    moving.start()
    rows, _ = here.carry_out(here.plan(160, arrivals=at_rate, version=version))
    moving.join()
    once_each(rows, 160)
    assert {row["error"] for row in rows} == {None}


def test_an_error_of_the_servers_is_the_rows(here: Stand) -> None:
    rows, _ = here.carry_out(here.plan(3, path="/nothing"))
    assert {(row["error"], row["status"]) for row in rows} == {("HTTP 404", 404)}


def test_what_is_under_way_at_the_end_is_interrupted(here: Stand) -> None:
    target = Target(vip=NOBODY, port=80)
    rows, _ = here.carry_out(
        here.plan(100, 10, target=target), enough=lambda outlet: outlet.most_under_way == 10
    )
    once_each(rows, 10)
    assert {row["error"] for row in rows} == {"interrupted"}


@pytest.mark.parametrize(("version", "vip"), [(4, SERVER_IP), (6, SERVER_IP6)])
def test_a_port_where_nobody_listens_refuses(version: int, vip: str, here: Stand) -> None:
    options = here.plan(3, target=Target(vip=vip, port=81), version=version)
    rows, _ = here.carry_out(options)
    assert {row["error"] for row in rows} == {"connection refused"}


@pytest.mark.usefixtures("without_stalls")
def test_a_server_that_does_not_answer_is_asked_again_and_then_given_up(here: Stand) -> None:
    target = Target(vip=NOBODY, port=80)
    rows, outlet = here.carry_out(here.plan(3, target=target, connect_timeout_s=1.5))
    assert {(row["error"], row["retransmits"]) for row in rows} == {("timeout: no connection", 1)}
    assert outlet.said[0].startswith("packets: 6 segments sent, 3 of them again")


def through(version: int) -> Target:
    """A router on the way, so that the server's own address is no more than a neighbour's."""
    return Target(vip=NOBODY6 if version == 6 else NOBODY, port=80)


@pytest.mark.parametrize(
    ("version", "sources", "said"),
    [
        (4, (), "sends from unused addresses"),
        (4, ("224.0.0.9",), "no host can have 224.0.0.9"),
        (6, ("ff02::1",), "no host can have ff02::1"),
        (4, (HOST_IP,), "taken"),
        (4, (SERVER_IP,), "taken"),
        (6, (HOST_IP6,), "taken; expected"),
        (6, (SERVER_IP6,), "taken; expected"),
        (4, (OTHER_IP,), "another host on up0 has it"),
        (6, (OTHER_IP6,), "another host on up0 has it"),
    ],
)
def test_addresses_that_somebody_has_are_refused(
    version: int, sources: tuple[str, ...], said: str, here: Stand
) -> None:
    with pytest.raises(UsageProblem, match=said):
        here.run(lambda: check_egress(here.plan(1, sources=sources, version=version)))


@pytest.mark.parametrize("version", [4, 6])
def test_addresses_that_nobody_has_are_taken(version: int, here: Stand) -> None:
    here.run(lambda: check_egress(here.plan(1, version=version)))


@pytest.mark.parametrize("version", [4, 6])
def test_a_vip_behind_a_router_is_reached_by_way_of_it(version: int, here: Stand) -> None:
    here.run(lambda: check_egress(here.plan(1, target=through(version), version=version)))


@pytest.mark.parametrize(("version", "interface"), [(4, "up0"), (6, "all")])
def test_a_host_that_forwards_is_refused(version: int, interface: str, here: Stand) -> None:
    where = Path(f"/proc/sys/net/ipv{version}/conf/{interface}/forwarding")

    def check() -> None:
        where.write_text("1")
        try:
            check_egress(here.plan(1, version=version))
        finally:
            where.write_text("0")

    with pytest.raises(UsageProblem, match=f"ipv{version}.conf.{interface}.forwarding=0"):
        here.run(check)
