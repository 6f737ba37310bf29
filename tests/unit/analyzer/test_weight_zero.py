"""Client ports that come back to entries of real servers of weight 0, under expire_nodest_conn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from analyzer.ipvs.states import Flag, State
from analyzer.ipvs.versions import nodest_in_any_reuse_mode
from analyzer.predicted.weights import of_flow, weights_of
from tests.unit.analyzer.builders_packets import BOOT_NS, NS, Seg, table
from tests.unit.analyzer.builders_run import (
    FIRST,
    SECOND,
    Held,
    Life,
    Stage,
    closed,
    opened,
    removed_at,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from analyzer.report import Analysis
    from analyzer.results import Agreement

NODEST = {"sysctl": {"expire_nodest_conn": "1", "conn_reuse_mode": "1"}}
FOR_GOOD = 2000.0
ZERO_S, AGAIN_S = 1003.0, 1005.0
"""When the second real server's weight becomes 0, and when its clients' ports come back."""


def stage(**more: Any) -> Stage:
    """Watched until its closed entries have expired."""
    return Stage(until_s=1040.0, **more)


def agreed(found: Analysis) -> Agreement:
    (row,) = found.agreement
    assert row.state_matches == row.state_samples > 0
    assert (row.active_max_error, row.inactive_max_error) == (0, 0)
    assert row.worst_expiry_error_s is None or row.worst_expiry_error_s < 0.1
    assert set(row.residuals) <= {"poll"}
    return row


def early(found: Analysis) -> dict[tuple[str, str], int]:
    return {(row.state, row.cause): row.n for row in found.ended_early}


def half_open(port: int, began_s: float, server: str) -> Life:
    syn = Seg(began_s, port, Flag.SYN)
    return Life((syn,), Held(port, ((began_s, State.SYN_RECV),), server=server))


KINDS: dict[str, Callable[[int, float], Life]] = {
    "FIN_WAIT": lambda port, began_s: closed(port, began_s, server=SECOND),
    "ESTABLISHED": lambda port, began_s: opened(port, began_s, server=SECOND),
    "SYN_RECV": lambda port, began_s: half_open(port, began_s, SECOND),
}


def rescheduled(kind: str, count: int = 5, again_s: float = AGAIN_S) -> list[Life]:
    """Connections of the second server, and their ports' next ones on the first."""
    lives = []
    for n in range(count):
        at_s = again_s + 0.25 * n
        old = KINDS[kind](40000 + n, 1000.0 + 0.25 * n)
        lives += [removed_at(old, at_s), closed(40000 + n, at_s, server=FIRST)]
    return lives


def revived(count: int = 5) -> list[Life]:
    """The same where the SYN does not end the old entry."""
    lives = []
    for n in range(count):
        old = closed(40000 + n, 1000.0 + 0.25 * n, server=SECOND)
        new = closed(40000 + n, AGAIN_S + 0.25 * n)
        states = old.held.states + new.held.states
        lives.append(
            Life(old.sent + new.sent, Held(40000 + n, states, new.held.gone_s, server=SECOND))
        )
    return lives


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", ["0", "1", "2"])
def test_a_syn_ends_the_entry_whatever_its_state(tmp_path: Path, kind: str, mode: str) -> None:
    found = stage(
        lives=rescheduled(kind),
        facts={"sysctl": NODEST["sysctl"] | {"conn_reuse_mode": mode}, "kernel": "6.1.176"},
        weights=[(SECOND, ZERO_S, FOR_GOOD, 0)],
    ).played(tmp_path)
    row = agreed(found)
    assert row.entries_predicted == row.entries_observed == 10
    assert early(found) == {(kind, "expire-nodest-conn"): 5}


@pytest.mark.parametrize("kind", ["FIN_WAIT", "ESTABLISHED"])
def test_a_syn_whose_new_entry_is_read_by_the_poll_that_began_before_it_ends_the_old_one(
    tmp_path: Path, kind: str
) -> None:
    """The poll's instant is 5 ms before the SYN, its table is read 5 ms after it."""
    found = stage(
        lives=rescheduled(kind, again_s=AGAIN_S + 0.035),
        facts=NODEST,
        weights=[(SECOND, ZERO_S, FOR_GOOD, 0)],
        read_s=0.01,
    ).played(tmp_path)
    row = agreed(found)
    assert row.entries_predicted == row.entries_observed == 10
    assert early(found) == {(kind, "expire-nodest-conn"): 5}


