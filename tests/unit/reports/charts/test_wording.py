"""Numbers as words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reports.charts import wording
from tests.unit.reports import builders_analysis as build


@pytest.mark.parametrize(
    ("part", "whole", "words"),
    [
        (0, 50, "0 %"),
        (50, 50, "100 %"),
        (9, 50, "18 %"),
        (1, 3, "33.3 %"),
        (1, 1_000_000, "< 0.1 %"),  # something is never nothing
        (999_999, 1_000_000, "> 99.9 %"),  # nor is it ever all
    ],
)
def test_a_share_does_not_round_something_away(part: int, whole: int, words: str) -> None:
    assert wording.share(part, whole) == words


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (99_840, "99.8 %"),
        (99_860, "99.9 %"),  # rounded up, and still less than what it is called
        (99_900, "99.9 %"),
        (99_901, "> 99.9 %"),
        (99_949, "> 99.9 %"),
        (99_951, "> 99.9 %"),  # to one decimal that would be all
        (99_999, "> 99.9 %"),
        (100_000, "100 %"),
        (1, "< 0.1 %"),
        (99, "< 0.1 %"),
        (100, "0.1 %"),
        (0, "0 %"),
    ],
)
def test_a_share_is_written_exactly_up_to_99_9_and_from_0_1_percent_on(
    part: int, words: str
) -> None:
    assert wording.share(part, 100_000) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [(20.3312, "20.33 s"), (0.004, "0.004 s"), (0.0, "0.00 s"), (929.5, "929.50 s")],
)
def test_seconds(value: float, words: str) -> None:
    assert wording.seconds(value) == words


@pytest.mark.parametrize(
    ("parts", "words"),
    [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")],
)
def test_lists(parts: list[str], words: str) -> None:
    assert wording.listed(parts) == words


def test_the_three_numbers_of_the_demo() -> None:
    peak, lifetime, trouble = wording.headlines(build.demo())
    assert (peak.value, peak.detail) == ("50", "50 on bal01: 25 and 25 by real server")
    assert lifetime.value == "20.28 s"
    assert "tcpfin = 20 s" in lifetime.detail
    assert "0.64 s" in lifetime.detail
    assert (trouble.value, trouble.alarming) == ("0 %", False)


def test_an_unknown_number_is_none_and_never_zero() -> None:
    for number in wording.headlines(build.nothing()):
        assert number.value is None
        assert number.detail


def test_a_fixed_timeout_is_not_called_a_setting() -> None:
    group = replace(build.demo().lifetimes[0], timeout_name="fixed", timeout_s=120.0)
    assert wording.timeout_label(group) == "a fixed timeout of 120 s"


def test_a_timeout_that_was_not_read_is_said_to_be_unknown() -> None:
    group = replace(build.demo().lifetimes[0], timeout_s=None)
    assert wording.timeout_label(group) == "tcpfin (value not measured)"


def test_the_caption_of_the_timeline_has_its_numbers() -> None:
    caption = wording.timeline_caption(build.demo())
    assert "On bal01 InActConn rose to 50 and fell to 0 in 2 steps between" in caption
    assert "On bal02 InActConn was 0 at every poll." in caption
    assert "Polling of bal01 stopped once" in wording.timeline_caption(build.troubled())
    assert "25 requests never ended" in wording.timeline_caption(build.all_failed())


def test_connections_are_named_where_they_are_not_as_many_as_the_requests() -> None:
    demo = build.demo()
    assert wording.sent(demo).startswith("50 requests in ")
    same = replace(demo, requests=replace(demo.requests, connections=50))
    assert wording.sent(same) == wording.sent(demo)
    kept_alive = replace(demo, requests=replace(demo.requests, sent=103, connections=11))
    assert wording.sent(kept_alive).startswith("103 requests over 11 connections in ")
    one = replace(demo, requests=replace(demo.requests, connections=1))
    assert wording.sent(one).startswith("50 requests over 1 connection in ")
