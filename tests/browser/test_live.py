"""The live page of a real burst in a real browser, from its first news to the report."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.browser.chromium import CUT, LIMIT_MS, OVERFLOW, OVERLAPS, drawn, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

BIN = Path(sys.executable).parent
RATE, SENDS_S = 50, 9
SERVER = """
import asyncio
async def answer(reader, writer):
    await reader.readuntil(b"\\r\\n\\r\\n")
    writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n")
    await reader.read()
    writer.close()
async def main():
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""
BARS = """() => document.getElementById('timeline-chart')._fullData
  .filter((t) => t.type === 'bar').flatMap((t) => [...t.y]).reduce((a, b) => a + b, 0)"""
RANGE = "document.getElementById('timeline-chart')._fullLayout.xaxis.range"


@dataclass
class Shown:
    """A burst that is on, its page, and what the page complained about or asked for."""

    burst: subprocess.Popen[str]
    url: str
    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@pytest.fixture
def shown(browser: Browser, tmp_path: Path) -> Iterator[Shown]:
    """A burst of some seconds at a server on loopback."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        flags = ["-q", str(RATE), "-z", f"{SENDS_S}s", "--no-capture", "-o", str(tmp_path / "run")]
        with subprocess.Popen(
            [BIN / "loadgen", "burst", "--vip", "127.0.0.1", "--port", port, "--live", *flags],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as burst:
            assert burst.stderr is not None
            url = next(line for line in burst.stderr if line.startswith("live: ")).split()[1]
            context = browser.new_context(viewport={"width": 400, "height": 900})
            seen = Shown(burst, url, context.new_page())
            seen.page.on("console", lambda message: seen.complaints.append(message.text))
            seen.page.on("pageerror", lambda error: seen.complaints.append(str(error)))
            seen.page.on("request", lambda request: seen.requests.append(request.url))
            yield seen
            context.close()
            burst.kill()
        server.kill()


def numbers(page: Page) -> dict[str, str]:
    """The headlines by their labels."""
    labels = page.locator("#now dt").all_inner_texts()
    return dict(zip(labels, page.locator("#now .number").all_inner_texts(), strict=True))


def test_a_burst_is_watched_from_its_news_to_its_report(shown: Shown, tmp_path: Path) -> None:
    page = shown.page
    page.goto(shown.url)
    drawn(page)
    first: Any = page.evaluate(BARS)
    assert eventually(page, f"({BARS})() > {first} + {RATE}")  # the news reach the chart
    assert numbers(page)["InActConn now"] == "not measured"
    assert "none failed" in page.inner_text("#now")

    moved = page.evaluate(RANGE)
    assert eventually(page, f"{RANGE}[1] > {moved[1]} + 0.5")  # the axis follows the run
    page.evaluate("Plotly.relayout('timeline-chart', {'xaxis.range': [1, 2]})")
    page.wait_for_timeout(1500)
    assert page.evaluate(RANGE) == [1, 2]  # but not against the reader

    assert page.evaluate(OVERFLOW) == 0
    assert page.evaluate(CUT) == []
    assert page.evaluate(OVERLAPS) == []

    page.wait_for_selector("#findings", timeout=LIMIT_MS)  # the report has come by itself
    drawn(page)
    assert page.url == shown.url
    report = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert page.title() == re.findall(r"<title>(.*?)</title>", report, re.DOTALL)[0]
    assert f"{RATE * SENDS_S} of {RATE * SENDS_S} requests succeeded" in page.inner_text("#verdict")
    assert page.evaluate(BARS) == RATE * SENDS_S
    assert shown.burst.wait(timeout=60) == 0
    assert shown.complaints == []
    host = urlsplit(shown.url).netloc
    assert {urlsplit(url).netloc for url in shown.requests} == {host}


def test_a_run_that_was_killed_leaves_a_page_that_says_so(shown: Shown) -> None:
    page = shown.page
    page.goto(shown.url)
    drawn(page)
    assert eventually(page, f"({BARS})() > 0")
    shown.burst.kill()
    assert eventually(page, "document.getElementById('said').textContent.startsWith('No answer')")
