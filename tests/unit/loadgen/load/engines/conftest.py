"""A machine that stalls takes nothing of what a plan lasts."""

from __future__ import annotations

import time

import pytest

from tests.unit.waiting import StallFreeClock


@pytest.fixture
def without_stalls(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine in this process goes by a clock without stalls; the event loop of asyncio too."""
    now_ns, since_ns = StallFreeClock(time.time_ns), StallFreeClock(time.monotonic_ns)
    monkeypatch.setattr(time, "time_ns", now_ns)
    monkeypatch.setattr(time, "monotonic", lambda: since_ns() / 1e9)


@pytest.fixture
def without_stalls_in_http(without_stalls: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The timeouts of the http engine too: uvloop has a clock of its own."""
    monkeypatch.setattr("loadgen.load.engines.http.engine._loop_factory", lambda: None)
