"""When a real server was not in a director's table: by polls of services, and by what was done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analyzer.observed.absences import ABSENCE_COLUMNS
from analyzer.observed.entries import numbered
from analyzer.observed.parted import Parted
from analyzer.observed.record import record_of
from tests.unit.analyzer.builders_packets import BOOT_NS, NS, director, table

if TYPE_CHECKING:
    import pandas as pd


def listed(at_s: float, *servers: str, director: str = "bal01") -> list[dict[str, Any]]:
    return [
        {
            "at": BOOT_NS + round(at_s * NS),
            "director": director,
            "real_server": server,
            "real_port": 80,
        }
        for server in servers
    ]


def event(at_s: float, kind: str, server: str, host: str = "bal01") -> dict[str, Any]:
    return {"at": BOOT_NS + round(at_s * NS), "host": host, "kind": kind, "detail": server}


FOR_GOOD = float("inf")


def absences_of(services: list[dict[str, Any]], events: list[dict[str, Any]]) -> pd.DataFrame:
    return record_of(
        director(),
        services=table("services", services),
        counted=table("services", []),
        entries=Parted.of(numbered(table("entries", []), None)),
        changes=Parted.of(table("entries", [])),
        polls=table("polls", []),
        events=table("events", events),
        zero_ns=BOOT_NS,
    ).absences


def absent(
    services: list[dict[str, Any]], events: list[dict[str, Any]] | None = None
) -> list[tuple[str, float, float]]:
    found = absences_of(services, events or [])
    assert tuple(found.columns) == ABSENCE_COLUMNS
    rows = zip(found["server"], found["from_ns"], found["to_ns"], strict=True)
    return [(name, seconds(from_ns), seconds(to_ns)) for name, from_ns, to_ns in rows]


def seconds(at_ns: int) -> float:
    """After boot; the far future is for good."""
    return (at_ns - BOOT_NS) / NS if at_ns < BOOT_NS + 10**6 * NS else FOR_GOOD


BOTH = ("10.0.0.1", "10.0.0.2")


def test_servers_that_were_always_there_are_never_absent() -> None:
    assert absent([row for t in range(5) for row in listed(t, *BOTH)]) == []
    assert absent([]) == []


def test_a_server_that_was_removed_and_came_back() -> None:
    polled = [
        *listed(0, *BOTH),
        *listed(1, *BOTH),
        *listed(2, "10.0.0.1"),
        *listed(3, "10.0.0.1"),
        *listed(4, *BOTH),
    ]
    assert absent(polled) == [("10.0.0.2:80", 2.0, 4.0)]


def test_it_went_and_came_back_between_two_polls() -> None:
    polled = [*listed(0, *BOTH), *listed(1, "10.0.0.1"), *listed(2, "10.0.0.1"), *listed(3, *BOTH)]
    (gap,) = absences_of(polled, []).to_dict("records")
    assert (seconds(gap["removed_since_ns"]), seconds(gap["removed_by_ns"])) == (0.0, 1.0)
    assert (seconds(gap["back_since_ns"]), seconds(gap["back_by_ns"])) == (2.0, 3.0)


def test_an_order_has_its_effect_within_a_tenth_of_a_second() -> None:
    orders = [
        event(1.5, "server-removed", "10.0.0.2:80"),
        event(2.5, "server-added", "10.0.0.2:80"),
    ]
    (gap,) = absences_of([], orders).to_dict("records")
    assert (seconds(gap["removed_since_ns"]), seconds(gap["removed_by_ns"])) == (1.4, 1.6)
    assert (seconds(gap["back_since_ns"]), seconds(gap["back_by_ns"])) == (2.4, 2.6)


def test_a_server_that_was_removed_for_good() -> None:
    polled = [*listed(0, *BOTH), *listed(1, "10.0.0.1"), *listed(2, "10.0.0.1")]
    assert absent(polled) == [("10.0.0.2:80", 1.0, FOR_GOOD)]


def test_a_server_that_was_added_was_not_absent_before() -> None:
    assert absent([*listed(0, "10.0.0.1"), *listed(1, *BOTH), *listed(2, *BOTH)]) == []


def test_a_server_can_go_more_than_once() -> None:
    polled = [row for t in range(6) for row in listed(t, *(BOTH if t % 2 == 0 else BOTH[:1]))]
    assert absent(polled) == [
        ("10.0.0.2:80", 1.0, 2.0),
        ("10.0.0.2:80", 3.0, 4.0),
        ("10.0.0.2:80", 5.0, FOR_GOOD),
    ]


def test_what_was_done_is_more_exact_than_the_polls() -> None:
    polled = [*listed(0, *BOTH), *listed(2, "10.0.0.1"), *listed(4, *BOTH)]
    done = [
        event(1.1, "server-removed", "10.0.0.2:80"),
        event(3.9, "server-added", "10.0.0.2:80"),
    ]
    assert absent(polled, done) == [("10.0.0.2:80", 1.1, 3.9)]
    assert absent(polled, done[:1]) == [("10.0.0.2:80", 1.1, FOR_GOOD)]


def test_what_was_done_elsewhere_is_not_done_here() -> None:
    polled = [row for t in range(3) for row in listed(t, *BOTH)]
    assert absent(polled, [event(1.0, "server-removed", "10.0.0.2:80", host="bal02")]) == []
    assert absent(polled + listed(1.5, "10.0.0.1", director="bal02")) == []
