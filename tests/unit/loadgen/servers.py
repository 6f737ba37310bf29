"""A real HTTP server on loopback that notes what its clients do."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.unit.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n"
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
MOVED = b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"


def own_address() -> str:
    """An address of loopback that this process has to itself, so that it may choose its ports."""
    number = os.getpid()
    return f"127.{64 + (number >> 16) % 64}.{(number >> 8) % 256}.{number % 256}"


def moved(location: str | None) -> bytes:
    """A redirect; None leaves its ``Location`` out."""
    where = "" if location is None else f"Location: {location}\r\n"
    return f"HTTP/1.1 302 Found\r\n{where}Content-Length: 0\r\n\r\n".encode()


@dataclass
class Server:
    """What happened to a server.

    Attributes:
        host: the address that it listens at.
        port: that it has found free there.
        requests: the head of each request, as it came.
        peers: the address and port of each connection made.
        closed_by_client: connections whose client closed while the server kept its side open.
        closed_by_server: connections that the client asked the server to close.
        reset_by_client: connections that ended with the client's RST.
        elsewhere: the answer for the path ``/elsewhere``, where it is another.
        paths: answers for other paths.
        most_at_once: connections that were open at the same time.
        keeps_alive: answers requests after the first of a connection, too.
        closes_after: then closes it after so many answers; ``announces`` it with the last.
        closes_at_once: its FIN comes with the last answer, however busy the machine is.
        drops: then closes it without an answer when this request of it has come, from 1.
        served: requests that came on each connection, by the client's address and port.
    """

    answer: bytes | None = OK
    host: str = "127.0.0.1"
    port: int = 0
    requests: list[bytes] = field(default_factory=list)
    peers: list[tuple[str, int]] = field(default_factory=list)
    closed_by_client: int = 0
    closed_by_server: int = 0
    reset_by_client: int = 0
    elsewhere: bytes | None = None
    paths: dict[str, bytes] = field(default_factory=dict)
    most_at_once: int = 0
    keeps_alive: bool = False
    closes_after: int | None = None
    announces: bool = False
    closes_at_once: bool = False
    drops: int | None = None
    served: Counter[tuple[str, int]] = field(default_factory=Counter)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    _open: int = 0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.peers.append(writer.get_extra_info("peername"))
        self._open += 1
        self.most_at_once = max(self.most_at_once, self._open)
        try:
            if self.keeps_alive:
                await self._converse(reader, writer)
                return
            with contextlib.suppress(asyncio.IncompleteReadError):
                self.requests.append(await reader.readuntil(b"\r\n\r\n"))
                self.asked.set()
                await self._answer(reader, writer)
        except ConnectionResetError:
            self.reset_by_client += 1
        finally:
            self._open -= 1
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        moved_to = b" /elsewhere " in self.requests[-1] and self.elsewhere
        path = self.requests[-1].split()[1].decode()
        answer = moved_to or self.paths.get(path, self.answer)
        if answer is not None:
            writer.write(answer)
            await writer.drain()
        if b"Connection: close" in self.requests[-1]:
            self.closed_by_server += 1
        elif await reader.read() == b"":
            self.closed_by_client += 1

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """All requests of a connection that is kept alive."""
        assert self.answer is not None
        peer = writer.get_extra_info("peername")
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                self.closed_by_client += 1
                return
            self.requests.append(head)
            self.served[peer] += 1
            self.asked.set()
            if self.served[peer] == self.drops:
                return
            is_last = self.served[peer] == self.closes_after
            announced = b"\r\nConnection: close\r\n\r\n" if is_last and self.announces else None
            if is_last and self.closes_at_once:
                corked = writer.get_extra_info("socket")
                corked.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
            kept = self.answer.replace(b"Connection: keep-alive\r\n", b"")
            writer.write(kept.replace(b"\r\n\r\n", announced) if announced else self.answer)
            if is_last and self.closes_at_once:
                writer.write_eof()
            await writer.drain()
            if b"Connection: close" in head:
                self.closed_by_server += 1
                return
            if is_last:
                return

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Server]:
        """Serve on a free port of loopback."""
        server = await asyncio.start_server(self._serve, self.host, 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
            assert await until(lambda: not self._open, 60)
        finally:
            server.close()
            await server.wait_closed()
