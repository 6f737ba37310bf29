"""The sockets engine: non-blocking sockets on epoll in one tight loop, HTTP/1.1 or datagrams.

Each connection is registered once, edge-triggered, for all that can happen to it; the first
writable edge is the end of its handshake. epoll_wait counts in milliseconds, which is too coarse
for a schedule: what sleeps to the microsecond is select(2) on the epoll descriptor itself.
"""

from __future__ import annotations

import select
import socket
import time
from errno import EAGAIN, EINPROGRESS
from heapq import heappop, heappush
from typing import TYPE_CHECKING

import httptools

from analyzer.lives import CLOSES
from loadgen.engines.closing import (
    CLOSE_NUMBER,
    CLOSER_NUMBER,
    END,
    FIRST_TO_CLOSE,
    STAYS_OPEN,
    server_has_closed,
    tcp_info,
)
from loadgen.engines.exchange import Exchange
from loadgen.engines.opening import ALL_EDGES, bind, family_of
from loadgen.engines.rows import NONE
from loadgen.engines.turns import turns_of
from loadgen.engines.wording import INTERRUPTED, TIMED_OUT, reason, request_bytes

if TYPE_CHECKING:
    from loadgen.engines.rows import Outlet
    from loadgen.engines.share import Share

_BUFFER_BYTES = 256 * 1024
_LONGEST_SLEEP_S = 0.05
_AT_MOST_AT_ONCE = 64
"""Connections begun between two looks at what has come: answers are not kept waiting for long."""

_HOUSEKEEPING_NS = 50_000_000
_FLUSH_NS = 250_000_000


def send(share: Share, outlet: Outlet) -> None:
    """Carry out a share; see ``loadgen.engines.share.Engine``."""
    Sender(share, outlet).run()


