"""The plain transport: nothing is lost between an edge and the protocol."""

from __future__ import annotations

import asyncio
import fcntl
import socket
import termios
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.load.engines.http.transport import Edges, PlainTransport
from tests.unit.waiting import turns, until

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    Play = Callable[[PlainTransport, "Notes", socket.socket], Coroutine[None, None, None]]


class Notes(asyncio.Protocol):
    """What a transport delivered to its protocol."""

    def __init__(self) -> None:
        self.came = b""
        self.ended = False
        self.paused = False
        self.lost: list[Exception | None] = []

    def data_received(self, data: bytes) -> None:
        self.came += data

    def eof_received(self) -> None:
        self.ended = True

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.append(exc)


async def deliver(peer: socket.socket, content: bytes) -> None:
    """Send, and return when the other end's kernel has it and its event loop had turns to act."""
    peer.sendall(content)
    # tcp(7), SIOCOUTQ: bytes that are not acknowledged yet
    assert await until(lambda: fcntl.ioctl(peer, termios.TIOCOUTQ, bytes(4)) == bytes(4))
    await turns()


def played(play: Play) -> None:
    """Have a part played on a connection that stands, by the transport and its peer."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        edges = Edges(loop)
        with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as ours:
            ours.setblocking(False)
            transport = PlainTransport(loop, ours, edges)
            await transport.connect(listener.getsockname())
            peer = listener.accept()[0]
            with peer:
                await play(transport, Notes(), peer)
            assert ours.fileno() >= 0  # whatever happened, the socket is left to us
        edges.close()

    asyncio.run(main())


@given(st.lists(st.binary(min_size=1, max_size=200_000), max_size=5))
def test_all_that_is_sent_arrives_and_then_the_end(pieces: list[bytes]) -> None:
    async def play(transport: PlainTransport, notes: Notes, peer: socket.socket) -> None:
        def send() -> None:
            for piece in pieces:
                peer.sendall(piece)
            peer.close()

        transport.start(notes)
        await asyncio.to_thread(send)
        assert await until(lambda: bool(notes.lost))
        assert (notes.came, notes.ended, notes.lost) == (b"".join(pieces), True, [None])

    played(play)


def test_what_came_before_anybody_listened_is_delivered_all_the_same() -> None:
    async def play(transport: PlainTransport, notes: Notes, peer: socket.socket) -> None:
        await deliver(peer, b"hello")
        transport.start(notes)
        assert await until(lambda: notes.came == b"hello")

    played(play)


def test_what_came_during_a_pause_is_delivered_after_it() -> None:
    async def play(transport: PlainTransport, notes: Notes, peer: socket.socket) -> None:
        transport.start(notes)
        transport.pause_reading()
        await deliver(peer, b"hello")
        assert notes.came == b""
        transport.resume_reading()
        assert await until(lambda: notes.came == b"hello")

    played(play)


def test_what_does_not_fit_is_sent_later_and_in_order() -> None:
    sent = bytes(range(256)) * 40_000

    async def play(transport: PlainTransport, notes: Notes, peer: socket.socket) -> None:
        transport.start(notes)
        transport.write(sent[:-3])
        transport.write(sent[-3:])
        assert notes.paused
        came = await asyncio.to_thread(received, peer, len(sent))
        assert came == sent
        assert await until(lambda: not notes.paused)

    played(play)


def received(peer: socket.socket, size: int) -> bytes:
    came = b""
    while len(came) < size:
        came += peer.recv(1 << 20)
    return came


def test_a_closed_transport_tells_its_protocol_once_and_sends_nothing() -> None:
    async def play(transport: PlainTransport, notes: Notes, peer: socket.socket) -> None:
        transport.start(notes)
        transport.close()
        transport.abort()
        assert transport.is_closing()
        transport.write(b"too late")
        await deliver(peer, b"too late")
        assert (notes.lost, notes.came) == ([None], b"")
        peer.setblocking(False)
        with pytest.raises(BlockingIOError):
            peer.recv(1)  # no byte, and no FIN

    played(play)


def test_a_reset_is_the_protocols_error() -> None:
    async def play(transport: PlainTransport, notes: Notes, peer: socket.socket) -> None:
        transport.start(notes)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        peer.close()
        assert await until(lambda: bool(notes.lost))
        assert isinstance(notes.lost[0], ConnectionResetError)

    played(play)


def test_a_connection_that_is_given_up_is_heeded_no_more() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        edges = Edges(loop)
        with socket.socket() as listener, socket.socket() as ours:
            listener.bind(("127.0.0.1", 0))  # and does not listen
            ours.setblocking(False)
            transport = PlainTransport(loop, ours, edges)
            with pytest.raises(ConnectionRefusedError):
                await transport.connect(listener.getsockname())
        edges.close()

    asyncio.run(main())