REVIVES: dict[str, dict[str, Any]] = {
    "the sysctl is off": {
        "facts": {"sysctl": {"expire_nodest_conn": "0"}},
        "weights": [(SECOND, ZERO_S, FOR_GOOD, 0)],
    },
    "the weight is not 0": {"facts": NODEST, "weights": [(SECOND, ZERO_S, FOR_GOOD, 2)]},
    "the other one has weight 0": {"facts": NODEST, "weights": [(FIRST, ZERO_S, FOR_GOOD, 0)]},
    "it has a weight again": {"facts": NODEST, "weights": [(SECOND, ZERO_S, ZERO_S + 1, 0)]},
    "it loses it later": {"facts": NODEST, "weights": [(SECOND, AGAIN_S + 3, FOR_GOOD, 0)]},
    "mode 0 before 5.10.83": {
        "facts": {
            "kernel": "5.10.70",
            "sysctl": {"expire_nodest_conn": "1", "conn_reuse_mode": "0"},
        },
        "weights": [(SECOND, ZERO_S, FOR_GOOD, 0)],
    },
}


@pytest.mark.parametrize("why", REVIVES)
def test_the_entry_goes_on_where(tmp_path: Path, why: str) -> None:
    found = stage(lives=revived(), **REVIVES[why]).played(tmp_path)
    row = agreed(found)
    assert row.entries_predicted == row.entries_observed == 5
    assert early(found) == {}


def test_where_no_server_has_a_weight_the_syn_ends_the_entry_and_makes_none(
    tmp_path: Path,
) -> None:
    old = [closed(40000 + n, 1000.0 + 0.25 * n) for n in range(5)]
    again = [
        Life((Seg(AGAIN_S + 0.25 * n, port, Flag.SYN),), Held(port, (), 0.0))
        for n, port in enumerate([*range(40000, 40005), *range(50000, 50003)])
    ]
    found = stage(
        lives=[removed_at(life, AGAIN_S + 0.25 * n) for n, life in enumerate(old)] + again,
        facts=NODEST,
        weights=[(server, ZERO_S, FOR_GOOD, 0) for server in (FIRST, SECOND)],
    ).played(tmp_path)
    row = agreed(found)
    assert row.entries_predicted == row.entries_observed == 5
    assert early(found) == {("FIN_WAIT", "expire-nodest-conn"): 5}


@pytest.mark.parametrize("zero_s", [AGAIN_S + 0.02, AGAIN_S - 0.02])
def test_a_syn_between_the_two_polls_about_the_change_is_judged_by_its_entry(
    tmp_path: Path, zero_s: float
) -> None:
    """Polled every half second: whether the weight was 0 already is seen by where it went."""
    polls: dict[str, Any] = {
        "facts": NODEST,
        "poll_s": 0.5,
        "weights": [(SECOND, zero_s, FOR_GOOD, 0)],
    }
    (old, new), (one,) = rescheduled("FIN_WAIT", 1), revived(1)
    ends = zero_s < AGAIN_S
    found = stage(lives=[old, new] if ends else [one], **polls).played(tmp_path)
    (row,) = found.agreement
    assert row.entries_predicted == row.entries_observed == (2 if ends else 1)
    assert row.state_matches == row.state_samples


def test_an_entry_is_known_by_the_latest_server_of_its_port(tmp_path: Path) -> None:
    """It went from the second to the first server; the port's third SYN finds it there."""
    old, new = rescheduled("FIN_WAIT", 1)
    third = closed(40000, AGAIN_S + 5)
    held = Held(40000, new.held.states + third.held.states, third.held.gone_s)
    found = stage(
        lives=[old, Life(new.sent + third.sent, held)],
        facts=NODEST,
        weights=[(SECOND, ZERO_S, FOR_GOOD, 0)],
    ).played(tmp_path)
    row = agreed(found)
    assert row.entries_predicted == row.entries_observed == 2


# Weights over time --------------------------------------------------------------------------------


