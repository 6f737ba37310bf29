"""The HTTP server of the live page and of the metrics: few connections, and none that only waits.

aiohttp waits for a request's head for ever. Here a connection whose request is not complete after
some seconds is closed, and so is one beyond so many: whoever opens a thousand and says nothing
(slowloris) costs a thousand sockets for no longer than that, and no thread.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING

from aiohttp import web

from loadgen.live import guard

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from aiohttp.typedefs import Middleware

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

REQUEST_WITHIN_S = 10.0
"""From the connection, or from the answer before, to a whole request."""

MOST_CONNECTIONS = 128
_SHUTDOWN_S = 1.0


@asynccontextmanager
async def serving(
    pages: Mapping[str, Handler],
    listening: socket.socket,
    *,
    host_names: Sequence[str] = (),
    within_s: float = REQUEST_WITHIN_S,
) -> AsyncIterator[None]:
    """Answer GET and HEAD while the context lasts; the socket is closed at its end.

    Args:
        pages: what answers each path, as aiohttp writes paths.
        listening: where.
        host_names: by which a request may call this machine, besides its addresses.
        within_s: how long a request may take to arrive.
    """
    connections = _Connections(within_s)
    app = web.Application(middlewares=[connections.arrived, guard_of(host_names)])
    for path, handler in pages.items():
        app.router.add_get(path, handler)
    runner = web.AppRunner(
        app,
        access_log=None,
        shutdown_timeout=_SHUTDOWN_S,
        keepalive_timeout=within_s,
        lingering_time=within_s,
    )
    await runner.setup()
    assert runner.server is not None
    factory = partial(connections.begin, runner.server)
    server = await asyncio.get_running_loop().create_server(factory, sock=listening)
    try:
        yield
    finally:
        server.close()
        await runner.cleanup()


class _Connections:
    """Those whose first request has not arrived, each with the timer that closes it."""

    def __init__(self, within_s: float) -> None:
        self._within_s = within_s
        self._waiting: dict[asyncio.BaseProtocol, asyncio.TimerHandle] = {}

    def begin(self, server: web.Server) -> asyncio.Protocol:
        """A connection's protocol; closed at once where there are too many."""
        protocol = server()
        loop = asyncio.get_running_loop()
        if len(server.connections) >= MOST_CONNECTIONS:
            loop.call_soon(protocol.force_close)
        self._waiting[protocol] = loop.call_later(self._within_s, self._give_up, protocol)
        return protocol

    def _give_up(self, protocol: web.RequestHandler) -> None:
        del self._waiting[protocol]
        protocol.force_close()

    @web.middleware
    async def arrived(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """A whole request has arrived."""
        timer = self._waiting.pop(request.protocol, None)
        if timer is not None:
            timer.cancel()
        return await handler(request)


def guard_of(host_names: Sequence[str]) -> Middleware:
    """A middleware: our own headers on every answer, nothing for other sites' scripts."""

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            if not _is_ours(request, host_names):
                raise web.HTTPForbidden(text="not from here\n")
            answer = await handler(request)
        except web.HTTPException as error:
            if isinstance(error, web.HTTPNotFound):
                error.text = "nothing here\n"  # whether the path or the token is wrong
            error.headers.update(guard.HEADERS)
            raise
        if not answer.prepared:
            answer.headers.update(guard.HEADERS)
        return answer

    return guarded


def _is_ours(request: web.Request, host_names: Sequence[str]) -> bool:
    hosts = request.headers.getall("Host", [])
    return guard.is_here(hosts, host_names) and guard.is_same_origin(
        hosts[0], request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site")
    )


def leaves_machine(address: str) -> bool:
    """Whether a socket that listens there can be reached from other machines."""
    return not ip_address(address).is_loopback
