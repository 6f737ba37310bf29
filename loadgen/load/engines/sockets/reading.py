"""What comes on a connection that stands: answers, whole or not, then the hold and the FIN."""

from __future__ import annotations

import select
import time
from errno import EAGAIN
from heapq import heappop, heappush
from typing import TYPE_CHECKING

import httptools

from loadgen.load.engines.rows import NONE
from loadgen.load.engines.sockets.exchange import MOST_HEAD_BYTES, HeadTooLong
from loadgen.load.engines.wording import SHORT_ANSWER, parser_failure, reason, too_long

if TYPE_CHECKING:
    from loadgen.load.engines.sockets.ending import Ending
    from loadgen.load.engines.sockets.exchange import Exchange
    from loadgen.load.engines.sockets.following import Following
    from loadgen.load.plan import LoadPlan

_BUFFER_BYTES = 256 * 1024


class Reading:
    """Reads answers; after its last one a connection is held for the plan's time, then ended."""

    def __init__(self, plan: LoadPlan, ending: Ending, following: Following) -> None:
        self._ending = ending
        self._following = following
        self._udp = plan.datagram is not None
        self._hold = plan.closing.hold if plan.closing.hold.mean_s else None
        self._holding: list[tuple[int, int, Exchange]] = []  # a heap: the first is over first
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))

    @property
    def next_ns(self) -> int | None:
        """When the next hold is over, Unix ns; None while nothing is held."""
        return self._holding[0][0] if self._holding else None

    def readable(self, exchange: Exchange, mask: int) -> None:
        """An edge: all that there is."""
        buffer = self._buffer
        ends = bool(mask & select.EPOLLRDHUP)
        while True:
            try:
                size = exchange.sock.recv_into(buffer)
            except OSError as error:
                if error.errno != EAGAIN:
                    self._broken(exchange, error)
                return
            if exchange.first_byte == NONE and size:
                exchange.first_byte = time.time_ns()
            if self._udp:
                exchange.size = size
                self._answered(exchange)
                return
            if not self._fed(exchange, size):
                return
            if not size or (size < _BUFFER_BYTES and not ends):
                return  # what comes later is another edge; a FIN of this one is still to be read

    def end_held(self) -> None:
        """End those whose hold is over."""
        holding, now_ns = self._holding, time.time_ns()
        while holding and holding[0][0] <= now_ns:
            exchange = heappop(holding)[2]
            if self._ending.under_way.get(exchange.sock.fileno()) is exchange:
                self._ending.end(exchange)

    def _fed(self, exchange: Exchange, size: int) -> bool:
        """What has come, to the parser; whether the connection goes on."""
        if exchange.ended != NONE:
            return self._after_the_answer(exchange, size)
        try:
            if size:
                exchange.feed(self._buffer[:size])
            else:
                exchange.end_of_stream()
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._ending.fail(exchange, parser_failure(error))
            return False
        except HeadTooLong:
            self._ending.fail(exchange, too_long("head", MOST_HEAD_BYTES))
            return False
        if exchange.complete:
            return self._answered(exchange)
        if exchange.fin_seen:
            self._ending.fail(exchange, SHORT_ANSWER)
            return False
        return True

    def _answered(self, exchange: Exchange) -> bool:
        """The answer is whole; whether there is more to be read."""
        exchange.ended = now_ns = time.time_ns()
        if exchange.left and self._following.take(exchange):
            return False
        if exchange.asks_to_close and not exchange.fin_seen and not self._udp:
            return True
        return self._hold_or_end(exchange, now_ns)

    def _hold_or_end(self, exchange: Exchange, now_ns: int) -> bool:
        if self._hold is not None:
            over_ns = now_ns + self._hold.ns(exchange.connection)
            heappush(self._holding, (over_ns, exchange.number, exchange))
            return not exchange.fin_seen
        self._ending.end(exchange)
        return False

    def _after_the_answer(self, exchange: Exchange, size: int) -> bool:
        """Something after the whole answer: the FIN, or bytes that nobody asked for."""
        if exchange.left:  # the pause before its next request, which goes on elsewhere
            self._ending.end_early(exchange)
            return False
        if size:
            return True
        exchange.fin_seen = True
        if exchange.asks_to_close:
            return self._hold_or_end(exchange, time.time_ns())
        return False

    def _broken(self, exchange: Exchange, error: OSError) -> None:
        if exchange.ended == NONE:
            closer = "reset" if isinstance(error, ConnectionResetError) else None
            self._ending.fail(exchange, reason(error), closer)
        elif exchange.left:
            self._ending.end_early(exchange)
        else:
            exchange.fin_seen = True
            self._ending.end(exchange)
