"""The http engine: aiohttp, each request on a connection of its own, as curl would send it.

How a connection ends is not left to aiohttp: beside the socket that it is given, a second handle of
the same connection is kept. What aiohttp closes sends nothing; the last handle to go does.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import aiohttp
from yarl import URL

from loadgen.engines.closing import (
    CLOSE_NUMBER,
    CLOSER_NUMBER,
    END,
    FIRST_TO_CLOSE,
    STAYS_OPEN,
    server_has_closed,
    tcp_info,
)
from loadgen.engines.rows import NONE, Row
from loadgen.engines.turns import turns_of
from loadgen.engines.wording import INTERRUPTED, TIMED_OUT, authority, headers_of, reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from analyzer.lives import Close
    from loadgen.engines.rows import Outlet
    from loadgen.engines.share import Share
    from loadgen.plan import LoadPlan

_IP_BIND_ADDRESS_NO_PORT = 24  # ip(7)
_LOOK_S = 0.05
_FLUSH_EVERY = 5  # looks
_TLS_FAREWELL_S = 0.25  # what aiohttp advises, for transports that are still saying good-bye
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
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


@dataclass(slots=True)
class _Attempt:
    """One request while it is on its way; Unix ns.

    Attributes:
        sock: our own handle of its connection.
    """

    number: int
    scheduled: int
    close: Close
    path: str
    started: int = NONE
    connected: int = NONE
    first_byte: int = NONE
    ended: int = NONE
    closed: int = NONE
    source: str | None = None
    port: int = NONE
    status: int = NONE
    size: int = NONE
    error: str | None = None
    closer: int = NONE
    resent: int = NONE
    rtt_us: int = NONE
    keeps: bool = True
    location: str | None = None
    sock: socket.socket | None = None


_attempt: ContextVar[_Attempt] = ContextVar("_attempt")


async def _carry_out(share: Share, outlet: Outlet) -> None:
    connector = _Connector(
        limit=0, force_close=True, ssl=_trust(share.plan), socket_factory=_socket_maker(share.plan)
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
            attempt = _Attempt(number, scheduled_ns, close, path)
            _attempt.set(attempt)
            await self._one(attempt)
            path = attempt.location and _same_target(self._plan, path, attempt.location)
            if path is None:
                return
            scheduled_ns = time.time_ns()

    async def _one(self, attempt: _Attempt) -> None:
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

    async def _request(self, attempt: _Attempt) -> None:
        request = self._plan.request
        attempt.started = time.time_ns()
        try:
            async with self._session.request(
                request.method,
                _url(self._plan, attempt.path),
                headers=self._headers[attempt.close],
                data=request.body or None,
                server_hostname=_server_name(self._plan),
                allow_redirects=False,
            ) as response:
                attempt.first_byte = time.time_ns()
                attempt.status = response.status
                attempt.keeps = response.headers.get("Connection", "").lower() != "close"
                attempt.location = _location(response)
                attempt.size = await _size_of(response)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            attempt.error = _reason(error, attempt)
        else:
            attempt.ended = time.time_ns()
            if not 200 <= attempt.status < 400:
                attempt.error = f"HTTP {attempt.status}"

    async def _close(self, attempt: _Attempt) -> None:
        """Hold, then end the connection as planned."""
        if attempt.close == "server":
            await self._await_fin(attempt)
        over_ns = time.time_ns() + round(self._plan.closing.hold_s * 1e9)
        while (left_ns := over_ns - time.time_ns()) > 0:
            await asyncio.sleep(left_ns / 1e9)  # uvloop's clock ticks in ms, and may be early
        self._end(attempt)

    async def _await_fin(self, attempt: _Attempt) -> None:
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

    def _end(self, attempt: _Attempt) -> None:
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

    def _row(self, attempt: _Attempt) -> Row:
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


@lru_cache
def _url(plan: LoadPlan, path: str) -> URL:
    target = plan.target
    host = f"[{target.vip}]" if ":" in target.vip else target.vip
    return URL(f"{_scheme(plan)}://{host}:{target.port}{path}", encoded=True)


def _scheme(plan: LoadPlan) -> str:
    return "https" if plan.request.tls else "http"


def _server_name(plan: LoadPlan) -> str | None:
    return plan.request.server_name if plan.request.tls else None


def _trust(plan: LoadPlan) -> ssl.SSLContext | bool:
    """One context for all: reading the authorities' certificates anew would cost milliseconds."""
    if not plan.request.tls:
        return True
    context = ssl.create_default_context()
    if not plan.request.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context


def _socket_maker(plan: LoadPlan) -> Callable[[Any], socket.socket]:
    """Makes the socket of the request in whose task it is called, and keeps a handle of it."""

    def make(address: Any) -> socket.socket:
        family, kind, protocol, _, _ = address
        attempt = _attempt.get()
        sock = socket.socket(family, kind | socket.SOCK_NONBLOCK, protocol)
        try:
            if plan.sources:
                with suppress(OSError):
                    sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
                sock.bind((plan.sources[attempt.number % len(plan.sources)], 0))
            attempt.sock = sock.dup()
        except OSError:
            sock.close()
            raise
        return sock

    return make


class _Connector(aiohttp.TCPConnector):
    """Notes when a connection stands; aiohttp's own tracing would cost each request dearly."""

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Any], timeout: aiohttp.ClientTimeout
    ) -> Any:
        """A connection, TLS included."""
        made = await super().connect(req, traces, timeout)
        attempt = _attempt.get()
        attempt.connected = time.time_ns()
        if attempt.sock is not None:
            name = attempt.sock.getsockname()
            attempt.source, attempt.port = name[0], name[1]
        return made


async def _size_of(response: aiohttp.ClientResponse) -> int:
    """The body's, read in pieces: many at a time do not fill the memory."""
    size = 0
    while piece := await response.content.readany():
        size += len(piece)
    return size


def _location(response: aiohttp.ClientResponse) -> str | None:
    return response.headers.get("Location") if response.status in _REDIRECTS else None


def _same_target(plan: LoadPlan, path: str, location: str) -> str | None:
    """The path that a redirect leads to; None where it leads away from the target."""
    here = f"{_scheme(plan)}://{authority(plan)}{path}"
    there = urlsplit(urljoin(here, location))
    if (there.scheme, there.netloc) != urlsplit(here)[:2]:
        return None
    query = f"?{there.query}" if there.query else ""
    return f"{there.path or '/'}{query}"


def _reason(error: BaseException, attempt: _Attempt) -> str:
    if isinstance(error, TimeoutError):
        return TIMED_OUT["connect" if attempt.connected == NONE else "answer"]
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        held = error.certificate_error
        return f"certificate: {getattr(held, 'verify_message', held)}"
    if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientPayloadError):
        return "closed by the server before its answer was whole"
    if isinstance(error, OSError) and error.errno:
        return reason(error)
    return str(error) or type(error).__name__
