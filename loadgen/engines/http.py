"""The http engine: aiohttp, each request on a connection of its own, as curl would send it.

How a connection ends is not left to aiohttp: beside the socket that it is given, a second handle of
the same connection is kept. What aiohttp closes sends nothing; the last handle to go does.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import aiohttp

from loadgen.engines.closing import (
    CLOSE_NUMBER,
    CLOSER_NUMBER,
    END,
    FIRST_TO_CLOSE,
    STAYS_OPEN,
    server_has_closed,
    tcp_info,
)
from loadgen.engines.http_connection import (
    Attempt,
    Connector,
    current_attempt,
    location_of,
    reason_of,
    same_target,
    server_name,
    size_of,
    socket_maker,
    trust_of,
    url_of,
)
from loadgen.engines.rows import NONE, Row
from loadgen.engines.turns import turns_of
from loadgen.engines.wording import INTERRUPTED, TIMED_OUT, headers_of

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from loadgen.engines.rows import Outlet
    from loadgen.engines.share import Share

_LOOK_S = 0.05
_FLUSH_EVERY = 5  # looks
_TLS_FAREWELL_S = 0.25  # what aiohttp advises, for transports that are still saying good-bye
_NOT_OF_AIOHTTP = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


def send(share: Share, outlet: Outlet) -> None:
    """Carry out a share; see ``loadgen.engines.share.Engine``."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_carry_out(share, outlet))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Uvloop where it is there."""
    with suppress(ImportError):
        import uvloop

        return uvloop.new_event_loop
    return None


async def _carry_out(share: Share, outlet: Outlet) -> None:
    connector = Connector(
        limit=0, force_close=True, ssl=trust_of(share.plan), socket_factory=socket_maker(share.plan)
    )
    async with aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(
            total=share.plan.timeout_s, sock_connect=share.plan.connect_timeout_s
        ),
        trust_env=False,
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=_NOT_OF_AIOHTTP,
    ) as session:
        await _Client(share, outlet, session).run()
    if share.plan.request.tls:
        await asyncio.sleep(_TLS_FAREWELL_S)


class _Client:
    """One worker's requests, from the first to the last."""

    def __init__(self, share: Share, outlet: Outlet, session: aiohttp.ClientSession) -> None:
        self._plan = share.plan
        self._outlet = outlet
        self._session = session
        self._turns = turns_of(share)
        self._tasks: set[asyncio.Task[None]] = set()
        self._kept: list[socket.socket] = []
        self._timer: asyncio.TimerHandle | None = None
        self._headers = {
            close: headers_of(self._plan, server_closes=close == "server")
            for close in self._plan.closing.kinds
        }

    async def run(self) -> None:
        """Send everything, keep what is to stay open, end all."""
        outlet, looks = self._outlet, 0
        self._begin_due()
        while not outlet.stopped and not (self._turns.ended and not self._tasks):
            await asyncio.wait(
                self._tasks or [asyncio.create_task(asyncio.sleep(_LOOK_S))], timeout=_LOOK_S
            )
            looks += 1
            if looks % _FLUSH_EVERY == 0:
                outlet.flush()
        await self._interrupt()
        outlet.sent()
        while not outlet.stopped and self._kept:
            await asyncio.sleep(_LOOK_S)
        for sock in self._kept:
            sock.close()

    def _begin_due(self) -> None:
        """Begin what is due, and come again when the next is."""
        now_ns = time.time_ns()
        while not self._outlet.stopped and (request := self._turns.due(now_ns)):
            task = asyncio.create_task(self._follow(*request))
            self._tasks.add(task)
            task.add_done_callback(self._one_ended)
        next_ns = self._turns.next_ns
        if self._timer is not None:
            self._timer.cancel()
        if next_ns is not None:
            delay_s = max((next_ns - time.time_ns()) / 1e9, 0)
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._begin_due)

    def _one_ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._turns.ended_one(time.time_ns())
        if not task.cancelled():
            task.result()
            self._begin_due()

    async def _interrupt(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _follow(self, number: int, scheduled_ns: int) -> None:
        """One request, and the redirects it leads to, each a connection and a row."""
        path: str | None = self._plan.request.path
        for _ in range(self._plan.request.redirects + 1):
            assert path is not None
            close = self._plan.closing.of(number)
            attempt = Attempt(number, scheduled_ns, close, path)
            current_attempt.set(attempt)
            await self._one(attempt)
            path = attempt.location and same_target(self._plan, path, attempt.location)
            if path is None:
                return
            scheduled_ns = time.time_ns()

    async def _one(self, attempt: Attempt) -> None:
        try:
            await self._request(attempt)
            if attempt.ended != NONE:
                await self._close(attempt)
        except asyncio.CancelledError:
            if attempt.ended == NONE:
                attempt.error = INTERRUPTED
            else:
                self._end(attempt)
            raise
        finally:
            if attempt.sock is not None:
                attempt.sock.close()
            self._outlet.row(self._row(attempt))

    async def _request(self, attempt: Attempt) -> None:
        request = self._plan.request
        attempt.started = time.time_ns()
        try:
            async with self._session.request(
                request.method,
                url_of(self._plan, attempt.path),
                headers=self._headers[attempt.close],
                data=request.body or None,
                server_hostname=server_name(self._plan),
                allow_redirects=False,
            ) as response:
                attempt.first_byte = time.time_ns()
                attempt.status = response.status
                attempt.keeps = response.headers.get("Connection", "").lower() != "close"
                attempt.location = location_of(response)
                attempt.size = await size_of(response)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            attempt.error = reason_of(error, attempt)
        else:
            attempt.ended = time.time_ns()
            if not 200 <= attempt.status < 400:
                attempt.error = f"HTTP {attempt.status}"

    async def _close(self, attempt: Attempt) -> None:
        """Hold, then end the connection as planned."""
        if attempt.close == "server":
            await self._await_fin(attempt)
        over_ns = time.time_ns() + round(self._plan.closing.hold_s * 1e9)
        while (left_ns := over_ns - time.time_ns()) > 0:
            await asyncio.sleep(left_ns / 1e9)  # uvloop's clock ticks in ms, and may be early
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
                attempt.error = TIMED_OUT["close"]

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
            error=NONE if attempt.error is None else text(attempt.error),
            close=CLOSE_NUMBER[attempt.close],
            closer=attempt.closer,
            retransmits=attempt.resent,
            rtt_us=attempt.rtt_us,
        )
