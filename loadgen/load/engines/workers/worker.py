"""A worker: a process of its own that carries out one share of a plan and hands its rows back.

It is started as ``python -m loadgen.load.engines.workers.worker ENGINE``. On standard input come
one pickled share, after the worker has said that it is ready, and then nothing: the end of that
stream, also when our parent was killed, is the order to stop. On standard output go messages, each
a kind, a length and a payload. In a session of its own, a terminal's Ctrl-C does not reach it.
"""

from __future__ import annotations

import gc
import os
import pickle
import resource
import struct
import sys
import threading
import traceback
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from loadgen.load.engines.rows import RowBuffer, Texts
from loadgen.load.plan import OpenModel

if TYPE_CHECKING:
    from loadgen.load.engines.rows import Block
    from loadgen.load.engines.workers.share import Engine

HEAD = struct.Struct("<cI")
"""A message's kind, and the length of what follows."""

READY, ROWS, TEXT, SAY, SENT, FAULT, DONE = b"r", b"R", b"t", b"s", b"S", b"f", b"d"
UNDER_WAY = b"u"
COUNT = struct.Struct("<q")
"""Payload of UNDER_WAY: requests that have begun and whose rows have not been handed back."""

USAGE = struct.Struct("<d")
"""Payload of DONE: the CPU time of this worker, user and system, seconds."""

_PUNCTUAL = -10
_COLLECT_EVERY = 100_000  # objects; connections in flight are no garbage, and cost each collection


class PipeOutlet:
    """The engine's outlet, at the worker's end of the pipe."""

    def __init__(self, handle: int) -> None:
        self.stopped = False
        self._handle = handle
        self._under_way = 0
        self._rows = RowBuffer(lambda payload: self._send(ROWS, payload))
        self._texts = Texts(lambda text: self._send(TEXT, text.encode()))
        self.text = self._texts.number
        self.row = self._rows.row

    def block(self, rows: Block) -> None:
        """Note many."""
        self._rows.block(rows)

    def say(self, line: str) -> None:
        """A line for the operator."""
        self._send(SAY, line.encode())

    def flush(self, under_way: int = 0) -> None:
        """Let go of what has gathered; a number that has not changed is not sent again."""
        self._rows.flush()
        if under_way != self._under_way:
            self._under_way = under_way
            self._send(UNDER_WAY, COUNT.pack(under_way))

    def sent(self) -> None:
        """All has been sent, and all that was expected has come."""
        self.flush()
        self._send(SENT, b"")

    def ready(self) -> None:
        """The engine is loaded."""
        self._send(READY, b"")

    def fault(self, error: Exception) -> None:
        """The engine crashed: with what, and where; its message may quote what a server sent."""
        self._send(FAULT, _place_of(error).encode())

    def done(self) -> None:
        """Nothing more comes from here."""
        self.flush()
        used = resource.getrusage(resource.RUSAGE_SELF)
        self._send(DONE, USAGE.pack(used.ru_utime + used.ru_stime))

    def _send(self, kind: bytes, payload: bytes) -> None:
        rest = memoryview(HEAD.pack(kind, len(payload)) + payload)
        with suppress(BrokenPipeError):  # nobody is left to read it; the stop is on its way
            while rest:
                rest = rest[os.write(self._handle, rest) :]


def main() -> None:
    """Load the engine, take the share, carry it out."""
    outlet = PipeOutlet(sys.stdout.fileno())
    try:
        engine: Engine = import_module(f"loadgen.load.engines.{sys.argv[1]}").send
    except ImportError as error:
        outlet.fault(error)
        return
    with suppress(ValueError, OSError):
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    outlet.ready()
    try:
        share = pickle.load(sys.stdin.buffer)  # noqa: S301 - our parent's
    except EOFError:
        return
    threading.Thread(target=_await_stop, args=(sys.stdin.fileno(), outlet), daemon=True).start()
    if isinstance(share.plan.arrivals, OpenModel):
        with suppress(
            OSError
        ):  # a schedule is worth being woken for; without the right, never mind
            os.setpriority(os.PRIO_PROCESS, 0, _PUNCTUAL)
    gc.freeze()
    gc.set_threshold(_COLLECT_EVERY)
    try:
        engine(share, outlet)
    except Exception as error:  # whatever it is, the run goes on and names it
        outlet.fault(error)
    outlet.done()


def _place_of(error: Exception) -> str:
    """``ValueError in answers.py, line 142``."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" in {Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}"


def _await_stop(handle: int, outlet: PipeOutlet) -> None:
    while os.read(handle, 4096):  # raw: a buffered one could not be left at the end
        pass
    outlet.stopped = True


if __name__ == "__main__":
    main()
