"""Stamps of a log: by their day and their time of day as by dateutil alone."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
from dateutil import parser
from hypothesis import given
from hypothesis import strategies as st

from loadgen.importing.times import stamps
from loadgen.importing.times.stamps import Stamp, StampReader
from tests.unit.properties import examples

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMES = st.builds(
    "{:02}:{:02}:{:02}{}".format,
    st.integers(0, 25),
    st.integers(0, 60),
    st.integers(0, 61),
    st.sampled_from(["", ".5", ".123456", ".123456789", ",25", ".000001", " AM", " PM"]),
)
ZONES = st.sampled_from(
    [
        "",
        "Z",
        " UTC",
        " CET",
        " CST",
        " EDT",
        " +0100",
        "+01:00",
        "-05:30",
        " -0330",
        " XYZ",
        " EST",
    ]
)
DAYS = st.dates().map(lambda day: f"{day.year:04}-{day.month:02}-{day.day:02}")
MONTH_DAYS = st.builds(
    "{}{} {:2} ".format,
    st.sampled_from(["", "Sun ", "Mon, "]),
    st.sampled_from(["Jan", "Feb", "Mar", "Jul", "Nov", "Dec"]),
    st.integers(0, 32),
)
STAMPS = st.one_of(
    st.builds("{}{}{}{}".format, DAYS, st.sampled_from("T "), TIMES, ZONES),
    st.builds(
        "{}{}{}{}".format, MONTH_DAYS, TIMES, ZONES, st.sampled_from(["", " 2026", "  1999"])
    ),
    st.builds("Sat, 28 Nov 2026 {}{}".format, TIMES, ZONES),
)


def read(texts: list[str]) -> list[Stamp | None]:
    reader = StampReader(2026)
    return [reader.read(text) for text in texts]


@examples(300)
@given(st.lists(STAMPS, min_size=1, max_size=4))
def test_a_stamp_is_read_as_by_dateutil_alone(texts: list[str]) -> None:
    by_day = read(texts)
    with patch.object(stamps, "_day", return_value=None):
        assert read(texts) == by_day


def test_a_day_is_read_once() -> None:
    with patch("dateutil.parser.parse", wraps=parser.parse) as parse:
        first, second = read(["Sun Nov 1 03:49:46 UTC 2026", "Sun Nov 1 13:49:47 UTC 2026"])
    assert first is not None
    assert second is not None
    assert second.at_s - first.at_s == 36_001
    assert parse.call_count == 1


@pytest.fixture
def machine_in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Then dateutil takes ``Z`` for local time."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("machine_in_utc")
def test_a_day_is_read_once_where_this_machines_zone_has_the_stamps_name() -> None:
    with patch("dateutil.parser.parse", wraps=parser.parse) as parse:
        first, second = read(["2026-10-29T03:49:46Z", "2026-10-29T13:49:47Z"])
    assert first is not None
    assert second is not None
    assert second.at_s - first.at_s == 36_001
    assert (first.zone, first.utc_offset_s) == ("UTC", 0.0)
    assert parse.call_count == 1
