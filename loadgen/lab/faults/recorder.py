"""What is done to a lab while a run is on, as events of that run."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

from loadgen.lab.faults import events
from loadgen.session.background import Background

if TYPE_CHECKING:
    from analyzer.recording.directory import RecordingWriter

COPY_EVERY_S = 0.5


class LabEvents(Background):
    """An activity that copies a lab's events into the recording, as they come."""

    def __init__(self, lab_name: str, recording: RecordingWriter) -> None:
        self._lab_name = lab_name
        self._recording = recording
        self._since_ns = time.time_ns()
        self._copied = 0

    async def _end(self) -> None:
        self._copy()

    async def _run(self) -> None:
        while True:
            self._copy()
            await asyncio.sleep(COPY_EVERY_S)

    def _copy(self) -> None:
        new = [event for event in events.read(self._lab_name) if event.at >= self._since_ns]
        for event in new[self._copied :]:
            self._recording.append("events", asdict(event))
        self._copied = len(new)
