"""The server of a run's live page: an address of this machine, and a token in the path."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web

from analyzer.ipvs.addresses import host_port
from loadgen.live import guard
from loadgen.live.http_server import REQUEST_WITHIN_S, leaves_machine, serving
from loadgen.session.listening import listen

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from loadgen.live.http_server import Handler

OPTION = "--live"
TAKEN_WITHIN_S = 10.0
"""How long the report waits for the browsers that showed the live page."""


class PageServer:
    """A listening socket, and the token without which it answers nothing.

    Attributes:
        token: a secret, part of the path.
        waiting_browsers: browsers that showed the page when the run ended, and will load it again.
    """

    def __init__(self, address: str, port: int, within_s: float = REQUEST_WITHIN_S) -> None:
        """Listen there.

        Args:
            address: an IPv4 or IPv6 address.
            port: 0 for any.
            within_s: how long a request may take to arrive.

        Raises:
            UsageProblem: it cannot be listened on.
        """
        self._within_s = within_s
        self.token = guard.new_token()
        self.waiting_browsers = 0
        self._socket = listen(OPTION, address, port)

    @property
    def url(self) -> str:
        """For the operator alone: whoever has it sees the page."""
        address, port = self._socket.getsockname()[:2]
        return f"http://{host_port(address, port)}/{self.token}/"

    @property
    def leaves_machine(self) -> bool:
        """Whether other machines can reach it, in clear."""
        return leaves_machine(self._socket.getsockname()[0])

    def serving(self, pages: Mapping[str, Handler]) -> AbstractAsyncContextManager[None]:
        """Answer while the context lasts.

        Args:
            pages: what answers each name below the token; "" is the page itself.
        """
        guarded = {f"/{{token}}/{name}": self._for_token(page) for name, page in pages.items()}
        return serving(guarded, self._socket.dup(), within_s=self._within_s)

    def _for_token(self, page: Handler) -> Handler:
        async def answer(request: web.Request) -> web.StreamResponse:
            if not guard.is_token(request.match_info.get("token", ""), self.token):
                raise web.HTTPNotFound
            return await page(request)

        return answer

    def hand_over(self, report: Path) -> None:
        """Answer with the report, until all ``waiting_browsers`` have it."""
        if self.waiting_browsers:
            with asyncio.Runner() as runner:
                runner.run(self._answer_with(report.read_text(encoding="utf-8")))
        self._socket.close()

    async def _answer_with(self, report: str) -> None:
        left = self.waiting_browsers
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