def polled(*rows: tuple[float, str, int], **more: Any) -> list[dict[str, Any]]:
    """Polls of services: second, real server, weight."""
    return [
        {
            "at": BOOT_NS + round(at_s * NS),
            "director": "bal01",
            "protocol": "TCP",
            "vip": "192.168.10.2",
            "port": 80,
            "real_server": server,
            "real_port": 80,
            "weight": weight,
        }
        | more
        for at_s, server, weight in rows
    ]


def surely(
    services: list[dict[str, Any]], events: list[dict[str, Any]], at_s: float
) -> tuple[bool, bool]:
    """Whether a real server surely had weight 0 at an instant, and whether it surely had not."""
    weights = weights_of(table("services", services), table("events", events), 0)
    (found,) = of_flow(weights, "TCP", "192.168.10.2", 80).values()
    at_ns = np.array([BOOT_NS + round(at_s * NS)])
    return bool(found.surely(at_ns, zero=True)[0]), bool(found.surely(at_ns, zero=False)[0])


WEIGHTS = polled((0, "a", 1), (1, "a", 1), (2, "a", 0), (3, "a", 0), (4, "a", 3))
KNOWN = {0.5: False, 1.5: None, 2.5: True, 3.5: None, 4.5: False, -1.0: False}


@pytest.mark.parametrize("at_s", KNOWN)
def test_between_two_polls_that_differ_a_weight_is_not_known(at_s: float) -> None:
    zero = KNOWN[at_s]
    assert surely(WEIGHTS, [], at_s) == (zero is True, zero is False)


def event(at_s: float, kind: str, detail: str, host: str = "srv01") -> dict[str, Any]:
    return {"at": BOOT_NS + round(at_s * NS), "host": host, "kind": kind, "detail": detail}


@pytest.mark.parametrize(
    ("order", "at_s", "zero"),
    [
        (event(1.4, "weight", "0, done in 50 ms"), 1.39, False),
        (event(1.4, "weight", "0, done in 50 ms"), 1.42, None),
        (event(1.4, "weight", "0, done in 50 ms"), 1.46, True),
        (event(1.4, "weight", "5, done in 50 ms"), 1.46, None),  # another change
        (event(1.5, "server-edited", "192.168.10.21:80 weight 0"), 1.39, False),
        (event(1.5, "server-edited", "192.168.10.21:80 weight 0"), 1.61, True),
    ],
)
def test_an_order_says_it_more_closely(
    order: dict[str, Any], at_s: float, zero: bool | None
) -> None:
    assert surely(WEIGHTS, [order], at_s) == (zero is True, zero is False)


def test_where_no_weight_was_0_there_is_nothing_to_know() -> None:
    services = table("services", polled((0, "a", 1), (1, "a", 2)))
    assert weights_of(services, table("events", []), 0) == {}


def test_a_flow_finds_its_service_by_port_then_by_any_port_then_by_the_only_mark() -> None:
    rows = polled((0, "a", 0)) + polled((0, "b", 0), port=0)
    rows += polled((0, "c", 0), vip=None, port=None, fwmark=7, protocol="FWM")
    weights = weights_of(table("services", rows), table("events", []), 0)
    ends = [("192.168.10.2", 80), ("192.168.10.2", 81), ("192.168.10.3", 80)]
    assert [list(of_flow(weights, "TCP", *end)) for end in ends] == [["a:80"], ["b:80"], ["c:80"]]
    rows += polled((0, "d", 0), vip=None, port=None, fwmark=8, protocol="FWM")
    weights = weights_of(table("services", rows), table("events", []), 0)
    assert of_flow(weights, "TCP", "192.168.10.3", 80) == {}


@pytest.mark.parametrize(
    ("kernel", "any_mode"),
    [
        ("6.1.176", True),
        ("7.2.0", True),
        ("5.16.1", True),
        ("5.15.6", True),
        ("5.15.5", False),
        ("5.10.83", True),
        ("5.10.82", False),
        ("5.12.9", False),
        ("4.19.219", True),
        ("4.19.218", False),
        ("3.10.108", False),
        ("5.10.0-30-amd64", True),  # a distribution's: not known
        (None, True),
    ],
)
def test_since_when_conn_reuse_mode_0_does_not_switch_it_off(
    kernel: str | None, any_mode: bool
) -> None:
    assert nodest_in_any_reuse_mode(kernel) is any_mode
