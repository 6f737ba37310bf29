"""A line now and then of how far the reading of a long capture or folder, or a copy, is."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analyzer.recording.spill import Means

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_S = 2.0
EVERY_S = 5.0
_ALMOST_ALL = 0.995


@dataclass(frozen=True, slots=True)
class Words:
    """What a line calls it: ``5 packets read, … of the capture, … left to read``."""

    done: str
    whole: str
    left: str


READING = Words("packets read", "the capture", "to read")
READING_REQUESTS = Words("requests read", "the requests", "to read")
READING_RUNS = Words("runs read", "the folder", "to read")
COPYING = Words("rows and packets copied", "the recording", "to copy")


class ReadingProgress:
    """Says what has been read, how fast, and how long the rest will take.

    Args:
        who: what a line begins with.
        say: takes a line.
        now_s: a monotonic clock.
        words: of what is read.
    """

    def __init__(
        self,
        who: str,
        say: Callable[[str], object],
        now_s: Callable[[], float] = time.monotonic,
        words: Words = READING,
    ) -> None:
        self._who, self._say, self._now_s, self._words = who, say, now_s, words
        self._began_s, self._next_s = now_s(), FIRST_S
        self._done = 0

    def read(self, done: int, share: float) -> None:
        """So many have been read or copied, and this share of the whole."""
        if not done or done < self._done:  # it begins only now, or again
            self._began_s, self._next_s = self._now_s(), FIRST_S
        self._done = done
        spent_s = self._now_s() - self._began_s
        if spent_s < self._next_s or not 0 < share < _ALMOST_ALL:
            return
        self._next_s = spent_s + EVERY_S
        left_s = spent_s / share - spent_s
        words = self._words
        self._say(
            f"{self._who}: {done:,} {words.done}, {done / spent_s:,.0f}/s, {share:.0%} of "
            f"{words.whole}, about {left_s:.0f} s left {words.left}"
        )


def progress_of(who: str, say: Callable[[str], object]) -> Means:
    """A long analysis that says how far its reading of packets and of requests is."""
    return Means(
        progress=ReadingProgress(who, say).read,
        requests_progress=ReadingProgress(who, say, words=READING_REQUESTS).read,
    )
