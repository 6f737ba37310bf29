"""A connection's end, as planned or not, and the rows of its requests."""

from __future__ import annotations

import select
import time
from typing import TYPE_CHECKING

from analyzer.units import NS_PER_S
from loadgen.load.engines.closing import (
    CLOSE_NUMBER,
    CLOSER_NUMBER,
    END,
    FIRST_TO_CLOSE,
    STAYS_OPEN,
    closer_so_far,
    server_has_closed,
    tcp_info,
)
from loadgen.load.engines.rows import NONE
from loadgen.load.engines.wording import INTERRUPTED, TIMED_OUT, status_failure

if TYPE_CHECKING:
    from loadgen.load.engines.loop_models import Turns
    from loadgen.load.engines.rows import Outlet
    from loadgen.load.engines.sockets.exchange import Exchange
    from loadgen.load.engines.sockets.rest import Rest
    from loadgen.load.engines.wording import Failure
    from loadgen.load.plan import LoadPlan

_NO_FAILURE = (NONE, NONE)


class Ending:
    """Ends connections and notes them.

    Attributes:
        under_way: requests without a row, by descriptor; in the order in which they began.
        kept: those that have theirs, and stay open.
    """

    def __init__(self, plan: LoadPlan, outlet: Outlet, turns: Turns, rest: Rest) -> None:
        self.under_way: dict[int, Exchange] = {}
        self.kept: dict[int, Exchange] = {}
        self._outlet = outlet
        self._turns = turns
        self._rest = rest
        self._udp = plan.datagram is not None
        self._asks = plan.tcp_info and not self._udp
        self._timeout_ns = round(plan.timeout_s * NS_PER_S)
        self._connect_timeout_ns = round(min(plan.connect_timeout_s, plan.timeout_s) * NS_PER_S)

    def end(self, exchange: Exchange) -> None:
        """Close as planned."""
        sock, close = exchange.sock, exchange.close
        handle = sock.fileno()
        resent, rtt_us = tcp_info(sock) if self._asks else (NONE, NONE)
        closer = NONE if self._udp else _closer(exchange)
        closed = NONE if close == "never" else time.time_ns()
        END[close](sock)
        del self.under_way[handle]
        if close in STAYS_OPEN:
            self.kept[handle] = exchange
        self._note(exchange, self._judged(exchange), closed, closer, resent, rtt_us)
        self._turns.ended_one(time.time_ns())

    def end_early(self, exchange: Exchange) -> None:
        """The server has closed, or will, with requests left: they go on on a new connection."""
        sock = exchange.sock
        resent, rtt_us = tcp_info(sock) if self._asks else (NONE, NONE)
        closer = CLOSER_NUMBER[closer_so_far(sock)]
        del self.under_way[sock.fileno()]
        closed = time.time_ns()
        sock.close()
        self._note(exchange, self._judged(exchange), closed, closer, resent, rtt_us)
        self._leave_rest(exchange, exchange.ended)

    def go_on(self, exchange: Exchange, scheduled_ns: int) -> Exchange:
        """The next request of a connection, in the place of one that has its answer."""
        handle = exchange.sock.fileno()
        following = exchange.following(scheduled_ns, time.time_ns())
        del self.under_way[handle]
        self.under_way[handle] = following  # at the end: it began last
        self._note(exchange, self._judged(exchange), NONE, NONE, NONE, NONE, goes_on=True)
        return following

    def fail(self, exchange: Exchange, why: Failure, closer: str | None = None) -> None:
        """It goes no further."""
        del self.under_way[exchange.sock.fileno()]
        exchange.sock.close()
        self._note_failure(exchange, why, NONE if closer is None else CLOSER_NUMBER[closer])

    def never_began(self, exchange: Exchange, why: Failure) -> None:
        """There was not even a socket."""
        self._note_failure(exchange, why, NONE)

    def expire(self, now_ns: int) -> None:
        """Fail those whose time is up."""
        late = []
        for exchange in self.under_way.values():
            if now_ns - exchange.started < self._connect_timeout_ns:
                break
            missing = self._missing(exchange, now_ns)
            if missing:
                late.append((exchange, missing))
        for exchange, missing in late:
            self.fail(exchange, TIMED_OUT[missing])

    def interrupt(self) -> None:
        """All that is under way, now."""
        for exchange in list(self.under_way.values()):
            if exchange.ended == NONE:
                self.fail(exchange, INTERRUPTED)
                continue
            if exchange.left:
                exchange.is_last_after_all()
            self.end(exchange)

    def hear_kept(self, handle: int, mask: int) -> None:
        """The server has closed what we half closed; what never closes stays even then."""
        exchange = self.kept.get(handle)
        if exchange is not None and exchange.close == "half" and mask & select.EPOLLRDHUP:
            del self.kept[handle]
            exchange.sock.close()

    def let_go(self) -> None:
        """No socket is left."""
        for exchange in [*self.under_way.values(), *self.kept.values()]:
            exchange.sock.close()

    def _leave_rest(self, exchange: Exchange, since_ns: int) -> None:
        """What is left of a connection that is gone; if nothing is, its turn is over."""
        if self._outlet.stopped or not self._rest.add(exchange, since_ns):
            self._turns.ended_one(time.time_ns())

    def _judged(self, exchange: Exchange) -> tuple[int, int]:
        """Whether an answer is a failure, by its status."""
        if exchange.status < 400:
            return _NO_FAILURE
        return status_failure(exchange.status).numbers(self._outlet)

    def _missing(self, exchange: Exchange, now_ns: int) -> str | None:
        """What has not come in time, of a connection older than a handshake may take."""
        if exchange.connected == NONE:
            return "connect"
        if exchange.ended == NONE:
            return "answer" if now_ns - exchange.started >= self._timeout_ns else None
        waits = exchange.asks_to_close and not exchange.fin_seen
        return "close" if waits and now_ns - exchange.ended >= self._timeout_ns else None

    def _note_failure(self, exchange: Exchange, why: Failure, closer: int) -> None:
        self._note(exchange, why.numbers(self._outlet), NONE, closer, NONE, NONE)
        self._leave_rest(exchange, time.time_ns())

    def _note(
        self,
        exchange: Exchange,
        failure: tuple[int, int],
        closed: int,
        closer: int,
        resent: int,
        rtt_us: int,
        *,
        goes_on: bool = False,
    ) -> None:
        error, kind = failure
        self._outlet.row(
            (  # a Row; made as one it would cost a tenth of all that a connection takes here
                exchange.number,
                exchange.scheduled,
                exchange.started,
                NONE if exchange.reused else exchange.connected,
                exchange.first_byte,
                exchange.ended,
                closed,
                exchange.source,
                exchange.port,
                exchange.status,
                exchange.size if exchange.ended != NONE else NONE,
                error,
                NONE if self._udp or goes_on else CLOSE_NUMBER[exchange.close],
                closer,
                resent,
                rtt_us,
                kind,
                NONE,
                1 if exchange.reused else NONE,
            )
        )
        exchange.release()


def _closer(exchange: Exchange) -> int:
    """Who closed first: the server may have been quicker than we, most of all if it said so."""
    if exchange.fin_seen or (not exchange.keeps and server_has_closed(exchange.sock)):
        return CLOSER_NUMBER["server"]
    return FIRST_TO_CLOSE[exchange.close]
