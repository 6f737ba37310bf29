"""A director's part of a recording: whose clock was set, and who rebooted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from analyzer.observed.entries import numbered
from analyzer.observed.parted import Parted
from analyzer.observed.record import record_of
from tests.unit.analyzer.builders_packets import BOOT_NS, NS, director, table

if TYPE_CHECKING:
    from analyzer.observed.record import ClockStep

POLL_S = 10


def steps(uptimes_s: list[float], *reboots_s: float) -> list[tuple[float, float]]:
    """Clock steps of polls each 10 s: when, in seconds since the first, and by how much."""
    polls = [
        {
            "director": "bal01",
            "what": "services",
            "at": at_ns(number * POLL_S),
            "asked": at_ns(number * POLL_S),
            "took_ms": 1.0,
            "director_uptime_s": uptime_s,
        }
        for number, uptime_s in enumerate(uptimes_s)
    ]
    events: list[dict[str, Any]] = [
        {"at": at_ns(reboot_s), "host": "bal01", "kind": "rebooted", "detail": ""}
        for reboot_s in reboots_s
    ]
    found: tuple[ClockStep, ...] = record_of(
        director(),
        services=table("services", []),
        counted=table("services", []),
        entries=Parted.of(numbered(table("entries", []), None)),
        changes=Parted.of(table("entries", [])),
        polls=table("polls", polls),
        events=table("events", events),
        zero_ns=BOOT_NS,
    ).clock_steps
    return [((step.at_ns - at_ns(0)) / NS, step.moved_s) for step in found]


def at_ns(after_s: float) -> int:
    return BOOT_NS + round((after_s + 50_000) * NS)


@pytest.mark.parametrize("moved_s", [-3600.0, 2.0, 3600.0])
def test_a_boot_instant_that_moves_is_a_clock_that_was_set(moved_s: float) -> None:
    ((when_s, by_s),) = steps([9000.0, 9010.0, 9020.0 - moved_s, 9030.0 - moved_s])
    assert when_s == 20
    assert by_s == pytest.approx(moved_s, abs=0.01)


def test_an_uptime_that_goes_on_is_none() -> None:
    assert steps([1000.0, 1010.0, 1020.0]) == []


def test_a_reboot_that_was_seen_is_none() -> None:
    assert steps([1000.0, 1010.0, 3.0, 13.0], 17.0) == []


def test_a_reboot_between_two_polls_is_none_though_nobody_noted_it() -> None:
    assert steps([1000.0, 1010.0, 3.0, 13.0]) == []
    assert [when_s for when_s, _ in steps([1000.0, 1010.0, 12.0, 22.0])] == [20]
