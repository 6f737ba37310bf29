"""When each request is sent, and how its connection ends: an asyncio task for each connection.

How a connection ends is not left to aiohttp, nor to the event loop: the socket is our own, or with
TLS a second handle of the same connection. What they close sends nothing; the last handle does.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
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
from loadgen.load.engines.http.connection import Attempt, Connector
from loadgen.load.engines.http.redirects import lead_of
from loadgen.load.engines.http.transport import Edges
from loadgen.load.engines.loop_models import turns_of
from loadgen.load.engines.rows import NONE, Row
from loadgen.load.engines.wording import BAD_REDIRECT, INTERRUPTED, TIMED_OUT, TOO_MANY_REDIRECTS

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from loadgen.load.engines.rows import Outlet
    from loadgen.load.engines.workers.share import Share

_WAKE_EVERY_S = 0.05
_FLUSH_EVERY = 5  # wakes
_TLS_FAREWELL_S = 0.25  # for transports that are still saying good-bye


def send(share: Share, outlet: Outlet) -> None:
    """Carry out a share; see ``loadgen.load.engines.workers.share.Engine``."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_carry_out(share, outlet))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Uvloop where it is there."""
    with suppress(ImportError):
        import uvloop

        return uvloop.new_event_loop
    return None


async def _carry_out(share: Share, outlet: Outlet) -> None:
    edges = Edges(asyncio.get_running_loop())
    try:
        await _Client(share, outlet, edges).run()
    finally:
        edges.close()
    if share.plan.uses_tls:
        await asyncio.sleep(_TLS_FAREWELL_S)


