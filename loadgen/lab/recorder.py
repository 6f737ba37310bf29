"""What is done to a lab while a run is on, as events of that run."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

from loadgen.lab import events

if TYPE_CHECKING:
    from types import TracebackType

    from analyzer.recording import RecordingWriter

LOOK_S = 0.5


class LabEvents:
    """An activity that copies a lab's events into the recording, as they come."""

    def __init__(self, lab_name: str, recording: RecordingWriter) -> None:
        self._lab_name = lab_name
        self._recording = recording
        self._since_ns = time.time_ns()
        self._copied = 0
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> LabEvents:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self._copy()

    async def done(self) -> None:
        """Nobody waits for what may yet be done to a lab."""

    async def _run(self) -> None:
        while True:
            self._copy()
            await asyncio.sleep(LOOK_S)

    def _copy(self) -> None:
        new = [event for event in events.read(self._lab_name) if event.at >= self._since_ns]
        for event in new[self._copied :]:
            self._recording.append("events", asdict(event))
        self._copied = len(new)
