"""Events of one director in the recording: what changed, what was unreadable, what took long."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analyzer.recording.directory import RecordingWriter

SLOW_S = 1.0
"""An answer between polls that takes longer is an event: it has held the next poll up."""


class DirectorEvents:
    """Writes one director's events, each at the present instant."""

    def __init__(self, director: str, recording: RecordingWriter) -> None:
        self._director = director
        self._recording = recording
        self._unread: dict[str, int] = {}

    def note(self, kind: str, detail: str, *, since_ns: int | None = None) -> None:
        """An event; ``since_ns``: the earliest that it can have happened, where that is known."""
        row = {"at": time.time_ns(), "host": self._director, "kind": kind, "detail": detail}
        self._recording.append("events", row | {"since": since_ns})

    def note_unread(self, what: str, lines: int) -> None:
        """An event of lines that are not as a kernel prints them: they are left out.

        Noted when there are more of them than ever before, twice as many at least.
        """
        if lines >= max(1, 2 * self._unread.get(what, 0)):
            self._unread[what] = lines
            self.note("lines-unreadable", f"{lines} of {what}")

    def took_s(self, what: str, began_s: float) -> float:
        """Seconds since an instant on the monotonic clock; an event where that was long."""
        took_s = time.monotonic() - began_s
        if took_s > SLOW_S:
            self.note("slow-answer", f"{what}: {took_s:.1f} s")
        return took_s
