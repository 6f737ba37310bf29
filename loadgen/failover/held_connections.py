"""Connections that are open while a director dies: downloads, dialogues and idle ones.

All speak HTTP/1.1 over one connection each. A download reads a long body as it comes, again and
again; a dialogue asks twice a second; an idle one asks at its start, then rarely. One that has
ended is followed by another, so that the failback finds as many open as the fault did.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from analyzer.ipvs.addresses import host_port
from loadgen.session.background import Background

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analyzer.recording.directory import RecordingWriter
    from loadgen.load.plan import LoadPlan

EACH = 10
"""Connections of a kind."""

DIALOGUE_S = 0.5
IDLE_S = 60.0
"""Servers commonly close after 75 s."""

FIRST_WORDS = 3
"""So many exchanges an idle connection has before its silence."""

AGAIN_S = 1.0
CONNECT_S = 10.0
_CHUNK = 65536
_MAX_HEAD = 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """What is asked for.

    Attributes:
        dialogue: any small answer.
        download: a body that takes its time; None where the service has none.
    """

    dialogue: str
    download: str | None


class HeldConnections(Background):
    """An activity that keeps the connections open and records what happens to each."""

    def __init__(self, plan: LoadPlan, paths: Paths, recording: RecordingWriter) -> None:
        self._plan = plan
        self._paths = paths
        self._recording = recording
        self._numbers = count()
        self._speak = asyncio.Event()

    def speak(self) -> None:
        """Have the idle connections say a word now."""
        self._speak.set()
        self._speak = asyncio.Event()

    def not_measured(self) -> list[dict[str, str]]:
        """Kinds that this service does not offer."""
        if self._paths.download is not None:
            return []
        why = "the service offers none that we know of (--download-path)"
        return [{"what": "downloads in flight", "why": why}]

    async def _run(self) -> None:
        kinds = ["dialogue", "idle", *(["download"] if self._paths.download else [])]
        async with asyncio.TaskGroup() as group:
            for kind in kinds:
                for place in range(EACH):
                    group.create_task(self._keep(kind, place / EACH))

    async def _keep(self, kind: str, begin_s: float) -> None:
        """One after another, for as long as the run is on."""
        await asyncio.sleep(begin_s)
        while True:
            connection = _One(next(self._numbers), kind, self._recording)
            ended = await self._once(connection)
            if connection.opened:
                connection.note(ended)
            await asyncio.sleep(AGAIN_S)

    async def _once(self, connection: _One) -> str:
        """Hold one connection; how it ended."""
        target = self._plan.target
        # bound, so that its port is a random one: directors may still have entries of earlier runs
        local_address = ("::" if ":" in target.vip else "0.0.0.0", 0)  # noqa: S104 - to connect from
        opening = asyncio.open_connection(
            target.vip, target.port, limit=_MAX_HEAD, local_addr=local_address
        )
        try:
            reader, writer = await asyncio.wait_for(opening, CONNECT_S)
        except (OSError, TimeoutError):
            return "failed"
        try:
            connection.open(writer)
            await self._talk(connection, reader, writer)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            return "closed"
        except OSError:
            return "reset"
        finally:
            writer.transport.abort()
        return "closed"

    async def _talk(
        self, connection: _One, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        for questions in count(1):
            writer.write(self._question(connection.kind))
            await self._answer(connection, reader)
            if connection.kind == "dialogue" or (
                connection.kind == "idle" and questions < FIRST_WORDS
            ):
                await _unless_closed(reader, asyncio.sleep(DIALOGUE_S))
            elif connection.kind == "idle":
                await _unless_closed(reader, self._silence())

    async def _silence(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._speak.wait(), IDLE_S)

    def _question(self, kind: str) -> bytes:
        request = self._plan.request
        method = "GET" if kind == "download" else "HEAD"
        path = self._paths.download if kind == "download" else self._paths.dialogue
        target = self._plan.target
        host = request.authority or host_port(target.vip, target.port)
        return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()

    async def _answer(self, connection: _One, reader: asyncio.StreamReader) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        connection.note("progress", len(head))
        left = _body_length(head) if connection.kind == "download" else 0
        while left > 0:
            piece = await reader.read(min(left, _CHUNK))
            if not piece:
                raise asyncio.IncompleteReadError(piece, left)
            left -= len(piece)
            connection.note("progress", len(piece))


class _One:
    """One connection and its rows."""

    def __init__(self, number: int, kind: str, recording: RecordingWriter) -> None:
        self.kind = kind
        self.opened = False
        self._row: Mapping[str, object] = {"connection": number, "kind": kind}
        self._recording = recording

    def open(self, writer: asyncio.StreamWriter) -> None:
        address, port, *_ = writer.get_extra_info("sockname")
        self._row = dict(self._row) | {"source_ip": address, "source_port": port}
        self.opened = True
        self.note("opened")

    def note(self, change: str, size: int | None = None) -> None:
        row = {"at": time.time_ns(), "change": change, "bytes": size}
        self._recording.append("in_flight", dict(self._row) | row)


async def _unless_closed(reader: asyncio.StreamReader, pause: object) -> None:
    """A pause that ends as soon as the far side closes or resets."""
    waiting = asyncio.ensure_future(pause)  # type: ignore[call-overload]
    reading = asyncio.ensure_future(reader.read(1))
    try:
        await asyncio.wait({waiting, reading}, return_when=asyncio.FIRST_COMPLETED)
        if reading.done():
            received = reading.result()
            raise asyncio.IncompleteReadError(received, 1)
    finally:
        for task in (waiting, reading):
            task.cancel()
        await asyncio.gather(waiting, reading, return_exceptions=True)


def _body_length(head: bytes) -> int:
    """Of a response with a Content-Length; none is read of another.

    Raises:
        ValueError: it is no number.
    """
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            text = value.strip()
            if not text.isdigit() or len(text) > 18:
                raise ValueError("Content-Length")
            return int(text)
    raise ValueError("no Content-Length")
