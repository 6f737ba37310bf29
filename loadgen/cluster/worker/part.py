"""A worker's part of a burst, at the worker: its engine, its recording, its capture."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from analyzer.errors import RecordingError
from analyzer.recording.directory import RecordingWriter
from loadgen.capture.start import open_captures
from loadgen.cluster.worker.messages import Prepared, Pulse, Stopped, part_name
from loadgen.errors import LoadgenError, UsageProblem
from loadgen.load.engines.rows import NONE, Row, columns_of
from loadgen.load.engines.sources import SourcePorts
from loadgen.load.engines.tally import Tally, TargetTally
from loadgen.load.engines.workers.pool import Workers
from loadgen.load.preflight import check_means

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadgen.capture.start import AnyCapture
    from loadgen.cluster.worker.messages import PartOrder
    from loadgen.load.engines.rows import Block
    from loadgen.load.engines.workers.share import Share

LEASE_S = 60.0
"""A part that nobody asked about for so long stops: whoever ordered it is gone."""

FLUSH_EVERY_S = 1.0
MOST_ERRORS = 100
"""Different texts of errors in a pulse: the most frequent."""

INSTANTS = ("scheduled", "started", "connected", "first_byte", "ended", "closed")
"""Of a ``Row``: those that are in the clock of the host that sent it."""

_MOST_LIVE_BYTES = 64 << 20
_SOURCE, _PORT = Row._fields.index("source"), Row._fields.index("port")
_INSTANTS = [Row._fields.index(name) for name in INSTANTS]


class Part:
    """One worker's part: prepared, begun at an instant, asked about, stopped."""

    def __init__(self, order: PartOrder) -> None:
        self._order = order
        self._tally = Tally()
        self._targets = TargetTally(order.plan)
        self._sources = SourcePorts()
        self._live: list[bytes] = []
        self._live_bytes = 0
        self._sent = self._crashed = self._expired = False
        self._heard_s = time.monotonic()
        self._tasks: list[asyncio.Task[None]] = []
        self._captures: list[AnyCapture] = []
        self._workers = Workers(order.plan, self._take, lambda _: None)
        self._recording: RecordingWriter | None = None
        self._ending: asyncio.Task[Stopped] | None = None

    async def prepare(self) -> Prepared:
        """Load the engine and open the recording; nothing is sent yet.

        A refusal or an error leaves nothing behind: no process, no capture, no folder.
        """
        try:
            check_means(self._order.plan)
        except UsageProblem:
            return Prepared(refusal="not-allowed")
        async with contextlib.AsyncExitStack() as undo:
            try:
                folder = self._make_folder()
                undo.callback(shutil.rmtree, folder, ignore_errors=True)
                recording = RecordingWriter(folder, {"command": "burst", "not_measured": []})
            except (OSError, RecordingError):
                return Prepared(refusal="folder")
            self._recording = recording
            recording.outlive(lambda _: None)
            undo.callback(recording.close, "failed")
            undo.push_async_callback(self._workers.stop)
            try:
                await self._workers.load(self._order.processes)
            except (LoadgenError, OSError):
                return Prepared(refusal="engine")
            for capture in self._wanted_captures(recording):
                self._captures.append(await undo.enter_async_context(capture))
            undo.pop_all()
        self._tasks = [asyncio.create_task(self._keep())]
        return Prepared(folder=str(folder), captures=bool(self._captures))

    def _make_folder(self) -> Path:
        order = self._order
        own = Path(tempfile.gettempdir()) / part_name(order.run, order.number)
        folder = Path(order.folder or own)
        folder.mkdir(mode=0o700, parents=order.folder is not None)
        return folder

    def _wanted_captures(self, recording: RecordingWriter) -> list[AnyCapture]:
        options = self._order.captures
        if options is None:
            return []
        return open_captures(
            options,
            self._order.plan.targets,
            recording,
            lambda _: None,
            on=None,
            client_interface=None,
        )

    def begin(self, lanes: Sequence[Share]) -> None:
        """Let the engine begin at the lanes' instant."""
        self._heard_s = time.monotonic()
        self._workers.begin(lanes)
        self._tasks.append(asyncio.create_task(self._await_sent()))

    async def _await_sent(self) -> None:
        try:
            await self._workers.sent()
        except LoadgenError:
            self._crashed = True
        self._sent = True

    async def _keep(self) -> None:
        """Bring what is recorded to disk; stop when nobody asks any more."""
        assert self._recording is not None
        while time.monotonic() - self._heard_s < LEASE_S:
            await asyncio.sleep(FLUSH_EVERY_S)
            self._recording.flush()
        self._expired = True
        await self._end()

    def _take(self, rows: Block, texts: Sequence[str]) -> None:
        assert self._recording is not None
        rows = in_other_clock(rows, self._order.offset_ns)
        self._tally.add(rows, texts)
        self._targets.add(rows)
        self._sources.add(rows[:, _SOURCE], rows[:, _PORT], texts)
        if self._order.live_rows and self._live_bytes < _MOST_LIVE_BYTES:
            self._live.append(rows.tobytes())
            self._live_bytes += rows.nbytes
        columns = columns_of(rows, texts, self._order.plan)
        self._recording.extend_columns("requests", {**columns, "host": self._order.name})

    def pulse(self, *, with_sources: bool) -> Pulse:
        """How far it is; asking keeps it going."""
        self._heard_s = time.monotonic()
        rows, self._live, self._live_bytes = b"".join(self._live), [], 0
        tally = self._tally
        return Pulse(
            ended=tally.ended,
            latest_ns=tally.latest_ns,
            first_ns=tally.first_ns,
            last_ns=tally.last_ns,
            under_way=self._workers.under_way(),
            errors=dict(tally.errors.most_common(MOST_ERRORS)),
            ended_by_target=self._targets.ended.tolist(),
            failed_by_target=self._targets.failed.tolist(),
            sent=self._sent,
            crashed=self._crashed and not self._expired,
            expired=self._expired,
            unrecorded=self._recording is not None and self._recording.stopped is not None,
            rows=rows,
            sources=self._sources if with_sources else None,
        )

    async def stop(self) -> Stopped:
        """Close what it holds, and what it recorded."""
        stopped = await self._end()
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        return stopped

    async def _end(self) -> Stopped:
        """Close everything, once: by order or by the lease, and both wait until it is done."""
        if self._ending is None:
            self._ending = asyncio.create_task(self._close())
        return await asyncio.shield(self._ending)

    async def _close(self) -> Stopped:
        await self._workers.stop()
        for capture in self._captures:
            await capture.__aexit__(None, None, None)
        if self._recording is not None:
            self._recording.close("completed")
        counted = [capture.manifest() for capture in self._captures]
        return Stopped(
            cpu_s=tuple(self._workers.cpu_s()),
            packets=counted[0]["packets"] if counted else None,
            dropped=counted[0]["dropped"] if counted else None,
            capture_failed=any(each["failure"] is not None for each in counted),
            capture_deleted=any(capture.has_deleted for capture in self._captures),
        )


def in_other_clock(rows: Block, ahead_ns: int) -> Block:
    """Rows of a clock that is ahead by so much, as the other one has them; shape (n, WIDTH)."""
    shifted = rows.copy()
    instants = shifted[:, _INSTANTS]
    shifted[:, _INSTANTS] = instants - ahead_ns * (instants != NONE)
    return shifted
