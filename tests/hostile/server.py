"""A web server that means ill: what it answers to one request, by mode.

``python tests/hostile/server.py PORT [ADDRESS]`` plays every mode of ``MODES``, the first at PORT,
the next at PORT + 1 and so on, and behind the last all in turn, each connection the next, at
ADDRESS (127.0.0.1). It binds to loopback, or to an address of a
network namespace that is a test's own, and sends nothing but answers. Every mode ends by itself:
after ``MOST_S``, or after ``MOST_BYTES``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
import struct
import sys
from functools import partial
from itertools import cycle
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

MOST_S = 20.0
MOST_BYTES = 8 << 20
PIECE = 1 << 16
SECRET = "session=5ecret-cookie"
"""In every answer: it must stay on the wire."""

ESCAPES = f"\x1b[2J\x1b]0;owned\x07::stop-commands::{SECRET}"
HEAD = f"HTTP/1.1 200 OK\r\nX-Secret: {SECRET}\r\n"
NO_LENGTH = f"{HEAD}\r\n"
CHUNKED = f"{HEAD}Transfer-Encoding: chunked\r\n\r\n"


class Reset(Exception):
    """The connection is to end with a RST."""


async def _nothing() -> AsyncIterator[bytes]:
    await asyncio.sleep(MOST_S)
    yield b""


async def _drip() -> AsyncIterator[bytes]:
    """A byte at a time, which never comes to an end of the head."""
    for byte in (HEAD * 40).encode():
        yield bytes([byte])
        await asyncio.sleep(0.1)


def _then_nothing(text: str) -> Callable[[], AsyncIterator[bytes]]:
    async def answer() -> AsyncIterator[bytes]:
        yield text.encode()
        await asyncio.sleep(MOST_S)

    return answer


def _whole(content: bytes | str) -> Callable[[], AsyncIterator[bytes]]:
    async def answer() -> AsyncIterator[bytes]:
        yield content if isinstance(content, bytes) else content.encode()

    return answer


def _endless(head: str, piece: str) -> Callable[[], AsyncIterator[bytes]]:
    """As many pieces as ``MOST_BYTES`` allow."""

    async def answer() -> AsyncIterator[bytes]:
        yield head.encode()
        pieces = piece.encode() * (PIECE // len(piece))
        for _ in range(MOST_BYTES // len(pieces)):
            yield pieces

    return answer


async def _reset_in_body() -> AsyncIterator[bytes]:
    yield f"{HEAD}Content-Length: 100000\r\n\r\n{SECRET}".encode()
    await asyncio.sleep(0.05)
    raise Reset


async def _reset_at_once() -> AsyncIterator[bytes]:
    raise Reset
    yield b""


MODES: dict[str, Callable[[], AsyncIterator[bytes]]] = {
    "silent": _nothing,
    "half-header": _then_nothing(HEAD),
    "huge-header": _whole(f"{HEAD}X-Huge: {SECRET * 50_000}\r\nContent-Length: 0\r\n\r\n"),
    "endless-headers": _endless(HEAD, f"X-Line: {SECRET}\r\n"),
    "endless-body": _endless(NO_LENGTH, SECRET),
    "short-body": _whole(f"{HEAD}Content-Length: 1000\r\n\r\n{SECRET}"),
    "long-body": _whole(f"{HEAD}Content-Length: 3\r\n\r\n{SECRET * 100}"),
    "negative-length": _whole(f"{HEAD}Content-Length: -5\r\n\r\n{SECRET}"),
    "two-lengths": _whole(f"{HEAD}Content-Length: 3\r\nContent-Length: 30\r\n\r\n{SECRET}"),
    "huge-length": _whole(f"{HEAD}Content-Length: {'9' * 40}\r\n\r\n{SECRET}"),
    "bad-chunk-size": _whole(f"{CHUNKED}{SECRET}\r\nabc\r\n0\r\n\r\n"),
    "huge-chunk": _whole(f"{CHUNKED}{'F' * 30}\r\n{SECRET}\r\n0\r\n\r\n"),
    "short-chunk": _whole(f"{CHUNKED}ff\r\n{SECRET}\r\n0\r\n\r\n"),
    "reset-at-once": _reset_at_once,
    "reset-in-body": _reset_in_body,
    "drip": _drip,
    "bad-tls": _whole(b"\x16\x03\x03\xff\xff\x02" + SECRET.encode() * 100),
    "junk": _whole(random.Random(1).randbytes(100_000) + SECRET.encode()),
    "escapes": _whole(f"HTTP/1.1 500 {ESCAPES}\r\nX-Escape: {ESCAPES}\r\n\r\n{ESCAPES}"),
    "many-1xx": _endless("", f"HTTP/1.1 103 {SECRET}\r\nX: {SECRET}\r\n\r\n"),
    "redirects": _whole(
        f"HTTP/1.1 302 {SECRET}\r\nLocation: /?{SECRET}\r\nContent-Length: 0\r\n\r\n"
    ),
    "huge-status-line": _endless("HTTP/1.1 200 ", SECRET),
    "upgrade": _whole(f"HTTP/1.1 101 {SECRET}\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
}

NOT_HTTP = frozenset({"not-http"})
FAILURES: dict[str, frozenset[str | None]] = dict.fromkeys(MODES, NOT_HTTP) | {
    "silent": frozenset({"timeout"}),
    "half-header": frozenset({"timeout"}),
    "drip": frozenset({"timeout"}),
    "endless-body": frozenset({None, "timeout"}),
    "short-body": frozenset({"short-answer"}),
    "short-chunk": frozenset({"short-answer"}),
    "reset-at-once": frozenset({"reset"}),
    "reset-in-body": frozenset({"reset", "short-answer"}),
    "escapes": frozenset({"http-5xx", *NOT_HTTP}),
    "many-1xx": frozenset({"timeout", "short-answer", *NOT_HTTP}),
    "redirects": frozenset({None, "too-many-redirects"}),
    "upgrade": frozenset({"http-other", *NOT_HTTP}),
}
"""The kinds of failure that a request of each mode may end with."""


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with a RST, as SO_LINGER 0 does (socket(7))."""
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _serve(mode: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        async with asyncio.timeout(MOST_S):
            if mode != "reset-at-once":
                await reader.read(PIECE)
            async for content in MODES[mode]():
                writer.write(content)
                await writer.drain()
    except Reset:
        _reset(writer)
    except (OSError, TimeoutError):
        pass
    finally:
        writer.close()


async def _serve_in_turn(
    modes: Iterator[str], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    await _serve(next(modes), reader, writer)


async def serve(port: int, address: str = "127.0.0.1") -> None:
    """Every mode at a port of its own, until cancelled.

    Args:
        port: of the first mode.
        address: where to listen; loopback unless in a namespace of a test's own.
    """
    async with contextlib.AsyncExitStack() as stack:
        every = [partial(_serve, mode) for mode in MODES]
        for number, connected in enumerate([*every, partial(_serve_in_turn, cycle(MODES))]):
            listening = await asyncio.start_server(connected, address, port + number)
            await stack.enter_async_context(listening)
        print("ready", flush=True)  # noqa: T201 - who started it waits for this
        await asyncio.Event().wait()


def main() -> None:
    """Serve until killed, or until who started it has gone."""
    port, *address = sys.argv[1:]
    if address and not address[0].startswith("127.") and os.environ.get("HOSTILE") != "in a lab":
        sys.exit("expected an address of loopback, or HOSTILE='in a lab'")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(int(port), *address))


if __name__ == "__main__":
    main()
