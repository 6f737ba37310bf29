"""The next request of a connection that carries several, after the answer to the one before."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from loadgen.load.engines.closing import is_quiet
from loadgen.load.engines.sockets.handshake import message_of
from loadgen.load.engines.wording import REQUEST_TOO_LONG, reason

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from loadgen.load.engines.rows import Outlet
    from loadgen.load.engines.sockets.ending import Ending
    from loadgen.load.engines.sockets.exchange import Exchange
    from loadgen.load.engines.workers.share import Share


class Following:
    """Sends what follows an answer, at once or after the plan's pause."""

    def __init__(
        self, share: Share, outlet: Outlet, ending: Ending, messages: Sequence[Mapping[bool, bytes]]
    ) -> None:
        self._share = share
        self._outlet = outlet
        self._ending = ending
        self._messages = messages
        self._pause_ns = share.pause_ns
        self._pausing: deque[tuple[int, Exchange]] = deque()

    @property
    def next_ns(self) -> int | None:
        """When the next pause is over, Unix ns; None where there is none."""
        return self._pausing[0][0] if self._pausing else None

    def take(self, exchange: Exchange) -> bool:
        """Take over a request that has its answer; False if no other follows it after all.

        A server that closes, or says that it will, before all requests are answered is left, and
        they go on elsewhere.
        """
        due_ns = exchange.ended + self._pause_ns
        if self._outlet.stopped or self._share.is_over(due_ns):
            exchange.is_last_after_all()
            return False
        if exchange.fin_seen or not exchange.keeps:
            self._ending.end_early(exchange)
        elif self._pause_ns:
            self._pausing.append((due_ns, exchange))
        else:
            self._send_next(exchange, due_ns)
        return True

    def resume(self, now_ns: int) -> None:
        """Send what follows the pauses that are over."""
        pausing = self._pausing
        while pausing and pausing[0][0] <= now_ns:
            due_ns, exchange = pausing.popleft()
            if self._ending.under_way.get(exchange.sock.fileno()) is exchange:
                self._send_next(exchange, due_ns)

    def _send_next(self, exchange: Exchange, due_ns: int) -> None:
        if not is_quiet(exchange.sock):
            self._ending.end_early(exchange)
            return
        following = self._ending.go_on(exchange, due_ns)
        message = message_of(self._messages, following)
        try:
            sent = following.sock.send(message)
        except OSError as error:
            closer = "reset" if isinstance(error, ConnectionError) else None
            self._ending.fail(following, reason(error), closer)
            return
        if sent < len(message):
            self._ending.fail(following, REQUEST_TOO_LONG)
