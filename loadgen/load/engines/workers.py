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
from loadgen.load.engines import worker
from loadgen.load.engines.rows import rows_in
from loadgen.load.engines.share import parts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from loadgen.load.engines.rows import Block
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
        sent: set when it has nothing more to send, or is gone.
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
        dealt = parts(self._plan, 0)
        for _ in dealt:
            self._workers.append(await _spawn(self._plan.engine))
        for each in self._workers:
            self._listening.append(asyncio.create_task(self._listen(each)))
        for each in self._workers:
            await each.ready.wait()
            self._check(each)
        for each, share in zip(
            self._workers, parts(self._plan, time.time_ns() + _LEAD_NS), strict=True
        ):
            assert each.process.stdin is not None
            each.process.stdin.write(pickle.dumps(share))

    async def sent(self) -> None:
        """Return when every worker has sent all it had to.

        Raises:
            RunFailed: one of them crashed.
        """
        for each in self._workers:
            await each.sent.wait()
            self._check(each)

    async def stop(self) -> None:
        """Have all of them close what they hold, and go."""
        for each in self._workers:
            if each.process.stdin is not None:
                each.process.stdin.close()
        if self._listening:
            await asyncio.wait(self._listening, timeout=_GRACE_S)
        for each in self._workers:
            try:
                await asyncio.wait_for(each.process.wait(), _GRACE_S)
            except TimeoutError:
                each.process.kill()
                await each.process.wait()
            each.pipe.close()

    def process_ids(self) -> list[int]:
        """Theirs, in the order of their shares."""
        return [each.process.pid for each in self._workers]

    def cpu_s(self) -> list[float | None]:
        """What each of them used; None of one that is not at its end."""
        return [each.cpu_s for each in self._workers]

    def _check(self, each: _Worker) -> None:
        if each.fault:
            raise RunFailed(f"the {self._plan.engine} engine fell over: {each.fault}")

    async def _listen(self, each: _Worker) -> None:
        try:
            while True:
                kind, size = worker.HEAD.unpack(await each.stream.readexactly(worker.HEAD.size))
                self._hear(each, kind, await each.stream.readexactly(size))
        except (asyncio.IncompleteReadError, ConnectionError):
            if not each.done and each.fault is None:
                each.fault = "its process ended before its time"
        finally:
            each.ready.set()
            each.sent.set()

    def _hear(self, each: _Worker, kind: bytes, payload: bytes) -> None:
        if kind == worker.ROWS:
            self._take(rows_in(payload), each.texts)
        elif kind == worker.TEXT:
            each.texts.append(payload.decode())
        elif kind == worker.SAY:
            self._say(payload.decode())
        elif kind == worker.FAULT:
            each.fault = payload.decode()
        elif kind == worker.DONE:
            each.done = True
            (each.cpu_s,) = worker.USAGE.unpack(payload)
        else:
            {worker.READY: each.ready, worker.SENT: each.sent}[kind].set()


async def _spawn(engine: str) -> _Worker:
    """A worker with a roomy pipe, so that it need not wait for us."""
    reading, writing = os.pipe()
    with suppress(OSError):
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "loadgen.load.engines.worker", engine),
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
