"""Where a browser finds the page of a run: an address of this machine, and a token in its path."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiohttp import web

from analyzer.ipvs.addresses import host_port
from loadgen.live import guard
from loadgen.session.listening import listen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from pathlib import Path

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

OPTION = "--live"
TAKEN_WITHIN_S = 10.0
"""How long the report waits for the browsers that looked on."""

_TOLD_S = 1.0


class Door:
    """A listening socket, and the secret of who may come in.

    Attributes:
        token: the secret, a part of the path.
        looking_on: browsers that were there when the run ended, and are to load the page again.
    """

    def __init__(self, address: str, port: int) -> None:
        """Listen there.

        Raises:
            UsageProblem: it cannot be listened on.
        """
        self.token = guard.new_token()
        self.looking_on = 0
        self._socket = listen(OPTION, address, port)

    @property
    def url(self) -> str:
        """For the operator alone: whoever has it may look on."""
        address, port = self._socket.getsockname()[:2]
        return f"http://{host_port(address, port)}/{self.token}/"

    @asynccontextmanager
    async def serving(self, pages: Mapping[str, Handler]) -> AsyncIterator[None]:
        """Answer while the context lasts.

        Args:
            pages: what answers each name below the token; "" is the page itself.
        """
        app = web.Application(middlewares=[self._guarded])
        for name, handler in pages.items():
            app.router.add_get(f"/{{token}}/{name}", handler)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_TOLD_S)
        await runner.setup()
        try:
            await web.SockSite(runner, self._socket.dup()).start()
            yield
        finally:
            await runner.cleanup()

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Our own headers on every answer; nothing for strangers."""
        try:
            if not _is_ours(request):
                raise web.HTTPForbidden(text="not from here\n")
            if not guard.is_token(request.match_info.get("token", ""), self.token):
                raise web.HTTPNotFound(text="nothing here\n")
            answer = await handler(request)
        except web.HTTPException as error:
            error.headers.update(guard.HEADERS)
            raise
        if not answer.prepared:
            answer.headers.update(guard.HEADERS)
        return answer

    def hand_over(self, report: Path) -> None:
        """Answer with the report, until all have it who were looking on when the run ended."""
        if self.looking_on:
            with asyncio.Runner() as runner:
                runner.run(self._answer_with(report.read_text(encoding="utf-8")))
        self._socket.close()

    async def _answer_with(self, report: str) -> None:
        left = self.looking_on
        taken = asyncio.Event()

        async def page(request: web.Request) -> web.StreamResponse:
            nonlocal left
            response = html(report)
            if request.method == "GET":
                await response.prepare(request)
                await response.write_eof()
                left -= 1
                if left <= 0:
                    taken.set()
            return response

        async with self.serving({"": page}):
            try:
                await asyncio.wait_for(taken.wait(), TAKEN_WITHIN_S)
            except TimeoutError:
                return


def html(text: str) -> web.Response:
    """A page."""
    response = web.Response(text=text, content_type="text/html", charset="utf-8")
    response.headers.update(guard.HEADERS)
    return response


def _is_ours(request: web.Request) -> bool:
    hosts = request.headers.getall("Host", [])
    return guard.is_here(hosts) and guard.is_same_origin(
        hosts[0], request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site")
    )
