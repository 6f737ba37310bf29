"""A thread for work on what one director answered, so that no other director waits for it."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    Result = TypeVar("Result")

SMALL_BYTES = 1 << 16
"""What is no longer is worked on at once: it takes a millisecond, little more than a thread would.
"""


class WorkerThread:
    """A thread of one director, started when it is needed; its tasks come one after the other."""

    def __init__(self) -> None:
        self._thread: ThreadPoolExecutor | None = None

    async def run(self, size_bytes: int, work: Callable[[], Result]) -> Result:
        """Do some work; in the thread where the text that it reads is large."""
        if size_bytes <= SMALL_BYTES:
            return work()
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="director")
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def close(self) -> None:
        """Wait for nothing; what was begun comes to its end."""
        if self._thread is not None:
            self._thread.shutdown(wait=False, cancel_futures=True)
            self._thread = None
