"""The lines that say when a real server may be rebooted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from loadgen.live.reboot import reboot_lines
from loadgen.live.view import DrainForecast, HeldEntries
from tests.unit.loadgen.collect.builders_view import NOW_NS, NS, director, server, view

if TYPE_CHECKING:
    from loadgen.live.view import DirectorView, ServerView

NO_ENTRIES = HeldEntries(states={}, oldest_ends_ns=None)


def clock(at_ns: int) -> str:
    return f"{(at_ns - NOW_NS) / NS:g}"


def draining(seconds: float, **changed: object) -> ServerView:
    """A real server of weight 0, whose last entry is gone by then."""
    last_ns = NOW_NS + round(seconds * NS)
    forecast = DrainForecast(first_ns=last_ns - NS, last_ns=last_ns, renewed=0)
    return server(**{"weight": 0, "forecast": forecast, **changed})


def lines(*directors: DirectorView) -> list[str]:
    return reboot_lines(view(*directors), clock)


def test_a_server_is_safe_after_its_last_entry_on_every_director_and_in_every_service() -> None:
    first = director(draining(5), draining(12.2, port=81, service="TCP 192.168.10.2:81"))
    second = director(draining(7), name="bal02")
    assert lines(first, second) == ["safe to reboot 192.168.10.21 after 13 on all directors"]


def test_of_one_director_it_is_named() -> None:
    assert lines(director(draining(5))) == ["safe to reboot 192.168.10.21 after 5 on bal01"]


def test_a_server_that_holds_nothing_is_safe_now() -> None:
    empty = server(weight=0, held=NO_ENTRIES, forecast=None)
    assert lines(director(empty)) == [
        "safe to reboot 192.168.10.21 now: it holds no entry on bal01"
    ]


def test_a_server_that_nobody_drains_has_no_line() -> None:
    assert lines(director(server())) == []


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (director(server(), name="bal02"), "weight 1 on bal02 (TCP 192.168.10.2:80)"),
        (director(draining(1, held=None), name="bal02"), "entries of bal02 are not read"),
        (director(draining(1, forecast=None), name="bal02"), "expiry on bal02 is not known yet"),
        (director(name="bal02", up=False), "bal02 does not answer"),
        (
            director(
                draining(1, forecast=DrainForecast(first_ns=0, last_ns=1, renewed=2)), name="bal02"
            ),
            "traffic goes on on bal02 (TCP 192.168.10.2:80)",
        ),
        (
            director(
                draining(1, forecast=DrainForecast(first_ns=0, last_ns=1, renewed=2, clients=1)),
                name="bal02",
            ),
            "clients come back on bal02 (TCP 192.168.10.2:80)",
        ),
    ],
)
def test_what_one_director_does_not_know_or_still_does_is_an_obstacle(
    other: DirectorView, why: str
) -> None:
    assert lines(director(draining(5)), other) == [f"not safe to reboot 192.168.10.21: {why}"]


def test_many_obstacles_are_counted() -> None:
    still = [server(service=f"TCP 192.168.10.2:{port}") for port in (81, 82, 83, 84)]
    (line,) = lines(director(draining(5), *still))
    assert line.endswith("weight 1 on bal01 (TCP 192.168.10.2:82); and 2 more")


def test_where_only_some_services_are_watched_the_line_says_so() -> None:
    (line,) = reboot_lines(view(director(draining(5))), clock, watches_all=False)
    assert line.endswith("after 5 on bal01, as far as the watched services go")
