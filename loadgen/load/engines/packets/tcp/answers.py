"""What the server says: the status of an answer, and where it ends.

Most answers of a burst are the same bytes, so what a first segment says is read once and looked up
afterwards. Only the head is read; a body of known length is counted, not looked at. An answer whose
first segment does not tell where it ends is read to its end.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import httptools

from loadgen.load.engines.rows import NONE
from loadgen.load.engines.wording import UNREADABLE, Failure, parser_failure, too_long

_MOST_KNOWN = 4096
_MOST_HEAD_BYTES = 256 * 1024


class ResponseFraming(NamedTuple):
    """What is known of an answer.

    Attributes:
        status: ``NONE`` until it is known.
        head: bytes of it that are no body.
        ends: bytes from its first to its last; ``NONE`` where the server's FIN tells.
        later: more of it must be read before its end is known.
        fault: why it cannot be read; None if it can.
    """

    status: int = NONE
    head: int = 0
    ends: int = NONE
    later: bool = False
    fault: Failure | None = None


class ResponseReader:
    """Reads the answers of many connections.

    Args:
        heads: the requests are HEAD: an answer has no body, whatever its head says.
    """

    def __init__(self, *, heads: bool) -> None:
        self._heads = heads
        self._known: dict[bytes, ResponseFraming] = {}
        self._reading: dict[int, _Reader] = {}

    def read(self, slot: int, data: bytes, size: int) -> ResponseFraming:
        """A segment of an answer whose end is not known yet.

        Args:
            slot: of the connection.
            data: what of the segment is at hand.
            size: how long it was, bytes.
        """
        reader = self._reading.get(slot)
        if reader is not None:
            return reader.take(data, size)
        known = self._known.get(data)
        if known is None:
            known = self._remember(data, size)
        if known.later:
            reader = self._reading[slot] = _Reader(heads=self._heads)
            return reader.take(data, size)
        return known

    def forget(self, slot: int) -> None:
        """Drop a connection that has ended, or of which nothing more is to be read."""
        reader = self._reading.pop(slot, None)
        if reader is not None:
            reader.release()

    @property
    def reads_on(self) -> bool:
        """Whether there is any answer that is read to its end."""
        return bool(self._reading)

    def _remember(self, data: bytes, size: int) -> ResponseFraming:
        reader = _Reader(heads=self._heads)
        answer = reader.take(data, size)
        reader.release()
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        if not answer.fault:
            self._known[data] = answer
        return answer


class _Reader:
    """One answer. It is the protocol object of its own httptools parser."""

    def __init__(self, *, heads: bool) -> None:
        self._heads = heads
        self._parser: Any = httptools.HttpResponseParser(self)
        self._status = NONE
        self._length: int | None = None
        self._chunked = self._complete = False
        self._taken = self._body = 0

    def take(self, data: bytes, size: int) -> ResponseFraming:
        """A segment; what is known of the answer by now."""
        if self._delimited_by_reading and len(data) < size:
            return ResponseFraming(fault=UNREADABLE)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            return ResponseFraming(fault=parser_failure(error))
        self._taken += len(data)
        return self._known(len(data) < size)

    def release(self) -> None:
        """Let go of the parser, which holds us as we hold it."""
        self._parser = None

    @property
    def _delimited_by_reading(self) -> bool:
        return self._taken > 0

    def _known(self, truncated: bool) -> ResponseFraming:
        head = self._taken - self._body
        if self._complete:
            return ResponseFraming(self._status, head, self._taken)
        if self._status == NONE or self._chunked:
            if truncated:
                return ResponseFraming(fault=UNREADABLE)
            if self._status == NONE and self._taken > _MOST_HEAD_BYTES:
                return ResponseFraming(fault=too_long("head", _MOST_HEAD_BYTES))
            return ResponseFraming(self._status, head, later=True)
        ends = NONE if self._length is None else head + self._length
        return ResponseFraming(self._status, head, ends)

    def on_header(self, name: bytes, value: bytes) -> None:
        """What tells where the answer ends."""
        if name.lower() == b"content-length":
            self._length = int(value)
        elif name.lower() == b"transfer-encoding":
            self._chunked = True

    def on_headers_complete(self) -> None:
        """The head is whole; that of an answer in the 100s announces another."""
        status = self._parser.get_status_code()
        if status >= 200:
            self._status = status
            self._complete = self._heads
        else:
            self._length, self._chunked = None, False

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        self._body += len(data)

    def on_message_complete(self) -> None:
        """The answer is whole."""
        self._complete = self._complete or self._status != NONE
