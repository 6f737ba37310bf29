"""New connections a second are reported with the time that they were counted in."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from loadgen.collect.arrivals import FRESH_S, ArrivalRates
from loadgen.director.counters import Counters
from loadgen.live.table import new
from loadgen.live.view import Arrivals
from tests.unit.loadgen.collect.builders_view import server

if TYPE_CHECKING:
    from loadgen.director.counters import ServerKey

KEY: ServerKey = ("TCP", "192.168.10.2", 80, None, "192.168.10.21", 80)


def counters(conns: int) -> dict[ServerKey, Counters]:
    return {KEY: Counters(conns, 0, 0, 0, 0)}


def read(*readings: tuple[float, int]) -> ArrivalRates:
    rates = ArrivalRates()
    for at_s, conns in readings:
        rates.note(counters(conns), at_s)
    return rates


def at(rates: ArrivalRates, now_s: float) -> Arrivals | None:
    return rates.of(KEY, now_s)


def test_one_reading_tells_no_rate() -> None:
    assert at(read((100, 5)), 100.5) is None


def test_two_readings_a_second_apart_do() -> None:
    assert at(read((100, 5), (102, 25)), 102.5) == Arrivals(per_s=10, over_s=2, age_s=0.5)


def test_readings_close_to_each_other_are_put_together() -> None:
    """Four polls a second: one connection is not 4 a second, then 0."""
    found = at(read((100, 5), (100.25, 6), (100.5, 6), (100.75, 6), (101, 6)), 101)
    assert found == Arrivals(per_s=1, over_s=1, age_s=0)


def test_what_was_counted_long_ago_is_not_of_now() -> None:
    rates = read((100, 5), (102, 25))
    assert at(rates, 102 + FRESH_S) is not None
    assert at(rates, 102.1 + FRESH_S) is None


def test_a_rate_over_a_long_time_is_shown_with_its_age() -> None:
    """A director of which the counters are read every 24 s, to spare it."""
    found = at(read((100, 0), (124, 4800)), 140)
    assert found == Arrivals(per_s=200, over_s=24, age_s=16)
    assert new(replace(server(), arrivals=found)) == "200.0 (16 s ago)"


def test_a_server_that_was_added_again_has_no_negative_rate() -> None:
    found = at(read((100, 500), (102, 3)), 102)
    assert found is not None
    assert found.per_s == 0
