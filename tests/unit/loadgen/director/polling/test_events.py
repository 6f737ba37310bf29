"""Slow answers and unreadable lines are events."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from loadgen.director.polling import events
from tests.unit.loadgen.director.fakes import (
    SERVICES,
    FakeShell,
)
from tests.unit.loadgen.director.polling.builders_polls import (
    STATS,
    answer,
    polled,
    rows,
)

if TYPE_CHECKING:
    from pathlib import Path


pytestmark = pytest.mark.usefixtures("short_intervals")


def test_a_slow_answer_between_polls_is_an_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "SLOW_S", 0)
    fake = FakeShell(answer())
    fake.answers_by_word["--stats"] = STATS
    _, recording = polled(fake, tmp_path)
    assert rows(recording, "events", "kind", "detail") == [("slow-answer", "counters: 0.0 s")]


def test_lines_that_cannot_be_read_are_an_event_once(tmp_path: Path) -> None:
    odd = SERVICES.replace("      25\n", " 18446744073709551615\n")
    _, recording = polled(FakeShell(*[answer(services=odd) for _ in range(5)]), tmp_path)
    assert rows(recording, "events", "kind", "detail") == [("lines-unreadable", "1 of services")]
    assert rows(recording, "services", "real_server") == [("192.168.10.21",)] * 5
