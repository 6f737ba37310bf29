"""Waiting for what a test is after, and not for a time in which it should have happened."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT_S = 60.0
"""For what takes milliseconds, or a second, on a machine that is busy: whoever waits for the truth
waits no longer than it takes."""

EVERY_S = 0.001


async def until(holds: Callable[[], object], limit_s: float = LIMIT_S) -> bool:
    """Whether a condition holds within so many seconds, as seen from an event loop."""
    end_s = time.monotonic() + limit_s
    while not (is_so := holds()) and time.monotonic() < end_s:
        await asyncio.sleep(EVERY_S)
    return bool(is_so)


def wait_until(holds: Callable[[], object], limit_s: float = LIMIT_S) -> bool:
    """Whether a condition holds within so many seconds, where there is no event loop."""
    end_s = time.monotonic() + limit_s
    while not (is_so := holds()) and time.monotonic() < end_s:
        time.sleep(EVERY_S)
    return bool(is_so)


class StallFreeClock:
    """A clock of a process that never stalls: it goes on by no more than ``MOST_NS`` at a reading.

    Where a busy machine stops a process for seconds, plans that last a tenth of one go on after it
    as if nothing had been, and so do the holds and the pauses of their connections.

    Args:
        read_ns: the clock that it goes by, nanoseconds.
    """

    MOST_NS = 60_000_000
    """Engines look at the clock every 50 ms."""

    def __init__(self, read_ns: Callable[[], int]) -> None:
        self._read_ns = read_ns
        self._lock = threading.Lock()
        self._last_ns = self._now_ns = read_ns()

    def __call__(self) -> int:
        """Nanoseconds, as of the clock that it goes by, less all stalls so far."""
        with self._lock:
            at_ns = self._read_ns()
            self._now_ns += min(at_ns - self._last_ns, self.MOST_NS)
            self._last_ns = at_ns
            return self._now_ns


async def turns(number: int = 10) -> None:
    """Let the event loop run what is ready, so many times: for what must not happen meanwhile."""
    for _ in range(number):
        await asyncio.sleep(0)
