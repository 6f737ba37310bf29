"""Stamps of a log: with which zone they were read, what they leave open, and how fine they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.log_clock.place import Stamps
from loadgen.importing.times.stamps import Stamp, StampReader, stamps_of
from loadgen.importing.times.zones import offset_s

H = 3600.0


def read(text: str) -> Stamp:
    stamp = StampReader(2026).read(text)
    assert stamp is not None
    return stamp


@pytest.mark.parametrize(
    ("text", "zone", "utc_offset_s", "dated", "resolution_s"),
    [
        ("2026-11-28T03:59:40Z", "UTC", 0.0, True, 1.0),
        ("2026-11-28 03:59:40 UTC", "UTC", 0.0, True, 1.0),
        ("2026-11-28T03:59:40.25+01:00", "+0100", H, True, 0.01),
        ("Sat, 28 Nov 2026 03:59:40 -0530", "-0530", -5.5 * H, True, 1.0),
        ("Sat Nov 28 03:59:40 UTC 2026", "UTC", 0.0, True, 1.0),
        ("Sat Nov 28 03:59:40 GMT 2026", "GMT", 0.0, True, 1.0),
        ("Sat Nov 28 04:59:40 CET 2026", "CET", H, True, 1.0),
        ("Sun Jul 26 04:59:40 CEST 2026", "CEST", 2 * H, True, 1.0),
        ("Sat Nov 28 04:59:40 JST 2026", "JST", 9 * H, True, 1.0),
        ("Sat Nov 28 11:59:40 CST 2026", "CST", None, True, 1.0),
        ("Sat Nov 28 09:29:40 IST 2026", "IST", None, True, 1.0),
        ("Sun Jul 26 04:59:40 BST 2026", "BST", None, True, 1.0),
        ("Sat Nov 28 04:59:40 XYZ 2026", "XYZ", None, True, 1.0),
        ("Sat Nov 28 03:59:40 2026", None, None, True, 1.0),
        ("2026-11-28 03:59:40", None, None, True, 1.0),
        ("2026-11-28 03:59:40,125", None, None, True, 0.001),
        ("Nov 28 03:59:40", None, None, True, 1.0),
        ("03:59:40", None, None, False, 1.0),
        ("03:59:40.5", None, None, False, 0.1),
        ("1795838380", "UTC", 0.0, True, 1.0),
        ("1795838380.25", "UTC", 0.0, True, 0.01),
        ("1795838380250", "UTC", 0.0, True, 0.001),
        ("7.500000", None, None, False, 1e-6),  # ts -s %.s: since it was started
    ],
)
def test_a_stamp_says_what_it_was_read_with(
    text: str,
    zone: str | None,
    utc_offset_s: float | None,
    dated: bool,
    resolution_s: float,
) -> None:
    stamp = read(text)
    assert (stamp.zone, stamp.utc_offset_s, stamp.dated) == (zone, utc_offset_s, dated)
    assert stamp.resolution_s == pytest.approx(resolution_s)


def test_a_name_of_one_zone_is_taken_off_and_one_of_several_is_not() -> None:
    utc_s = read("2026-11-28T03:59:40Z").at_s
    assert read("Sat Nov 28 04:59:40 CET 2026").at_s == utc_s
    assert read("Sat Nov 28 03:59:40 CST 2026").at_s == utc_s
    assert read("2026-11-28 03:59:40").at_s == utc_s


@pytest.mark.parametrize("name", ["CST", "IST", "BST", "PST", "AST", "CDT", "EST", "NONE"])
def test_a_name_that_stands_for_several_zones_stands_for_none(name: str) -> None:
    assert offset_s(name, 2026) is None


@pytest.mark.parametrize(
    ("name", "hours"), [("UTC", 0), ("GMT", 0), ("CET", 1), ("EET", 2), ("MSK", 3), ("JST", 9)]
)
def test_a_name_of_one_zone_is_its_offset(name: str, hours: int) -> None:
    assert offset_s(name, 2026) == hours * H


def test_a_log_across_the_end_of_summer_time_counts_on() -> None:
    reader = StampReader(2026)
    summer = reader.read("Sun Oct 25 02:59:58 CEST 2026")
    winter = reader.read("Sun Oct 25 02:00:00 CET 2026")
    assert summer is not None
    assert winter is not None
    assert winter.at_s - summer.at_s == 2


def test_one_stamp_of_no_zone_speaks_for_the_log() -> None:
    stamps = [read("2026-11-28T03:59:40Z"), read("2026-11-28 03:59:42.5")]
    assert stamps_of(stamps) == Stamps(zone=None, utc_offset_s=None, dated=True, resolution_s=1.0)


@given(st.text(max_size=40))
def test_any_text_is_a_stamp_that_can_be_recorded_or_none(text: str) -> None:
    stamp = StampReader(2026).read(text)
    assert stamp is None or 0 <= stamp.at_s < 2**33
