"""The live page over real HTTP on loopback: who gets it, what it sends, and how it ends."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp

from analyzer.recording.directory import RecordingWriter
from loadgen.collect.watch import DirectorsWatch
from loadgen.live import page as page_module
from loadgen.live import page_server as page_server_module
from loadgen.live.http_server import REQUEST_WITHIN_S
from loadgen.live.page import LivePage, LiveSources, message
from loadgen.live.page_server import TAKEN_WITHIN_S, PageServer
from tests.unit.waiting import turns, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import pytest

HOSTILE = '<img src=x onerror="alert(1)">'


@dataclass
class Live:
    """A page that is being served, and a reader of it."""

    server: PageServer
    page: LivePage
    reader: aiohttp.ClientSession
    recording: RecordingWriter
    said: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.server.url

    async def status(self, path: str = "", **headers: str) -> int:
        async with self.reader.get(self.url + path, headers=headers) as answer:
            await answer.read()
            return answer.status


@asynccontextmanager
async def live(directory: Path) -> AsyncIterator[Live]:
    recording = RecordingWriter(directory / "run", {"started_at_ns": time.time_ns()})
    server = PageServer("127.0.0.1", 0)
    watch = DirectorsWatch([], [], recording, every_s=1, show=lambda _: None)
    sources = LiveSources(title=f"Burst {HOSTILE}", pollers=[], watch=watch, sending=None)
    said: list[str] = []
    page = LivePage(server, sources, recording, said.append)
    async with aiohttp.ClientSession() as reader:
        yield Live(server, page, reader, recording, said)
    server.waiting_browsers = 0
    server.hand_over(directory / "nobody-asked-for-it")


def test_the_page_is_there_for_who_has_its_address(tmp_path: Path) -> None:
    async def go() -> None:
        async with live(tmp_path) as found, found.page:
            assert found.said == [f"live: {found.url}"]
            async with found.reader.get(found.url) as answer:
                text = await answer.text()
                headers = answer.headers
            assert answer.status == 200
            assert "Burst &lt;img" in text
            assert HOSTILE not in text
            assert "connect-src &#39;self&#39;" in text or "connect-src 'self'" in text
            assert headers["Cache-Control"] == "no-store"
            assert headers["Referrer-Policy"] == "no-referrer"
            assert headers["Content-Security-Policy"] == "frame-ancestors 'none'"
            assert "Access-Control-Allow-Origin" not in headers

    asyncio.run(go())


def test_strangers_get_nothing(tmp_path: Path) -> None:
    async def go() -> None:
        async with live(tmp_path) as found, found.page:
            port = found.url.split(":")[2].split("/")[0]
            assert await found.status(Host=f"evil.example:{port}") == 403
            assert await found.status("events", Host=f"evil.example:{port}") == 403
            assert await found.status(Origin="http://evil.example") == 403
            assert await found.status(**{"Sec-Fetch-Site": "cross-site"}) == 403
            assert await found.status(Host=f"localhost:{port}") == 200
            for path in ("", "wrong/", "wrong/events", f"{found.server.token}x/", "favicon.ico"):
                async with found.reader.get(f"http://127.0.0.1:{port}/{path}") as answer:
                    assert (answer.status, await answer.text()) == (404, "nothing here\n")
                    assert answer.headers["X-Content-Type-Options"] == "nosniff"
            async with found.reader.post(found.url) as answer:
                assert answer.status in (404, 405)

    asyncio.run(go())


def test_news_come_as_server_sent_events_and_end_with_the_run(tmp_path: Path) -> None:
    async def go() -> list[str]:
        async with live(tmp_path) as found:
            await found.page.__aenter__()
            row = {"at": time.time_ns(), "host": HOSTILE, "kind": "unplug", "detail": HOSTILE}
            found.recording.append("events", row)
            async with found.reader.get(found.url + "events") as answer:
                assert answer.content_type == "text/event-stream"
                first = await answer.content.readuntil(b"}\n\n")
                await found.page.__aexit__(None, None, None)
                rest = await answer.content.read()
            assert found.server.waiting_browsers == 1
            return [first.decode(), rest.decode()]

    first, rest = asyncio.run(go())
    assert first.startswith("retry: 1000\n\nevent: news\ndata: {")
    document = json.loads(first.split("data: ")[1])
    assert set(document) == {"parts", "figures", "captions"}
    assert "unplug: &lt;img" in document["parts"]["events"]
    assert HOSTILE not in json.dumps(document)
    kind, data = rest.rstrip("\n").rsplit("event: ", 1)[1].split("\ndata: ")
    assert kind == "ended"
    assert json.loads(data)["report"].endswith("run/report.html")


def test_so_many_browsers_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_module, "BROWSERS", 1)

    async def go() -> None:
        async with live(tmp_path) as found, found.page:
            async with found.reader.get(found.url + "events") as answer:
                assert answer.status == 200
                assert await found.status("events") == 503
            assert await until(lambda: not found.page.browsers)
            async with found.reader.get(found.url + "events") as answer:
                assert answer.status == 200

    asyncio.run(go())


def test_a_page_that_cannot_be_drawn_does_not_end_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(_: Any) -> str:
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr(page_module, "news", fault)

    async def go() -> list[str]:
        async with live(tmp_path) as found:
            async with found.page, found.reader.get(found.url + "events"):
                assert await until(lambda: len(found.said) > 1)
                await turns()
            return found.said

    assert asyncio.run(go())[1:] == ["live: no more news: ZeroDivisionError: a fault"]


def test_who_looked_on_is_handed_the_report_at_the_same_address(tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    report.write_text("<!doctype html><title>the report</title>", encoding="utf-8")
    server = PageServer("127.0.0.1", 0)
    server.waiting_browsers = 1

    async def read() -> str:
        async with aiohttp.ClientSession() as reader:
            async with reader.head(server.url) as answer:  # waits until the report is there
                assert answer.status == 200
            async with reader.get(server.url + "events") as answer:
                assert answer.status == 404
            async with reader.get(server.url) as answer:
                return await answer.text()

    async def go() -> str:
        reading = asyncio.create_task(read())
        await asyncio.to_thread(server.hand_over, report)
        return await reading

    assert "the report" in asyncio.run(go())


def test_nobody_is_waited_for_who_does_not_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_server_module, "TAKEN_WITHIN_S", 0.2)
    report = tmp_path / "report.html"
    report.write_text("", encoding="utf-8")
    server = PageServer("127.0.0.1", 0)
    server.waiting_browsers = 1
    began_s = time.monotonic()
    server.hand_over(report)
    assert time.monotonic() - began_s < TAKEN_WITHIN_S


def test_a_message_is_one_event() -> None:
    assert message("news", '{"a": 1}') == b'event: news\ndata: {"a": 1}\n\n'


def test_a_page_that_other_machines_can_reach_is_said_to_go_in_clear(tmp_path: Path) -> None:
    async def go() -> list[str]:
        said: list[str] = []
        recording = RecordingWriter(tmp_path / "run", {"started_at_ns": time.time_ns()})
        watch = DirectorsWatch([], [], recording, every_s=1, show=lambda _: None)
        sources = LiveSources(title="Burst", pollers=[], watch=watch, sending=None)
        server = PageServer("0.0.0.0", 0)
        async with LivePage(server, sources, recording, said.append):
            pass
        server.waiting_browsers = 0
        server.hand_over(tmp_path / "nobody-asked-for-it")
        return said

    address, warning = asyncio.run(go())
    assert address.startswith("live: http://0.0.0.0:")
    assert "in clear" in warning


def test_half_a_request_is_left_after_a_while(tmp_path: Path) -> None:
    async def go() -> float:
        recording = RecordingWriter(tmp_path / "run", {"started_at_ns": time.time_ns()})
        watch = DirectorsWatch([], [], recording, every_s=1, show=lambda _: None)
        sources = LiveSources(title="Burst", pollers=[], watch=watch, sending=None)
        server = PageServer("127.0.0.1", 0, within_s=0.3)
        async with LivePage(server, sources, recording, lambda _: None):
            port = int(server.url.split(":")[2].split("/")[0])
            began_s = time.monotonic()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\nHost: 127")
            assert await asyncio.wait_for(reader.read(), REQUEST_WITHIN_S) == b""
            writer.close()
        server.hand_over(tmp_path / "nobody-asked-for-it")
        return time.monotonic() - began_s

    assert 0.2 < asyncio.run(go()) < REQUEST_WITHIN_S
