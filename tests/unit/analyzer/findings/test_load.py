"""Saturation of the client is said in words, and only of a schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from analyzer.analysis import analyse
from analyzer.recording.directory import Recording, RecordingWriter
from tests.unit.analyzer.builders_packets import BOOT_NS

if TYPE_CHECKING:
    from pathlib import Path

    from analyzer.results import Finding

MS = 1_000_000
OPEN = {"model": "open", "arrivals": {"stages": [{"duration_s": 1, "rate_per_s": 100.0}]}}
CLOSED = {"model": "closed", "arrivals": {"requests": 100}}


SLOW = {"model": "open", "arrivals": {"stages": [{"duration_s": 20, "rate_per_s": 10.0}]}}


def found(
    path: Path, plan: Any, late_ms: float, *, every_ms: int = 10, n: int = 100, once: bool = False
) -> Finding | None:
    """A run whose requests (``once``: one of forty) were begun so late."""
    writer = RecordingWriter(path, {"plan": plan})
    for number in range(n):
        due = BOOT_NS + number * every_ms * MS
        began = due + (round(late_ms * MS) if not once or number % 40 == 7 else 0)
        instants = {"started": began, "connected": began, "first_byte": began, "ended": began + MS}
        writer.append("requests", {"id": number, "scheduled": due, "status": 200} | instants)
    writer.close("completed")
    findings = analyse(Recording.open(path)).findings
    return next((each for each in findings if each.id == "load-saturated"), None)


def test_a_client_that_falls_behind_its_schedule_is_named(tmp_path: Path) -> None:
    finding = found(tmp_path, OPEN, 250)
    assert finding is not None
    assert finding.severity == "warning"
    assert "Up to 100 requests/s were due" in finding.evidence
    assert "more than 250.0 ms" in finding.evidence


@pytest.mark.parametrize(("plan", "late_ms"), [(OPEN, 5), (CLOSED, 250), (None, 250)])
def test_a_client_on_time_or_without_a_schedule_is_not(
    plan: Any, late_ms: float, tmp_path: Path
) -> None:
    assert found(tmp_path, plan, late_ms) is None


def test_at_a_low_rate_a_hiccup_is_no_saturation(tmp_path: Path) -> None:
    """10 a second, some 30 ms late: the next one was not even due."""
    assert found(tmp_path, SLOW, 30, every_ms=100, n=200, once=True) is None


def test_of_few_requests_the_latest_is_not_one_in_a_hundred(tmp_path: Path) -> None:
    assert found(tmp_path, OPEN, 60, n=50, once=True) is None


def test_of_few_requests_half_that_were_late_are_enough(tmp_path: Path) -> None:
    finding = found(tmp_path, OPEN, 60, n=50)
    assert finding is not None
    assert "one in a hundred" not in finding.evidence
    assert "50 were sent; half of them started more than 60.0 ms late" in finding.evidence


def test_of_requests_that_share_connections_only_the_first_of_each_had_a_schedule(
    tmp_path: Path,
) -> None:
    """Ten on each: nine of ten were due when the one before had ended, and were on time."""
    writer = RecordingWriter(tmp_path, {"plan": OPEN | {"requests_per_connection": 10}})
    for number in range(400):
        is_first = number % 10 == 0
        due = BOOT_NS + number * 10 * MS
        began = due + (150 * MS if is_first else 0)
        row = {"scheduled": due, "started": began, "first_byte": began, "ended": began + MS}
        writer.append("requests", {"id": number, "reused": None if is_first else 1} | row)
    writer.close("completed")
    (finding,) = [
        each for each in analyse(Recording.open(tmp_path)).findings if each.id == "load-saturated"
    ]
    assert "half of the 40 connections started more than 150.0 ms late" in finding.evidence


def test_a_few_that_were_late_are_no_saturated_client(tmp_path: Path) -> None:
    finding = found(tmp_path, OPEN, 250, n=400, once=True)
    assert finding is not None
    assert finding.title.endswith("the client was delayed at times")
    assert "400 were sent, 100/s" in finding.evidence