class _Client:
    """One worker's requests, from the first to the last."""

    def __init__(self, share: Share, outlet: Outlet, edges: Edges) -> None:
        self._plan = share.plan
        self._connectors = [Connector(plan, edges) for plan in share.plan.by_target]
        self._share = share
        self._pause_ns = share.pause_ns
        self._division = share.plan.division
        self._outlet = outlet
        self._turns = turns_of(share)
        self._tasks: set[asyncio.Task[None]] = set()
        self._over = asyncio.Event()
        self._fault: BaseException | None = None
        self._kept: list[socket.socket] = []
        self._timer: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Send everything, keep what is to stay open, end all."""
        outlet, wakes = self._outlet, 0
        self._begin_due()
        while not outlet.stopped and not self._over.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(_WAKE_EVERY_S):
                    await self._over.wait()
            wakes += 1
            if wakes % _FLUSH_EVERY == 0:
                outlet.flush(len(self._tasks))
        await self._interrupt()
        outlet.sent()
        while not outlet.stopped and self._kept:
            await asyncio.sleep(_WAKE_EVERY_S)
        for sock in self._kept:
            sock.close()

    def _begin_due(self) -> None:
        """Begin what is due, and come again when the next is."""
        now_ns = time.time_ns()
        carry = self._follow if self._division.per_connection == 1 else self._carry
        while not self._outlet.stopped and (due := self._turns.due(now_ns)):
            task = asyncio.create_task(carry(*due))
            self._tasks.add(task)
            task.add_done_callback(self._one_ended)
        if self._timer is not None:
            self._timer.cancel()
        next_ns = self._turns.next_ns
        if next_ns is not None:
            delay_s = max((next_ns - time.time_ns()) / NS_PER_S, 0)
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._begin_due)
        elif self._turns.ended and not self._tasks:
            self._over.set()

    def _one_ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._turns.ended_one(time.time_ns())
        if task.cancelled():
            return
        if fault := task.exception():
            self._fault = fault
            self._over.set()
        self._begin_due()

    async def _interrupt(self) -> None:
        """What is under way goes no further.

        Raises:
            BaseException: whatever a request raised.
        """
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._fault:
            raise self._fault

    async def _follow(self, number: int, scheduled_ns: int) -> None:
        """One request, and the redirects it leads to, each a connection and a row."""
        path = self._connector_of(number).plan.request.path
        close, source = self._plan.closing.of(number), self._plan.source_of(number)
        for left in range(self._plan.request.redirects, -1, -1):
            attempt = Attempt(number, number, scheduled_ns, close, path, bound_to=source)
            await self._one(attempt, left)
            if attempt.follows is None:
                return
            path = attempt.follows
            scheduled_ns = time.time_ns()

    async def _carry(self, connection: int, scheduled_ns: int) -> None:
        """The requests of one connection in turn; what it breaks off before goes on on another."""
        path = self._connector_of(connection).plan.request.path
        close, source = self._plan.closing.of(connection), self._plan.source_of(connection)
        numbers = self._division.numbers(connection)
        before: Attempt | None = None
        for number in numbers:
            left = numbers[-1] - number
            attempt = Attempt(
                number, connection, scheduled_ns, close, path, left=left, bound_to=source
            )
            if before is not None and before.goes_on:
                attempt.take_over(before)
            await self._one(attempt, 0)
            if not attempt.left:
                return
            ended_ns = time.time_ns() if attempt.ended == NONE else attempt.ended
            scheduled_ns = ended_ns + self._pause_ns
            if not attempt.goes_on:
                if self._share.is_over(scheduled_ns):
                    return
                await _sleep_until(scheduled_ns)
            before = attempt

    def _connector_of(self, connection: int) -> Connector:
        """That of the target whose turn it is."""
        return self._connectors[connection % len(self._connectors)]

    async def _one(self, attempt: Attempt, redirects_left: int) -> None:
        try:
            await self._connector_of(attempt.connection).request(attempt)
            if attempt.ended != NONE:
                self._judge_redirect(attempt, redirects_left)
                if not (attempt.left and await self._goes_on_or_elsewhere(attempt)):
                    await self._close(attempt)
        except asyncio.CancelledError:
            if attempt.ended == NONE or attempt.follows is not None:
                attempt.failure, attempt.follows = INTERRUPTED, None
            if attempt.ended != NONE:
                if attempt.left:
                    attempt.is_last_after_all()
                attempt.let_go()
                self._end(attempt)
            raise
        finally:
            if not attempt.goes_on:
                attempt.let_go()
                if attempt.sock is not None:
                    attempt.sock.close()
            self._outlet.row(self._row(attempt))

    async def _goes_on_or_elsewhere(self, attempt: Attempt) -> bool:
        """After an answer with requests left: False if none of them is to be sent any more.

        A connection that the server closes, or says that it will, before all are answered is left,
        and the others go on elsewhere.
        """
        due_ns = attempt.ended + self._pause_ns
        if self._share.is_over(due_ns):
            attempt.is_last_after_all()
            return False
        if attempt.may_go_on and self._pause_ns:
            await _sleep_until(due_ns)
        attempt.goes_on = attempt.may_go_on
        if not attempt.goes_on:
            self._end_early(attempt)
        return True

    def _end_early(self, attempt: Attempt) -> None:
        assert attempt.sock is not None
        attempt.let_go()
        if self._plan.tcp_info:
            attempt.resent, attempt.rtt_us = tcp_info(attempt.sock)
        attempt.closer = CLOSER_NUMBER[closer_so_far(attempt.sock)]
        attempt.closed = time.time_ns()

    def _judge_redirect(self, attempt: Attempt, left: int) -> None:
        """Where redirects are followed: whether this one is, and if not, what that means."""
        if attempt.location is None or not self._plan.request.redirects:
            return
        plan = self._connector_of(attempt.connection).plan
        lead = lead_of(plan, attempt.path, attempt.location)
        if lead.to == "nowhere":
            attempt.failure = BAD_REDIRECT
        elif lead.to == "here" and left:
            attempt.follows = lead.path
        elif lead.to == "here":
            attempt.failure = TOO_MANY_REDIRECTS

    async def _close(self, attempt: Attempt) -> None:
        """Hold, then end the connection as planned."""
        attempt.let_go()
        if attempt.asks_to_close:
            await self._await_fin(attempt)
        await _sleep_until(time.time_ns() + self._plan.closing.hold.ns(attempt.connection))
        self._end(attempt)

    async def _await_fin(self, attempt: Attempt) -> None:
        """The server was asked to close."""
        assert attempt.sock is not None
        loop = asyncio.get_running_loop()
        with suppress(OSError):
            try:
                async with asyncio.timeout(self._plan.timeout_s):
                    while await loop.sock_recv(attempt.sock, 65536):
                        pass
            except TimeoutError:
                attempt.failure = attempt.failure or TIMED_OUT["close"]

    def _end(self, attempt: Attempt) -> None:
        sock = attempt.sock
        assert sock is not None
        if self._plan.tcp_info:
            attempt.resent, attempt.rtt_us = tcp_info(sock)
        fin_seen = not attempt.keeps and server_has_closed(sock)
        attempt.closer = CLOSER_NUMBER["server"] if fin_seen else FIRST_TO_CLOSE[attempt.close]
        attempt.closed = NONE if attempt.close == "never" else time.time_ns()
        END[attempt.close](sock)
        if attempt.close in STAYS_OPEN:
            self._kept.append(sock)
            attempt.sock = None

    def _row(self, attempt: Attempt) -> Row:
        text = self._outlet.text
        failure = attempt.failure
        error, kind = (NONE, NONE) if failure is None else failure.numbers(self._outlet)
        return Row(
            number=attempt.number,
            scheduled=attempt.scheduled,
            started=attempt.started,
            connected=attempt.connected,
            first_byte=attempt.first_byte,
            ended=attempt.ended,
            closed=attempt.closed,
            source=NONE if attempt.source is None else text(attempt.source),
            port=attempt.port,
            status=attempt.status,
            size=attempt.size,
            error=error,
            close=NONE if attempt.goes_on else CLOSE_NUMBER[attempt.close],
            closer=attempt.closer,
            retransmits=attempt.resent,
            rtt_us=attempt.rtt_us,
            failure=kind,
            followed=NONE if attempt.follows is None else 1,
            reused=1 if attempt.reused else NONE,
        )


async def _sleep_until(at_ns: int) -> None:
    while (left_ns := at_ns - time.time_ns()) > 0:
        await asyncio.sleep(left_ns / NS_PER_S)  # uvloop's clock ticks in ms, and may be early
