"""Saturation of the client is said in words, and only of a schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from analyzer.analysis import analyse
from analyzer.recording import Recording, RecordingWriter
from tests.unit.analyzer.build import BOOT_NS

if TYPE_CHECKING:
    from pathlib import Path

    from analyzer.results import Finding

MS = 1_000_000
OPEN = {"model": "open", "arrivals": {"stages": [{"duration_s": 1, "rate_per_s": 100.0}]}}
CLOSED = {"model": "closed", "arrivals": {"requests": 100}}


def found(path: Path, plan: Any, late_ms: float) -> Finding | None:
    writer = RecordingWriter(path, {"plan": plan})
    for number in range(100):
        due = BOOT_NS + number * 10 * MS
        began = due + round(late_ms * MS)
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
