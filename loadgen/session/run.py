"""A run: a list of activities over one recording. Whatever happens, the recording is closed."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Literal, Protocol

from loadgen.errors import LoadgenError
from loadgen.session.background import Background
from loadgen.session.signals import on_signals
from loadgen.session.terminal import report_progress

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from analyzer.recording.directory import RecordingWriter

FLUSH_EVERY_S = 2.0

Ended = Literal["completed", "interrupted", "aborted", "unrecorded"]
"""How a run ended.

``aborted`` by a limit of its own, ``unrecorded`` where its recording could not be written to the
end.
"""


class Activity(Protocol):
    """Something that goes on while a run is on: an engine, a poller, a capture, a watch."""

    async def __aenter__(self) -> object: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    async def done(self) -> None:
        """Return when this activity has nothing more to do; the run ends after the last."""


async def run(activities: Sequence[Activity], recording: RecordingWriter) -> Ended:
    """Start the activities in order, wait until all are done, end them in reverse.

    Ctrl-C and SIGTERM end the waiting, not the recording; a full disk ends the recording, not the
    run.
    """
    recording.outlive(lambda line: report_progress(f"{line}; nothing more is recorded"))
    ended: Ended = "completed"
    failed = "failed"
    try:
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(_Flusher(recording))
            for activity in activities:
                await stack.enter_async_context(activity)
            if not await _wait(activities):
                ended = "interrupted"
        failed = ended
    except Exception as error:
        failed = f"failed: {_recorded(error)}"
        raise
    finally:
        recording.update_manifest({"ended_at_ns": time.time_ns()})
        recording.close(failed)
    return "unrecorded" if recording.stopped and ended == "completed" else ended


def _recorded(error: Exception) -> str:
    """What ended a run: never the message of a fault, which may quote what others sent."""
    if isinstance(error, LoadgenError):
        return error.recorded
    return (isinstance(error, OSError) and error.strerror) or type(error).__name__


async def _wait(activities: Sequence[Activity]) -> bool:
    """Wait for all to be done; False if a signal cut it short."""
    waiting = asyncio.gather(*(activity.done() for activity in activities))
    with on_signals(waiting.cancel):
        try:
            await waiting
        except asyncio.CancelledError:
            return False
    return True


class _Flusher(Background):
    """Brings the recording's parts to disk every few seconds."""

    def __init__(self, recording: RecordingWriter) -> None:
        self._recording = recording

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_EVERY_S)
            self._recording.flush()
