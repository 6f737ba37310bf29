"""Source ports: the kernel's, and those that an engine deals out by itself."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from loadgen.load.plan import Closing
from tests.unit.loadgen.load.preflight.asked import HOST, at_rate, lines, plan

if TYPE_CHECKING:
    from loadgen.load.preflight import HostLimits


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
    ],
)
def test_the_rate_that_source_ports_can_hold(
    host: HostLimits, more: dict[str, Any], holds: str
) -> None:
    assert holds in lines(plan(**more), host)["source ports"][0]


def test_a_rate_above_what_the_ports_hold_is_a_doubt_if_it_lasts() -> None:
    assert lines(plan(**at_rate(2000)))["source ports"][1] == "2,000/s are asked for"
    assert lines(plan(**at_rate(2000, 2)))["source ports"][1] is None
    assert lines(plan(**at_rate(400)))["source ports"][1] is None


def test_a_rate_of_requests_takes_ports_by_their_connections() -> None:
    assert lines(plan(**at_rate(2000), requests_per_connection=10))["source ports"][1] is None
    tenfold = lines(plan(**at_rate(20_000), requests_per_connection=10))
    assert tenfold["source ports"][1] == "2,000/s are asked for"


def test_ports_that_come_back_while_their_entries_live_are_a_doubt() -> None:
    here, doubt = lines(plan(**at_rate(300)))["entries on bal01"]
    assert here.startswith("ports may come back from 230/s on while entries last 122 s")
    assert doubt is not None
    assert "reused" in doubt
    assert lines(plan(**at_rate(200)))["entries on bal01"][1] is None


# The packets engine's are its own: 64,512 of each address, and no kernel keeps any ----------------

POOL = ("10.0.0.1", "10.0.0.2")


def own(requests: int = 50, close: str = "client", **more: Any) -> tuple[str, str | None]:
    ends = Closing(shares=((close, 1.0),))  # type: ignore[arg-type]
    load_plan = plan(requests, engine="packets", sources=POOL, closing=ends, **more)
    return lines(load_plan)["source ports"]


@pytest.mark.parametrize(
    ("shown", "here", "doubt"),
    [
        (
            own(),
            "2 addresses x 64,512 ports of its own: each goes out again after all others",
            None,
        ),
        (own(10**6), "2 addresses x 64,512 ports of its own", None),
        (own(129_024, "never"), "2 addresses x 64,512 ports", None),
        (
            own(129_025, "never"),
            "2 addresses",
            "129,025 are asked for, and some are not given back",
        ),
        (own(129_025, "half", port_reuse_s=1), "2 addresses", "129,025 are asked for"),
        (own(129_025, "abandon"), "each goes out again after all others", None),
        (own(port_reuse_s=5), "25,805 connections/s, each port held 5 s by --port-reuse", None),
        (own(10**6, port_reuse_s=5), "25,805 connections/s", "as fast as they go may use up all"),
        (own(port_reuse_s=0), "each goes out again as soon as it is free", None),
    ],
)
def test_ports_that_no_kernel_holds(
    shown: tuple[str, str | None], here: str, doubt: str | None
) -> None:
    assert here in shown[0]
    assert shown[1] is None if doubt is None else doubt in str(shown[1])
    assert "TIME_WAIT" not in shown[0]


def test_entries_meet_all_ports_of_the_pool_and_those_that_come_back_when_they_have_rested() -> (
    None
):
    many = plan(10**6, engine="packets", sources=POOL)
    here, doubt = lines(many)["entries on bal01"]
    assert here.startswith("ports may come back from 1,053/s on")
    assert "reused" in str(doubt)
    for rested_s, reused in ((5, True), (130, False)):
        here, doubt = lines(replace(many, port_reuse_s=rested_s))["entries on bal01"]
        assert here == f"ports come back after {rested_s} s while entries last 122 s"
        assert (doubt is not None) is reused
