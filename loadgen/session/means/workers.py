"""Processes of this host that run parts of an analysis."""

from __future__ import annotations

import os
import signal
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from contextlib import ExitStack
from importlib import import_module
from multiprocessing import get_context, parent_process
from multiprocessing.forkserver import ensure_running
from threading import Thread
from typing import TYPE_CHECKING, Self

from loadgen.errors import RunFailed
from loadgen.session.means.fork_server import about_to_start
from loadgen.session.means.heap import keep_freed_memory

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future
    from multiprocessing.process import BaseProcess as ParentProcess
    from pathlib import Path

MOST = 4
"""Processes that are started without being asked for: each has a part in memory."""

FASTER_FROM_BYTES = 768 << 20
"""Captures of fewer bytes are analysed sooner by one process (``tests/bench/test_report.py``)."""

_PRELOADED = ["loadgen.session.means.fork_server", "analyzer.analysis"]
_CONTEXT = get_context("forkserver")  # a fork of this process could inherit held locks


class LocalWorkers:
    """So many processes; none is started before there is something to run."""

    in_order = True

    def __init__(self, count: int) -> None:
        self.count = count
        self._executor: Executor | None = None
        self._closing = ExitStack()

    def sees(self, folder: Path) -> bool:
        """They are on this host."""
        return True

    def answer(self, running: Future[bytes]) -> bytes:
        """The result of a task.

        Raises:
            RunFailed: a process has ended.
        """
        try:
            return running.result()
        except BrokenExecutor as error:
            raise RunFailed(
                "--processes: one of them was killed, perhaps for want of memory; expected all to "
                "go on (--processes 1 uses none)"
            ) from error

    def prepare(self) -> None:
        """Start what they are forked from: it imports for as long as this process does."""
        _CONTEXT.set_forkserver_preload(_PRELOADED)
        with about_to_start():
            ensure_running()

    def executor(self) -> Executor:
        """The pool, started when it is first asked for."""
        if self._executor is None:
            self.prepare()
            for module in _PRELOADED:  # this process needs them too, and the server takes as long
                import_module(module)
            pool = ProcessPoolExecutor(self.count, mp_context=_CONTEXT, initializer=_begin)
            self._closing.callback(pool.shutdown, wait=True, cancel_futures=True)
            self._executor = pool
        return self._executor

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()


def _begin() -> None:
    """Leave Ctrl-C to the process that this one works for; end when that was killed."""
    keep_freed_memory()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    employer = parent_process()
    if employer is not None:
        Thread(target=_end_with, args=(employer,), daemon=True).start()


def _end_with(employer: ParentProcess) -> None:
    employer.join()
    os._exit(1)


def cores() -> int:
    """How many this process may run on, as far as they can be used."""
    return min(len(os.sched_getaffinity(0)), MOST)
