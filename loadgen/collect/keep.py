"""A watch of any length on a disk of finite size: the oldest parts go, and it is said."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from analyzer.recording.hosts import CLIENT
from analyzer.units import NS_PER_S
from loadgen.session.background import Background

if TYPE_CHECKING:
    from analyzer.recording.directory import Part, RecordingWriter

CHECK_EVERY_S = 10.0
THINNED = ("services", "entries", "polls", "sockets")
"""Tables whose oldest parts may go; what happened (``events``) is little, and stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """How much of a watch stays on disk.

    Attributes:
        text: as the operator wrote it.
        size_bytes: so much; None where it is not the size that counts.
        seconds: so long; None likewise.
    """

    text: str
    size_bytes: int | None = None
    seconds: float | None = None

    def without_capture(self, captured: bool) -> Keep:
        """What is left for the tables: half of a size, where packets are captured too."""
        if not captured or self.size_bytes is None:
            return self
        return replace(self, size_bytes=self.size_bytes // 2)


class Keeper(Background):
    """An activity that deletes the oldest parts of a recording beyond a limit."""

    def __init__(self, keep: Keep, recording: RecordingWriter) -> None:
        self._keep = keep
        self._recording = recording
        self._kept_from_ns: int | None = None
        recording.update_manifest({"kept": {"limit": keep.text, "from_ns": None}})

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(CHECK_EVERY_S)
            now_ns = time.time_ns()
            dropped = await asyncio.to_thread(self._thin, now_ns)  # it reads and writes tables
            if dropped:
                self._note(max(part.ended_ns for part in dropped), now_ns)

    def _thin(self, now_ns: int) -> list[Part]:
        """Delete what is beyond the limit now."""
        over_bytes = self._over_bytes()
        dropped: list[Part] = []
        for part in self._recording.full_parts():
            if part.table not in THINNED:
                continue
            if over_bytes <= 0 and not self._is_old(part, now_ns):
                break
            self._recording.drop(part)
            over_bytes -= part.size_bytes
            dropped.append(part)
        return dropped

    def _over_bytes(self) -> int:
        if self._keep.size_bytes is None:
            return 0
        return self._recording.size_bytes() - self._keep.size_bytes

    def _is_old(self, part: Part, now_ns: int) -> bool:
        seconds = self._keep.seconds
        return seconds is not None and now_ns - part.ended_ns > seconds * NS_PER_S

    def _note(self, kept_from_ns: int, now_ns: int) -> None:
        if self._kept_from_ns is None:
            detail = f"--keep {self._keep.text}: from now on the oldest is deleted"
            row = {"at": now_ns, "host": CLIENT, "kind": "recording-thinned", "detail": detail}
            self._recording.append("events", row)
        self._kept_from_ns = kept_from_ns
        self._recording.update_manifest(
            {"kept": {"limit": self._keep.text, "from_ns": kept_from_ns}}
        )
