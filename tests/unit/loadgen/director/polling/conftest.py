"""Polling without waiting for the clock."""

from __future__ import annotations

import time

import pytest

from loadgen.director.polling import poller
from tests.unit.waiting import StallFreeClock


@pytest.fixture
def short_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    """A poll follows the last at once, and a lost director is tried again at once.

    A machine that stalls sets no director's clock: its uptime is given, and ours has no stalls.
    """
    monkeypatch.setattr(time, "time_ns", StallFreeClock(time.time_ns))
    monkeypatch.setattr(poller, "INTERVAL_S", 0.001)
    monkeypatch.setattr(poller, "_RECONNECT_AFTER_S", (0.001,))
    monkeypatch.setattr(poller, "LAST_POLL_S", 0.001)
