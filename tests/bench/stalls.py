"""When the machine itself stood still: a thread that sleeps, and how late it wakes."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SLEEP_S = 0.01
NOTED_S = 0.02


@dataclass(frozen=True, slots=True)
class Stalls:
    """Since when, Unix time in ns, and for how long each stall was, in seconds."""

    seen: list[tuple[int, float]] = field(default_factory=list)

    def within_s(self, began_ns: int, ended_ns: int) -> float:
        """How long the machine stood still between two instants."""
        return sum(
            max(0.0, (min(at_ns + long_s * 1e9, ended_ns) - max(at_ns, began_ns)) / 1e9)
            for at_ns, long_s in self.seen
        )


@contextmanager
def watched_stalls() -> Iterator[Stalls]:
    """Watch until the block ends; the thread has the priority of what is measured beside it."""
    stalls, over = Stalls(), threading.Event()

    def watch() -> None:
        while not over.is_set():
            due_ns = time.time_ns() + round(SLEEP_S * 1e9)
            time.sleep(SLEEP_S)
            late_s = (time.time_ns() - due_ns) / 1e9
            if late_s > NOTED_S:
                stalls.seen.append((due_ns, late_s))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield stalls
    finally:
        over.set()
        thread.join()