class Sender:
    """One worker's connections, from the first to the last."""

    def __init__(self, share: Share, outlet: Outlet) -> None:
        plan = share.plan
        self._epoll = select.epoll()
        self._outlet = outlet
        self._plan = plan
        self._turns = turns_of(share)
        self._udp = plan.datagram is not None
        self._address = (plan.target.vip, plan.target.port)
        self._family = family_of(plan.target.vip)
        self._kind = socket.SOCK_DGRAM if self._udp else socket.SOCK_STREAM
        self._sources = [(source, outlet.text(source)) for source in plan.sources]
        self._source_numbers: dict[str, int] = {}
        self._heads = plan.request.method == "HEAD"
        self._messages = _messages(share)
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))
        self._timeout_ns = round(plan.timeout_s * 1e9)
        self._connect_timeout_ns = round(min(plan.connect_timeout_s, plan.timeout_s) * 1e9)
        self._hold = plan.closing.hold if plan.closing.hold.mean_s else None
        self._under_way: dict[int, Exchange] = {}
        self._holding: list[tuple[int, int, Exchange]] = []  # a heap: the first is over first
        self._kept: dict[int, Exchange] = {}

    def run(self) -> None:
        """Send everything, keep what is to stay open, end all."""
        outlet, turns = self._outlet, self._turns
        try:
            while not outlet.stopped and not (turns.ended and not self._under_way):
                self._turn()
            self._interrupt()
            outlet.flush()
            outlet.sent()
            while not outlet.stopped and self._kept:
                self._look(_LONGEST_SLEEP_S)
        finally:
            for exchange in [*self._under_way.values(), *self._kept.values()]:
                exchange.sock.close()
            self._epoll.close()

    def _turn(self) -> None:
        """Begin what is due, look at what has come, see whose time is up."""
        now_ns = time.time_ns()
        begun = self._begin_due(now_ns)
        self._look(0 if begun == _AT_MOST_AT_ONCE else self._idle_s())
        if self._holding:
            self._end_held(time.time_ns())
        if now_ns >= self._next_housekeeping_ns:
            self._next_housekeeping_ns = now_ns + _HOUSEKEEPING_NS
            self._expire(now_ns)

    _next_housekeeping_ns = 0
    _next_flush_ns = 0

    def _begin_due(self, now_ns: int) -> int:
        due = self._turns.due
        for begun in range(_AT_MOST_AT_ONCE):
            request = due(now_ns)
            if request is None:
                return begun
            self._begin(*request)
        return _AT_MOST_AT_ONCE

    def _idle_s(self) -> float:
        """Until the next is due or a hold is over, at most as long as a stop may go unseen."""
        at_ns = self._turns.next_ns
        if self._holding:
            held_ns = self._holding[0][0]
            at_ns = held_ns if at_ns is None else min(at_ns, held_ns)
        if at_ns is None:
            return _LONGEST_SLEEP_S
        return min(max((at_ns - time.time_ns()) / 1e9, 0), _LONGEST_SLEEP_S)

    def _look(self, idle_s: float) -> None:
        if 0 < idle_s < _LONGEST_SLEEP_S:
            select.select([self._epoll], (), (), idle_s)
            idle_s = 0
        under_way = self._under_way
        events = self._epoll.poll(idle_s)
        for handle, mask in events:
            exchange = under_way.get(handle)
            if exchange is None:
                self._kept_event(handle, mask)
            elif exchange.connected == NONE:
                self._connected(exchange, mask)
            else:
                self._readable(exchange, mask)

    # A connection's life --------------------------------------------------------------------

    def _begin(self, number: int, scheduled_ns: int) -> None:
        now_ns = time.time_ns()
        close = self._plan.closing.of(number)
        exchange = Exchange(number, scheduled_ns, now_ns, close, heads=self._heads)
        try:
            # SocketType is what socket.socket adds its conveniences to, at three times its price
            sock = socket.SocketType(
                self._family, self._kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
            )
        except OSError as error:
            self._note_failure(exchange, f"no socket: {reason(error)}")
            return
        exchange.sock = sock  # type: ignore[assignment]
        self._under_way[sock.fileno()] = exchange
        try:
            if self._sources:
                self._bind(exchange, number)
            refused = sock.connect_ex(self._address)
        except OSError as error:
            self._fail(exchange, reason(error))
            return
        if refused not in (0, EINPROGRESS):
            self._fail(exchange, reason(OSError(refused, "")))
            return
        self._epoll.register(sock.fileno(), ALL_EDGES)

    def _bind(self, exchange: Exchange, number: int) -> None:
        """To one of the pool, in turn."""
        source, exchange.source = self._sources[number % len(self._sources)]
        bind(exchange.sock, source)

    def _connected(self, exchange: Exchange, mask: int) -> None:
        sock = exchange.sock
        if mask & (select.EPOLLERR | select.EPOLLHUP):
            error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                self._fail(exchange, reason(OSError(error, "")))
                return
        exchange.connected = time.time_ns()
        try:
            self._note_source(exchange)
            sent = sock.send(self._messages[exchange.close])
        except OSError as error:
            self._fail(exchange, reason(error))
            return
        if sent < len(self._messages[exchange.close]):
            self._fail(exchange, "the request did not fit into the socket's buffer")
        elif self._udp:
            self._datagram_sent(exchange)
        elif mask & select.EPOLLIN:
            self._readable(exchange, mask)

    def _note_source(self, exchange: Exchange) -> None:
        name = exchange.sock.getsockname()
        exchange.port = name[1]
        if exchange.source == NONE:
            known = self._source_numbers.get(name[0])
            if known is None:
                known = self._source_numbers[name[0]] = self._outlet.text(name[0])
            exchange.source = known

    def _datagram_sent(self, exchange: Exchange) -> None:
        assert self._plan.datagram is not None
        if not self._plan.datagram.answered:
            exchange.ended = exchange.connected
            self._end(exchange)

    def _readable(self, exchange: Exchange, mask: int) -> None:
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
            self._fail(exchange, f"no HTTP/1.1: {error}")
            return False
        if exchange.complete:
            return self._answered(exchange)
        if exchange.fin_seen:
            self._fail(exchange, "closed by the server before its answer was whole")
            return False
        return True

    def _answered(self, exchange: Exchange) -> bool:
        """The answer is whole; whether there is more to be read."""
        exchange.ended = now_ns = time.time_ns()
        if exchange.close == "server" and not exchange.fin_seen and not self._udp:
            return True
        return self._hold_or_end(exchange, now_ns)

    def _hold_or_end(self, exchange: Exchange, now_ns: int) -> bool:
        if self._hold is not None:
            over_ns = now_ns + self._hold.ns(exchange.number)
            heappush(self._holding, (over_ns, exchange.number, exchange))
            return not exchange.fin_seen
        self._end(exchange)
        return False

    def _after_the_answer(self, exchange: Exchange, size: int) -> bool:
        """Something after the whole answer: the FIN, or bytes that nobody asked for."""
        if size:
            return True
        exchange.fin_seen = True
        if exchange.close == "server":
            return self._hold_or_end(exchange, time.time_ns())
        return False

    def _broken(self, exchange: Exchange, error: OSError) -> None:
        if exchange.ended == NONE:
            closer = "reset" if isinstance(error, ConnectionResetError) else None
            self._fail(exchange, reason(error), closer)
        else:
            exchange.fin_seen = True
            self._end(exchange)

    def _end_held(self, now_ns: int) -> None:
        holding = self._holding
        while holding and holding[0][0] <= now_ns:
            exchange = heappop(holding)[2]
            if self._under_way.get(exchange.sock.fileno()) is exchange:
                self._end(exchange)

    def _end(self, exchange: Exchange) -> None:
        """Close as planned, and note the row."""
        sock, close = exchange.sock, exchange.close
        handle = sock.fileno()
        resent, rtt_us = tcp_info(sock) if self._plan.tcp_info and not self._udp else (NONE, NONE)
        closer = NONE if self._udp else self._closer(exchange)
        closed = NONE if close == "never" else time.time_ns()
        END[close](sock)
        del self._under_way[handle]
        if close in STAYS_OPEN:
            self._kept[handle] = exchange
        error = NONE
        if exchange.status >= 400:
            error = self._outlet.text(f"HTTP {exchange.status}")
        self._note(exchange, error, closed, closer, resent, rtt_us)

    def _closer(self, exchange: Exchange) -> int:
        """Who closed first: the server may have been quicker than we, most of all if it said so."""
        if exchange.fin_seen or (not exchange.keeps and server_has_closed(exchange.sock)):
            return CLOSER_NUMBER["server"]
        return FIRST_TO_CLOSE[exchange.close]

    def _fail(self, exchange: Exchange, why: str, closer: str | None = None) -> None:
        del self._under_way[exchange.sock.fileno()]
        exchange.sock.close()
        self._note_failure(exchange, why, closer)

    def _note_failure(self, exchange: Exchange, why: str, closer: str | None = None) -> None:
        number = NONE if closer is None else CLOSER_NUMBER[closer]
        self._note(exchange, self._outlet.text(why), NONE, number, NONE, NONE)

    def _note(
        self, exchange: Exchange, error: int, closed: int, closer: int, resent: int, rtt_us: int
    ) -> None:
        done = exchange.ended != NONE
        self._outlet.row(
            (
                exchange.number,
                exchange.scheduled,
                exchange.started,
                exchange.connected,
                exchange.first_byte,
                exchange.ended,
                closed,
                exchange.source,
                exchange.port,
                exchange.status,
                exchange.size if done else NONE,
                error,
                NONE if self._udp else CLOSE_NUMBER[exchange.close],
                closer,
                resent,
                rtt_us,
            )
        )
        exchange.release()
        self._turns.ended_one(time.time_ns())

    # What else goes on -----------------------------------------------------------------------

    def _kept_event(self, handle: int, mask: int) -> None:
        """The server has closed what we half closed; what never closes stays even then."""
        exchange = self._kept.get(handle)
        if exchange is not None and exchange.close == "half" and mask & select.EPOLLRDHUP:
            del self._kept[handle]
            exchange.sock.close()

    def _expire(self, now_ns: int) -> None:
        """Fail those whose time is up; they stand in the order in which they began."""
        late = []
        for exchange in self._under_way.values():
            age_ns = now_ns - exchange.started
            if age_ns < self._connect_timeout_ns:
                break
            missing = self._missing(exchange, now_ns)
            if missing:
                late.append((exchange, missing))
        for exchange, missing in late:
            self._fail(exchange, TIMED_OUT[missing])
        if now_ns >= self._next_flush_ns:
            self._next_flush_ns = now_ns + _FLUSH_NS
            self._outlet.flush()

    def _missing(self, exchange: Exchange, now_ns: int) -> str | None:
        """What has not come in time, of a connection older than a handshake may take."""
        if exchange.connected == NONE:
            return "connect"
        if exchange.ended == NONE:
            return "answer" if now_ns - exchange.started >= self._timeout_ns else None
        waits = exchange.close == "server" and not exchange.fin_seen
        return "close" if waits and now_ns - exchange.ended >= self._timeout_ns else None

    def _interrupt(self) -> None:
        for exchange in list(self._under_way.values()):
            if exchange.ended == NONE:
                self._fail(exchange, INTERRUPTED)
            else:
                self._end(exchange)


def _messages(share: Share) -> dict[str, bytes]:
    """What is sent on a connection, by how it is to end."""
    plan = share.plan
    if plan.datagram is not None:
        return dict.fromkeys(CLOSES, plan.datagram.payload)
    return {
        close: request_bytes(plan, server_closes=close == "server") for close in plan.closing.kinds
    }
