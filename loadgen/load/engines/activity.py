"""An engine as an activity: it starts with the run, and the run waits for it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from analyzer.client.causes import NEIGHBOUR
from analyzer.recording.hosts import CLIENT
from loadgen.load.engines.rows import Row, columns_of
from loadgen.load.engines.sources import SourcePorts
from loadgen.load.engines.tally import Tally, TargetTally
from loadgen.load.engines.workers.pool import Workers
from loadgen.load.neighbour import neighbour_state
from loadgen.session.background import Background

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from analyzer.recording.directory import RecordingWriter
    from loadgen.load.engines.rows import Block
    from loadgen.load.plan import LoadPlan

_SOURCE, _PORT = Row._fields.index("source"), Row._fields.index("port")


class Burst(Background):
    """Sends a plan and records each request, the first by the number ``first``.

    Attributes:
        ended: set when the last request has ended.
        sources: address and port of each connection made.
        tally: what has become of the requests so far.
        followers: called with each block of rows, too.
    """

    def __init__(
        self,
        plan: LoadPlan,
        recording: RecordingWriter,
        progress: Callable[[Tally], None],
        say: Callable[[str], None],
        first: int = 0,
    ) -> None:
        self.ended = asyncio.Event()
        self.sources = SourcePorts()
        self.tally = Tally()
        self.followers: list[Callable[[Block], object]] = []
        self._plan = plan
        self._recording = recording
        self._first = first
        self._progress = progress
        self._targets = TargetTally(plan)
        self._workers = Workers(plan, self._take, say)

    async def _begin(self) -> None:
        expected = self._plan.expected_requests
        self._event("burst-start", f"{expected} requests" if expected else "until time is up")
        try:
            await self._workers.start()
        except BaseException:
            await self._workers.stop()
            raise

    async def _run(self) -> None:
        await self._all_sent()
        self._event("burst-end", "")
        for vip in self._vips_without_success():
            await self._note_neighbour(vip)
        self.ended.set()

    async def _all_sent(self) -> None:
        """Return when nothing more is sent."""
        await self._workers.sent()

    def _vips_without_success(self) -> list[str]:
        """The addresses to which requests were sent, and all of them failed."""
        return self._targets.vips_without_success()

    async def _note_neighbour(self, vip: str) -> None:
        """Nothing succeeded there: whether anybody is at the address may be why."""
        state = await neighbour_state(vip)
        if state is not None:
            self._event(NEIGHBOUR, f"{vip} {state}")

    async def _end(self) -> None:
        await self._workers.stop()

    async def done(self) -> None:
        """Return when every request has ended."""
        assert self._task is not None
        await self._task

    def under_way(self) -> int:
        """Requests that have begun and are not among the recorded ones, some 0.25 s ago at most."""
        return self._workers.under_way()

    def manifest(self) -> dict[str, Any]:
        """The engine's part of ``run.json``; complete when the workers have ended."""
        return {"name": self._plan.engine, "cpu_s": self._workers.cpu_s()}

    def more_manifest(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Other keys of ``run.json`` that it alone knows at the end, given those that are there."""
        return {}

    def _take(self, rows: Block, texts: Sequence[str]) -> None:
        self.sources.add(rows[:, _SOURCE], rows[:, _PORT], texts)
        self.tally.add(rows, texts)
        self._targets.add(rows)
        for follower in self.followers:
            follower(rows)
        columns = columns_of(rows, texts, self._plan)
        numbered = {"id": columns["id"] + self._first} if self._first else {}
        self._recording.extend_columns("requests", {**columns, **numbered})
        self._progress(self.tally)

    def _event(self, kind: str, detail: str) -> None:
        self._recording.append(
            "events", {"at": time.time_ns(), "host": CLIENT, "kind": kind, "detail": detail}
        )
