"""The live page as an activity of a run: it sends the other activities' state to browsers."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from aiohttp import web

from analyzer.recording.directory import REPORT
from analyzer.results import Event
from analyzer.units import NS_PER_S
from loadgen.live import guard
from loadgen.live.page_server import html
from loadgen.live.recent_polls import RecentPolls
from loadgen.live.snapshot import live_run
from loadgen.session.background import Background
from reports.live.page import live_page, news

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from analyzer.recording.directory import RecordingWriter
    from loadgen.director.polling.poller import Poller
    from loadgen.live.page_server import PageServer
    from loadgen.live.snapshot import Sending
    from loadgen.live.view import View
    from reports.live.page import LiveRun

TAKE_EVERY_S = 0.25
NEWS_S = 1.0
CPU_SHARE = 0.05
"""Of one CPU, at most, for news; where a piece of it takes long, the next comes later."""

BROWSERS = 8
EVENTS = 200
SLOW_S = 10.0
"""A browser that does not take its news for this long has to ask again."""

IN_CLEAR = (
    "live: the page and its token go over the network in clear, and who reads them may look on; "
    "a tunnel to 127.0.0.1 (ssh -L) keeps them to yourself"
)
_RETRY_MS = 1000


class Viewer(Protocol):
    """Knows what the directors hold at present."""

    @property
    def view(self) -> View:
        """The latest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSources:
    """What a live page shows.

    Attributes:
        title: what is on.
        watch: keeps the view of the directors.
        sending: None where nothing is sent.
    """

    title: str
    pollers: Sequence[Poller]
    watch: Viewer
    sending: Sending | None


class LivePage(Background):
    """An activity that shows the run to browsers; without one it only collects.

    Attributes:
        browsers: how many receive its news.
    """

    def __init__(
        self,
        server: PageServer,
        sources: LiveSources,
        recording: RecordingWriter,
        say: Callable[[str], None],
    ) -> None:
        self._server = server
        self._sources = sources
        self._say = say
        self._report = recording.path / REPORT
        self._zero_ns = int(recording.manifest["started_at_ns"])
        self._seen = [RecentPolls(poller.name, self._zero_ns) for poller in sources.pollers]
        self._events: deque[Event] = deque(maxlen=EVENTS)
        self.browsers = 0
        self._somebody = asyncio.Event()
        self._changed = asyncio.Condition()
        self._drawing = asyncio.Lock()
        self._news: str | None = None
        self._ended = False
        self._serving: AbstractAsyncContextManager[None] | None = None
        recording.follow("events", self._note_event)

    async def _begin(self) -> None:
        self._serving = self._server.serving({"": self._page, "events": self._events_of})
        await self._serving.__aenter__()
        self._say(f"live: {self._server.url}")
        if self._server.leaves_machine:
            self._say(IN_CLEAR)

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._take_polls())
            tasks.create_task(self._publish())

    async def _end(self) -> None:
        self._server.waiting_browsers = self.browsers
        self._ended = True
        async with self._changed:
            self._changed.notify_all()
        if self._serving is not None:
            await self._serving.__aexit__(None, None, None)

    def _note_event(self, row: Mapping[str, Any]) -> None:
        at_s = (row["at"] - self._zero_ns) / NS_PER_S
        self._events.append(
            Event(t_s=at_s, host=row["host"], kind=row["kind"], detail=row["detail"])
        )

    async def _take_polls(self) -> None:
        """Cheap enough to be done whether there is a browser or not."""
        while True:
            for poller, seen in zip(self._sources.pollers, self._seen, strict=True):
                seen.take(poller)
            for director, seen in zip(self._sources.watch.view.directors, self._seen, strict=False):
                seen.take_entries(director)
            await asyncio.sleep(TAKE_EVERY_S)

    async def _publish(self) -> None:
        """News while there is a browser, within a share of one CPU."""
        while True:
            await self._somebody.wait()
            try:
                self._news, cost_s = await self._drawn(news)
            except Exception as error:  # whatever it is, the run goes on
                self._say(f"live: no more news: {type(error).__name__}: {error}")
                return
            async with self._changed:
                self._changed.notify_all()
            await asyncio.sleep(max(NEWS_S, cost_s / CPU_SHARE))

    async def _drawn(self, draw: Callable[[LiveRun], str]) -> tuple[str, float]:
        """What is drawn of the run as it is now, in a thread, and the CPU time that it took.

        Polls are stamped in this one: it must not wait for a picture.
        """
        async with self._drawing:
            return await asyncio.to_thread(_timed, draw, self._live_run())

    def _live_run(self) -> LiveRun:
        return live_run(
            self._sources.title,
            self._sources.watch.view,
            self._seen,
            tuple(self._events),
            self._sources.sending,
            (time.time_ns() - self._zero_ns) / NS_PER_S,
        )

    async def _page(self, request: web.Request) -> web.StreamResponse:
        text, _ = await self._drawn(live_page)
        return html(text)

    async def _events_of(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events (WHATWG HTML, section 9.2): the last news only, however slow it is."""
        if request.method != "GET":
            raise web.HTTPMethodNotAllowed(request.method, ["GET"], text="expected GET\n")
        if self.browsers >= BROWSERS or self._ended:
            raise web.HTTPServiceUnavailable(text=f"{BROWSERS} browsers look on already\n")
        response = web.StreamResponse(headers=guard.HEADERS)
        response.content_type = "text/event-stream"
        self.browsers += 1
        self._somebody.set()
        try:
            await response.prepare(request)
            await response.write(b"retry: %d\n\n" % _RETRY_MS)
            await self._send_news(response)
        except (ConnectionError, TimeoutError):
            pass  # it has gone, or does not read
        finally:
            self.browsers -= 1
            if not self.browsers:
                self._somebody.clear()
        return response

    async def _send_news(self, response: web.StreamResponse) -> None:
        sent_last: str | None = None
        while not self._ended:
            if self._news is not None and self._news is not sent_last:
                sent_last = self._news
                await asyncio.wait_for(response.write(message("news", sent_last)), SLOW_S)
            async with self._changed:
                if self._news is sent_last and not self._ended:
                    await self._changed.wait()
        ending = json.dumps({"report": str(self._report)})
        await asyncio.wait_for(response.write(message("ended", ending)), SLOW_S)


def message(event: str, data: str) -> bytes:
    """One server-sent event; ``data`` is JSON, which stands on one line."""
    return f"event: {event}\ndata: {data}\n\n".encode()


def _timed(draw: Callable[[LiveRun], str], run: LiveRun) -> tuple[str, float]:
    began_s = time.thread_time()
    text = draw(run)
    return text, time.thread_time() - began_s
