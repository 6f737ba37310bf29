"""Lines about a long reading: none of a short one, then rate and time left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadgen.session.means import progress
from loadgen.session.means.progress import COPYING, ReadingProgress, progress_of

if TYPE_CHECKING:
    import pytest


def lines(*reads: tuple[float, int, float]) -> list[str]:
    """What is said of reads: seconds since the beginning, packets, share."""
    clock = iter([0.0, *(at_s for at_s, _, _ in reads)])
    said: list[str] = []
    progress = ReadingProgress("report", said.append, lambda: next(clock))
    for _, packets, share in reads:
        progress.read(packets, share)
    return said


def test_a_short_reading_takes_no_line() -> None:
    assert lines((0.5, 100, 0.2), (1.9, 500, 0.9), (2.5, 600, 1.0)) == []


def test_a_long_one_has_its_rate_and_the_time_left() -> None:
    assert lines((1.0, 100_000, 0.1), (2.0, 200_000, 0.2)) == [
        "report: 200,000 packets read, 100,000/s, 20% of the capture, about 8 s left to read"
    ]


def test_lines_come_every_five_seconds() -> None:
    said = lines(*((float(at_s), at_s * 1000, at_s / 30) for at_s in range(1, 30)))
    assert [line.split()[1] for line in said] == [
        "2,000",
        "7,000",
        "12,000",
        "17,000",
        "22,000",
        "27,000",
    ]


def test_a_second_reading_begins_anew() -> None:
    clock = iter([0.0, 9.0, 10.0, 10.0, 11.5, 12.5])
    said: list[str] = []
    progress = ReadingProgress("report", said.append, lambda: next(clock))
    progress.read(900, 0.9)
    progress.read(100, 0.1)
    progress.read(400, 0.5)
    assert len(said) == 1


def test_a_copy_has_words_of_its_own() -> None:
    clock = iter([0.0, 4.0])
    said: list[str] = []
    ReadingProgress("anonymise", said.append, lambda: next(clock), COPYING).read(800, 0.4)
    assert said == [
        "anonymise: 800 rows and packets copied, 200/s, 40% of the recording, "
        "about 6 s left to copy"
    ]


def test_what_begins_later_is_timed_from_then() -> None:
    clock = iter([0.0, 100.0, 100.0, 104.0])
    said: list[str] = []
    progress = ReadingProgress("report", said.append, lambda: next(clock))
    progress.read(0, 0.0)
    progress.read(400, 0.4)
    assert said == ["report: 400 packets read, 100/s, 40% of the capture, about 6 s left to read"]


def test_packets_and_requests_have_a_line_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "FIRST_S", 0.0)
    said: list[str] = []
    told = progress_of("report", said.append)
    assert told.progress is not None
    assert told.requests_progress is not None
    told.progress(10, 0.5)
    told.requests_progress(20, 0.5)
    assert [line.partition(",")[0] for line in said] == [
        "report: 10 packets read",
        "report: 20 requests read",
    ]
