"""Waiting for what a test is after, and not for a time in which it should have happened."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT_S = 20.0
"""For what takes milliseconds, on a machine that is busy."""

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


async def turns(number: int = 10) -> None:
    """Let the event loop run what is ready, so many times: for what must not happen meanwhile."""
    for _ in range(number):
        await asyncio.sleep(0)
