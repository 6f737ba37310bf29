"""One request and its answer on a socket: bytes in, what is known of the answer out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import httptools

from loadgen.load.engines.rows import NONE

if TYPE_CHECKING:
    import socket

    from analyzer.forecast.closings import Close

MOST_HEAD_BYTES = 256 * 1024
_LENGTH = re.compile(rb"\r?\n(?:content-length|transfer-encoding)[ \t]*:", re.IGNORECASE)
_INTERIM = re.compile(rb"\A(?:HTTP/1\.[01] 1\d\d[^\n]*\r?\n(?:[^\r\n][^\n]*\n)*\r?\n)+")
"""Answers in the 100s, which go before the one that counts."""


class HeadTooLong(Exception):
    """An answer has more than ``MOST_HEAD_BYTES`` before its body."""


class Exchange:
    """A request on its connection. It is the protocol object of its own httptools parser.

    Attributes:
        connection: the number of its connection in the plan.
        left: requests that are to follow on the connection.
        reused: the connection has carried another request before.
        close: how the connection is to end.
        scheduled, started, connected, first_byte, ended: Unix ns, ``NONE`` until reached.
        complete: the answer is there, whole.
        keeps: the server said that it would keep the connection open.
        fin_seen: the server has closed its side.
    """

    __slots__ = (
        "_head",
        "_heads",
        "_parser",
        "_sized",
        "close",
        "complete",
        "connected",
        "connection",
        "ended",
        "fin_seen",
        "first_byte",
        "keeps",
        "left",
        "number",
        "port",
        "reused",
        "scheduled",
        "size",
        "sock",
        "source",
        "started",
        "status",
    )

    def __init__(
        self,
        number: int,
        scheduled: int,
        started: int,
        close: Close,
        *,
        connection: int,
        left: int = 0,
        heads: bool,
    ) -> None:
        self.number = number
        self.connection = connection
        self.left = left
        self.reused = False
        self.scheduled = scheduled
        self.started = started
        self.close = close
        self.sock: socket.socket
        self.connected = self.first_byte = self.ended = NONE
        self.source = self.port = self.status = NONE
        self.size = 0
        self.complete = self.fin_seen = self.keeps = False
        self._heads = heads
        self._head: bytes | None = b""
        self._sized = False
        self._parser: Any = httptools.HttpResponseParser(self)

    @property
    def asks_to_close(self) -> bool:
        """Whether its request asks the server to close: only the last of a connection may."""
        return self.close == "server" and not self.left

    def is_last_after_all(self) -> None:
        """No request follows, although one was to: the server was not asked to close either."""
        self.left = 0
        self.close = "client" if self.close == "server" else self.close

    def following(self, scheduled: int, started: int) -> Exchange:
        """The next request, on the same connection."""
        made = Exchange(
            self.number + 1,
            scheduled,
            started,
            self.close,
            connection=self.connection,
            left=self.left - 1,
            heads=self._heads,
        )
        made.sock, made.source, made.port = self.sock, self.source, self.port
        made.connected, made.reused = self.connected, True
        return made

    def feed(self, data: memoryview) -> None:
        """Bytes of the answer.

        Raises:
            httptools.HttpParserError: they are no HTTP/1.1.
            HeadTooLong: they are too much of it.
        """
        self._parser.feed_data(data)
        if self._head is not None and not self.complete:
            self._note_head(bytes(data))

    def _note_head(self, data: bytes) -> None:
        """Buffer the head until it is complete, then look for a length.

        That is worth knowing of few answers, and a callback for each header of each would cost more
        than all else here.
        """
        assert self._head is not None
        self._head += data
        if self.status != NONE:
            head = _INTERIM.sub(b"", self._head).partition(b"\r\n\r\n")[0]
            self._sized = _LENGTH.search(head) is not None
            self._head = None
        elif len(self._head) > MOST_HEAD_BYTES:
            raise HeadTooLong

    def end_of_stream(self) -> None:
        """The server's FIN: it ends an answer that came without a length."""
        self.fin_seen = True
        if self.status != NONE and not self._sized:
            self.complete = True

    def release(self) -> None:
        """Let go of the parser, which holds us as we hold it."""
        self._parser = None

    def on_headers_complete(self) -> None:
        """The head is whole; that of an answer in the 100s announces another."""
        status = self._parser.get_status_code()
        if self.status != NONE:
            self.keeps = False  # a second answer, which nobody asked for
        elif status >= 200:
            self.status = status
            self.keeps = self._parser.should_keep_alive()
            self.complete = self._heads  # an answer to HEAD has no body, whatever it says

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        self.size += len(data)

    def on_message_complete(self) -> None:
        """The answer is whole."""
        self.complete = self.status != NONE
