"""The workers of a plan, seen from the process that records: started, listened to, stopped."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pickle
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from loadgen.errors import RunFailed
from loadgen.load.engines.rows import rows_in
from loadgen.load.engines.workers import worker
from loadgen.load.engines.workers.share import parts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from loadgen.load.engines.rows import Block
    from loadgen.load.engines.workers.share import Share
    from loadgen.load.plan import LoadPlan

_LEAD_NS = 20_000_000
"""From the order to the first request: all workers have the order by then."""

_ALONE = {"OPENBLAS_NUM_THREADS": "1"}
"""Threads for algebra that no worker does would spin while it begins, on the server's CPU too."""

_PIPE_BYTES = 1 << 20
_GRACE_S = 5.0
_MESSAGE_LIMIT = 1 << 26


@dataclass(slots=True)
class _Worker:
    """One worker and what it has said.

    Attributes:
        texts: those that its rows refer to by number.
        sent: set when it has nothing more to send, or has ended.
        under_way: requests that have begun and whose rows have not come, as it last said.
        cpu_s: what it used, known at its end.
    """

    process: asyncio.subprocess.Process
    stream: asyncio.StreamReader
    pipe: asyncio.ReadTransport
    texts: list[str] = field(default_factory=list)
    sent: asyncio.Event = field(default_factory=asyncio.Event)
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    done: bool = False
    fault: str | None = None
    under_way: int = 0
    cpu_s: float | None = None


class Workers:
    """Carries out a plan in processes of their own.

    Args:
        plan: to be carried out.
        take: called with each block of rows and the texts that it refers to.
        say: called with each line for the operator.
    """

    def __init__(
        self,
        plan: LoadPlan,
        take: Callable[[Block, Sequence[str]], None],
        say: Callable[[str], None],
    ) -> None:
        self._plan = plan
        self._take = take
        self._say = say
        self._workers: list[_Worker] = []
        self._listening: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start them all, and let them begin at one instant.

        Raises:
            RunFailed: one of them did not start.
        """
        await self.load(len(parts(self._plan, 0)))
        self.begin(parts(self._plan, time.time_ns() + _LEAD_NS))

    async def load(self, processes: int) -> None:
        """Start so many, and wait until each has its engine loaded.

        Raises:
            RunFailed: one of them did not start.
        """
        for _ in range(processes):
            self._workers.append(await _spawn(self._plan.engine))
        for child in self._workers:
            self._listening.append(asyncio.create_task(self._listen(child)))
        for child in self._workers:
            await child.ready.wait()
            self._check(child)

    def begin(self, shares: Sequence[Share]) -> None:
        """Give each of them its share, which says when it begins."""
        for child, share in zip(self._workers, shares, strict=True):
            assert child.process.stdin is not None
            child.process.stdin.write(pickle.dumps(share))

    async def sent(self) -> None:
        """Return when every worker has sent all it had to.

        Raises:
            RunFailed: one of them crashed.
        """
        for child in self._workers:
            await child.sent.wait()
            self._check(child)

    async def stop(self) -> None:
        """Have all of them close what they hold, and go."""
        for child in self._workers:
            if child.process.stdin is not None:
                child.process.stdin.close()
        if self._listening:
            await asyncio.wait(self._listening, timeout=_GRACE_S)
        for child in self._workers:
            try:
                await asyncio.wait_for(child.process.wait(), _GRACE_S)
            except TimeoutError:
                child.process.kill()
                await child.process.wait()
            child.pipe.close()

    def process_ids(self) -> list[int]:
        """Theirs, in the order of their shares."""
        return [each.process.pid for each in self._workers]

    def cpu_s(self) -> list[float | None]:
        """What each of them used; None of one that is not at its end."""
        return [ended.cpu_s for ended in self._workers]

    def under_way(self) -> int:
        """Requests that have begun and whose rows have not come, as the workers last said."""
        return sum(child.under_way for child in self._workers)

    def _check(self, child: _Worker) -> None:
        if child.fault:
            raise RunFailed(f"the {self._plan.engine} engine crashed: {child.fault}")

    async def _listen(self, child: _Worker) -> None:
        try:
            while True:
                kind, size = worker.HEAD.unpack(await child.stream.readexactly(worker.HEAD.size))
                self._hear(child, kind, await child.stream.readexactly(size))
        except (asyncio.IncompleteReadError, ConnectionError):
            if not child.done and child.fault is None:
                child.fault = "its process ended before its time"
        finally:
            child.under_way = 0
            child.ready.set()
            child.sent.set()

    def _hear(self, child: _Worker, kind: bytes, payload: bytes) -> None:
        if kind == worker.ROWS:
            self._take(rows_in(payload), child.texts)
        elif kind == worker.TEXT:
            child.texts.append(payload.decode())
        elif kind == worker.SAY:
            self._say(payload.decode())
        elif kind == worker.FAULT:
            child.fault = payload.decode()
        elif kind == worker.UNDER_WAY:
            (child.under_way,) = worker.COUNT.unpack(payload)
        elif kind == worker.DONE:
            child.done = True
            (child.cpu_s,) = worker.USAGE.unpack(payload)
        else:
            {worker.READY: child.ready, worker.SENT: child.sent}[kind].set()


async def _spawn(engine: str) -> _Worker:
    """A worker with a roomy pipe, so that it need not wait for us."""
    reading, writing = os.pipe()
    with suppress(OSError):
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "loadgen.load.engines.workers.worker", engine),
            stdin=asyncio.subprocess.PIPE,
            stdout=writing,
            start_new_session=True,
            env=_ALONE | os.environ,
        )
    finally:
        os.close(writing)
    stream = asyncio.StreamReader(limit=_MESSAGE_LIMIT)
    pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(reading, "rb", 0)
    )
    return _Worker(process, stream, pipe)
