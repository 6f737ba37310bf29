"""A connection's beginning: a socket, the handshake, the request."""

from __future__ import annotations

import select
import socket
import time
from errno import EINPROGRESS
from typing import TYPE_CHECKING

from loadgen.load.engines.opening import ALL_EDGES, bind, family_of
from loadgen.load.engines.rows import NONE
from loadgen.load.engines.sockets.exchange import Exchange
from loadgen.load.engines.wording import REQUEST_TOO_LONG, Failure, reason, request_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from loadgen.load.engines.rows import Outlet
    from loadgen.load.engines.sockets.ending import Ending
    from loadgen.load.engines.sockets.reading import Reading
    from loadgen.load.plan import LoadPlan

_FAULT = select.EPOLLERR | select.EPOLLHUP


class Handshake:
    """Begins connections, and sends the request when one stands."""

    def __init__(
        self,
        plan: LoadPlan,
        outlet: Outlet,
        epoll: select.epoll,
        reading: Reading,
        ending: Ending,
        messages: Sequence[Mapping[bool, bytes]],
    ) -> None:
        self._reading = reading
        self._epoll = epoll
        self._outlet = outlet
        self._ending = ending
        self._closing = plan.closing
        self._datagram = plan.datagram
        ends = [(each.target.vip, each.target.port) for each in plan.planned_targets]
        self._ends = [(family_of(end[0]), end) for end in ends]
        kind = socket.SOCK_STREAM if plan.datagram is None else socket.SOCK_DGRAM
        self._kind = kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        self._source_of = plan.source_of if plan.sources else None
        self._source_numbers: dict[str, int] = {}
        self._heads = plan.request.method == "HEAD"
        self._division = plan.division
        self._messages = messages

    def begin(self, connection: int, scheduled_ns: int, number: int | None = None) -> None:
        """Send the first segment; what cannot begin is a failed row.

        Args:
            connection: its number in the plan.
            scheduled_ns: when its first request was due.
            number: of that request, where others of the connection have been sent on another.
        """
        now_ns = time.time_ns()
        numbers = self._division.numbers(connection)
        if number is None:
            number = numbers.start
        exchange = Exchange(
            number,
            scheduled_ns,
            now_ns,
            self._closing.of(connection),
            connection=connection,
            left=numbers.stop - number - 1,
            heads=self._heads,
        )
        try:
            family, address = self._ends[connection % len(self._ends)]
            # SocketType is what socket.socket adds its conveniences to, at three times its price
            sock = socket.SocketType(family, self._kind)
        except OSError as error:
            why = reason(error)
            self._ending.never_began(exchange, Failure(why.kind, f"no socket: {why.text}"))
            return
        exchange.sock = sock  # type: ignore[assignment]
        self._ending.under_way[sock.fileno()] = exchange
        try:
            if self._source_of and (source := self._source_of(connection)):
                exchange.source = self._number_of(source)
                bind(exchange.sock, source)
            refused = sock.connect_ex(address)
        except OSError as error:
            self._ending.fail(exchange, reason(error))
            return
        if refused not in (0, EINPROGRESS):
            self._ending.fail(exchange, reason(OSError(refused, "")))
            return
        self._epoll.register(sock.fileno(), ALL_EDGES)

    def connected(self, exchange: Exchange, mask: int) -> None:
        """The first edge: the connection stands, or will not."""
        sock = exchange.sock
        if mask & _FAULT and (error := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)):
            self._ending.fail(exchange, reason(OSError(error, "")))
            return
        exchange.connected = time.time_ns()
        message = message_of(self._messages, exchange)
        try:
            self._note_source(exchange)
            sent = sock.send(message)
        except OSError as error:
            self._ending.fail(exchange, reason(error))
            return
        if sent < len(message):
            self._ending.fail(exchange, REQUEST_TOO_LONG)
        elif self._datagram is not None and not self._datagram.answered:
            exchange.ended = exchange.connected
            self._ending.end(exchange)
        elif mask & select.EPOLLIN:
            self._reading.readable(exchange, mask)

    def _note_source(self, exchange: Exchange) -> None:
        name = exchange.sock.getsockname()
        exchange.port = name[1]
        if exchange.source == NONE:
            exchange.source = self._number_of(name[0])

    def _number_of(self, source: str) -> int:
        """The number of an address's text."""
        known = self._source_numbers.get(source)
        if known is None:
            known = self._source_numbers[source] = self._outlet.text(source)
        return known


def messages_of(plan: LoadPlan) -> Sequence[Mapping[bool, bytes]]:
    """What is sent for a request, by target, by whether it asks the server to close."""
    if plan.datagram is not None:
        return [dict.fromkeys((False, True), plan.datagram.payload)] * len(plan.planned_targets)
    return [
        {asks: request_bytes(each, server_closes=asks) for asks in (False, True)}
        for each in plan.by_target
    ]


def message_of(messages: Sequence[Mapping[bool, bytes]], exchange: Exchange) -> bytes:
    """The message of an exchange, of ``messages_of``."""
    return messages[exchange.connection % len(messages)][exchange.asks_to_close]
