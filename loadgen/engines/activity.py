"""An engine as an activity: it starts with the run, and the run waits for it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from loadgen.background import Background
from loadgen.engines import http

if TYPE_CHECKING:
    from collections.abc import Callable

    from analyzer.recording import RecordingWriter
    from loadgen.plan import LoadPlan


class Burst(Background):
    """Sends a plan and records each request.

    Attributes:
        ended: set when the last request has ended.
        sources: address and port of each connection made.
    """

    def __init__(
        self, plan: LoadPlan, recording: RecordingWriter, progress: Callable[[bool], None]
    ) -> None:
        self.ended = asyncio.Event()
        self.sources: set[tuple[str, int]] = set()
        self._plan = plan
        self._recording = recording
        self._progress = progress

    async def _run(self) -> None:
        self._event("burst-start", f"{self._plan.expected_requests} requests")
        await http.send(self._plan, self._record)

    async def done(self) -> None:
        """Return when every request has ended."""
        assert self._task is not None
        await self._task
        self._event("burst-end", "")
        self.ended.set()

    def _record(self, row: dict[str, Any]) -> None:
        if row["source_port"] is not None:
            self.sources.add((row["source_ip"], row["source_port"]))
        self._recording.append("requests", row)
        self._progress(row["error"] is None)

    def _event(self, kind: str, detail: str) -> None:
        self._recording.append(
            "events", {"at": time.time_ns(), "host": "client", "kind": kind, "detail": detail}
        )
