"""Before the first packet: what may run out, and when a yes is needed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from loadgen.errors import UsageProblem
from loadgen.plan import ClosedModel, Closing, LoadPlan, OpenModel, Stage, Target
from loadgen.preflight import Host, Table, as_text, check_consent, preflight, read_host

HOST = Host(ports=28_232, tw_reuse=0, files=1024, somaxconn=4096, conntrack=None)
TABLE = Table(director="bal01", buckets=4096, lifetime_s=122.5)


def plan(requests: int | None = 50, vip: str = "192.168.10.2", **more: Any) -> LoadPlan:
    told = {"target": Target(vip=vip, port=80), "arrivals": ClosedModel(requests=requests)}
    return LoadPlan(**{**told, **more})


def at_rate(rate: float, duration_s: float = 600) -> dict[str, Any]:
    return {"arrivals": OpenModel(stages=(Stage(duration_s=duration_s, rate_per_s=rate),))}


def lines(told: LoadPlan, host: Host = HOST) -> dict[str, tuple[str, str | None]]:
    return {line.what: (line.here, line.doubt) for line in preflight(told, host, [TABLE])}


def test_fifty_requests_raise_no_doubt_and_take_six_lines() -> None:
    shown = preflight(plan(), HOST, [TABLE])
    assert [line.doubt for line in shown] == [None] * 6
    assert len(as_text(shown)) == 6


@pytest.mark.parametrize(
    ("host", "more", "holds"),
    [
        (HOST, {}, "471 connections/s, each port held 60 s"),
        (replace(HOST, tw_reuse=1), {}, "28,232 connections/s, each port held 1 s"),
        (replace(HOST, tw_reuse=2), {}, "471 connections/s"),
        (replace(HOST, tw_reuse=2), {"vip": "127.0.0.1"}, "28,232 connections/s"),
        (HOST, {"sources": ("10.0.0.1", "10.0.0.2")}, "2 addresses x 28,232 ports: 941"),
        (HOST, {"closing": Closing(shares=(("reset", 1.0),))}, "none is held"),
        (HOST, {"closing": Closing(shares=(("server", 1.0),))}, "none is held"),
        (HOST, {"closing": Closing(shares=(("reset", 1.0), ("client", 1.0)))}, "471"),
        (HOST, {"engine": "packets"}, "none is held"),
    ],
)
def test_the_rate_that_source_ports_can_hold(host: Host, more: dict[str, Any], holds: str) -> None:
    assert holds in lines(plan(**more), host)["source ports"][0]


def test_a_rate_above_what_the_ports_hold_is_a_doubt_if_it_lasts() -> None:
    assert lines(plan(**at_rate(2000)))["source ports"][1] == "2,000/s are asked for"
    assert lines(plan(**at_rate(2000, 2)))["source ports"][1] is None
    assert lines(plan(**at_rate(400)))["source ports"][1] is None


def test_ports_that_come_back_while_their_entries_live_are_a_doubt() -> None:
    here, doubt = lines(plan(**at_rate(300)))["entries on bal01"]
    assert here.startswith("ports may come back from 230/s on while entries live 122 s")
    assert doubt is not None
    assert "port reuse" in doubt
    assert lines(plan(**at_rate(200)))["entries on bal01"][1] is None


def test_what_stays_open_needs_a_descriptor_each() -> None:
    many = plan(5000, closing=Closing(shares=(("never", 1.0),)))
    assert "5,064 are needed" in str(lines(many)["file descriptors"][1])
    shared = replace(many, processes=10)
    assert lines(shared)["file descriptors"][1] is None


def test_a_conntrack_that_would_overflow_is_a_doubt() -> None:
    host = replace(HOST, conntrack=(200, 1000))
    assert lines(plan(900), host)["conntrack"] == (
        "200 of 1,000 entries",
        "900 more may fill it (nf_conntrack_max)",
    )
    assert lines(plan(700), host)["conntrack"][1] is None


def test_a_table_with_long_chains_is_a_doubt_and_its_memory_is_told() -> None:
    here, doubt = lines(plan(100_000))["table of bal01"]
    assert here == "4,096 buckets, up to 100,000 entries of this burst (34.1 MB)"
    assert doubt is not None
    assert "conn_tab_bits" in doubt
    by_rate = lines(plan(**at_rate(100)))["table of bal01"][0]
    assert "up to 12,250 entries" in by_rate


def test_this_machine_can_be_read() -> None:
    host = read_host()
    assert 1 <= host.ports <= 65535
    assert host.files > 0


@pytest.mark.parametrize(
    ("told", "in_lab", "agreed", "refused"),
    [
        (plan(1000, "203.0.114.1"), False, False, False),
        (plan(1001, "203.0.114.1"), False, False, True),
        (plan(1001, "203.0.114.1"), False, True, False),
        (plan(1001, "203.0.114.1"), True, False, False),
        (plan(None, "203.0.114.1", arrivals=ClosedModel(duration_s=1)), False, False, True),
        (plan(10**6, "192.168.1.1"), False, False, False),
        (plan(10**6, "127.0.0.1"), False, False, False),
        (plan(10**6, "fd00::1"), False, False, False),
        (plan(1001, "2a00::1"), False, False, True),
    ],
)
def test_many_connections_to_a_public_address_need_a_yes(
    told: LoadPlan, in_lab: bool, agreed: bool, refused: bool
) -> None:
    if not refused:
        check_consent(told, in_lab=in_lab, agreed=agreed)
        return
    with pytest.raises(UsageProblem, match="--yes is needed"):
        check_consent(told, in_lab=in_lab, agreed=agreed)
