"""A plain connection under aiohttp's protocol: our own socket, edge-triggered.

The event loop's own transports ask the kernel thirty things in the life of a connection, look its
address up in a thread each time, and close what they were given. This one makes a system call for
each thing that is to be done, and leaves the socket to whoever opened it: aiohttp lets go of a
connection when the answer is whole, and how it ends is decided after that.
"""

from __future__ import annotations

import asyncio
import select
import socket
from errno import EAGAIN, EINPROGRESS
from typing import TYPE_CHECKING

from loadgen.load.engines.opening import ALL_EDGES

if TYPE_CHECKING:
    from collections.abc import Callable

    Bytes = bytes | bytearray | memoryview

_FAULT = select.EPOLLERR | select.EPOLLHUP
_READABLE = select.EPOLLIN | select.EPOLLRDHUP | _FAULT
_PIECE_BYTES = 64 * 1024


class Edges:
    """An epoll of our own, which the event loop watches as one file."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._epoll = select.epoll()
        self._heeding: dict[int, Callable[[int], None]] = {}
        loop.add_reader(self._epoll.fileno(), self._deliver)

    def heed(self, handle: int, heed: Callable[[int], None]) -> None:
        """Call ``heed`` with what each edge brings, as epoll has it."""
        self._epoll.register(handle, ALL_EDGES)
        self._heeding[handle] = heed

    def ignore(self, handle: int) -> None:
        """Heed it no more; closing its socket takes it off the epoll."""
        self._heeding.pop(handle, None)

    def release(self, handle: int) -> None:
        """Take it off the epoll: its socket goes on, in other hands."""
        self.ignore(handle)
        self._epoll.unregister(handle)

    def close(self) -> None:
        """Deliver nothing any more."""
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()

    def _deliver(self) -> None:
        # what heeds only wakes others: no socket is opened or closed before all have been called
        for handle, mask in self._epoll.poll(0):
            heed = self._heeding.get(handle)
            if heed is not None:
                heed(mask)


class PlainTransport(asyncio.Transport):
    """See ``asyncio.Transport``. It ends without closing the socket."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket, edges: Edges) -> None:
        super().__init__()
        self._loop = loop
        self._sock = sock
        self._handle = sock.fileno()
        self._edges = edges
        self._protocol: asyncio.Protocol | None = None
        self._connected: asyncio.Future[None] = loop.create_future()
        self._came = 0
        self._unsent = b""
        self._closing = False
        self._reading = True

    async def connect(self, address: tuple[str, int]) -> None:
        """Have the connection made.

        Raises:
            OSError: there is none.
        """
        refused = self._sock.connect_ex(address)
        if refused not in (0, EINPROGRESS):
            raise OSError(refused, "")
        self._edges.heed(self._handle, self._heed)
        try:
            await self._connected
        except asyncio.CancelledError:
            self._edges.ignore(self._handle)
            raise
        if self._came & _FAULT:
            self._edges.ignore(self._handle)
            raise OSError(self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), "")

    def start(self, protocol: asyncio.Protocol) -> None:
        """From here on the protocol gets what comes, and what has come already."""
        self._protocol = protocol
        protocol.connection_made(self)
        if self._came & _READABLE:
            self._loop.call_soon(self._heed, self._came)

    def is_closing(self) -> bool:
        """See ``asyncio.BaseTransport``."""
        return self._closing

    def close(self) -> None:
        """Let go of the socket; what is still unsent stays so."""
        self._let_go(None)

    def abort(self) -> None:
        """The same: the socket is not ours to reset."""
        self._let_go(None)

    def pause_reading(self) -> None:
        """See ``asyncio.ReadTransport``."""
        self._reading = False

    def resume_reading(self) -> None:
        """See ``asyncio.ReadTransport``; an edge may have passed by meanwhile."""
        if not self._reading:
            self._reading = True
            self._loop.call_soon(self._heed, _READABLE)

    def write(self, data: Bytes) -> None:
        """See ``asyncio.WriteTransport``."""
        if self._closing:
            return
        if self._unsent:
            self._unsent += data
            return
        self._send(data)
        if self._unsent:
            self._connected_protocol.pause_writing()

    @property
    def _connected_protocol(self) -> asyncio.Protocol:
        assert self._protocol is not None
        return self._protocol

    def _heed(self, mask: int) -> None:
        if self._protocol is None:
            self._came |= mask
            if not self._connected.done():
                self._connected.set_result(None)
            return
        if self._unsent and mask & select.EPOLLOUT and not self._closing:
            self._send(self._unsent)
            if not self._unsent:
                self._connected_protocol.resume_writing()
        if mask & _READABLE:
            self._read(ends=bool(mask & select.EPOLLRDHUP))

    def _send(self, data: Bytes) -> None:
        sent = 0
        try:
            sent = self._sock.send(data)
        except OSError as error:
            if error.errno != EAGAIN:
                self._let_go(error)
                return
        self._unsent = bytes(data[sent:])

    def _read(self, *, ends: bool) -> None:
        """Until nothing is left; a FIN that came with the last bytes is still to be read."""
        while self._reading and not self._closing:
            try:
                data = self._sock.recv(_PIECE_BYTES)
            except OSError as error:
                if error.errno != EAGAIN:
                    self._let_go(error)
                return
            if not data:
                self._connected_protocol.eof_received()
                self._let_go(None)
                return
            self._connected_protocol.data_received(data)
            if len(data) < _PIECE_BYTES and not ends:
                return

    def _let_go(self, error: OSError | None) -> None:
        if not self._closing:
            self._closing = True
            self._edges.ignore(self._handle)
            self._loop.call_soon(self._connected_protocol.connection_lost, error)
