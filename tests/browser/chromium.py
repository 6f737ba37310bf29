"""Debian's Chromium without a network, for the tests and measurements of the pages."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, Page

OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
# Tables that stand open and have to be scrolled sideways.
SIDEWAYS = """[...document.querySelectorAll('main .scroll')].filter(
    (e) => e.checkVisibility() && e.scrollWidth > e.clientWidth + 1
  ).map((e) => `${e.getAttribute('aria-label')}: ${e.scrollWidth} in ${e.clientWidth}`)"""
# Elements of text that reach out of the window.
CUT = """[...document.querySelectorAll(
    'main p, h1, h2, h3, td, th, dt, dd, label, button, .annotation-text, .xtick text, .ytick text'
  )].filter((e) => !e.closest('details:not([open]), .scroll')).filter((e) => {
    const box = e.getBoundingClientRect();
    return box.width > 0 && (box.left < -1 || box.right > innerWidth + 1);
  }).map((e) => e.textContent)"""
# Texts, HTML or SVG, of which one is written over another by more than a pixel or two.
OVERLAPS = """() => {
  const texts = [];
  const walker = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const owner = node.parentElement;
    if (!node.data.trim()) continue;
    if (owner.closest('script, option, .scroll, .modebar-container, .hoverlayer')) continue;
    if (!owner.checkVisibility({ visibilityProperty: true, opacityProperty: true })) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const box of range.getClientRects()) {
      if (box.width > 1 && box.height > 1) texts.push({ text: node.data.trim(), box });
    }
  }
  const found = [];
  for (let i = 0; i < texts.length; i++) {
    for (let j = i + 1; j < texts.length; j++) {
      const [a, b] = [texts[i].box, texts[j].box];
      const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (wide > 2 && high > 0.35 * Math.min(a.height, b.height)) {
        found.push(`${texts[i].text} / ${texts[j].text}`);
      }
    }
  }
  return found;
}"""


LIMIT_MS = 60_000
"""For what takes a moment, on a machine that is busy."""

LOOK_EVERY_MS = 50


@dataclass
class Opened:
    """A page in the browser, and what it complained about or asked for."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


def _path() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found:
        return found
    if os.environ.get("CI"):
        pytest.fail("no chromium on this machine, and CI must not go without the browser tests")
    pytest.skip("no chromium on this machine")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Without its sandbox only for root, who has no other way."""
    from playwright.sync_api import sync_playwright

    path = _path()
    flags = ["--disable-dev-shm-usage", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        yield browser
        browser.close()


def offline(
    browser: Browser, width: int = 1000, scheme: Literal["light", "dark"] = "light"
) -> BrowserContext:
    """A reader with a window of that width, and no network."""
    return browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
    )


def opened(context: BrowserContext, file: Path) -> Opened:
    """A page from disk, when its charts are drawn."""
    seen = Opened(context.new_page())
    listen(seen)
    seen.page.set_default_timeout(LIMIT_MS)
    seen.page.goto(file.as_uri())
    drawn(seen.page)
    return seen


def listen(seen: Opened) -> dict[str, Callable[[Any], None]]:
    """Note what a page complains about and asks for; what listens, by event."""
    listeners: dict[str, Callable[[Any], None]] = {
        "console": lambda message: seen.complaints.append(message.text),
        "pageerror": lambda error: seen.complaints.append(str(error)),
        "request": lambda request: seen.requests.append(request.url),
        "dialog": lambda dialog: seen.complaints.append(dialog.message),
    }
    for event, listener in listeners.items():
        seen.page.on(event, listener)  # type: ignore[call-overload]  # a literal is wanted
    return listeners


class Window:
    """A window in which one page follows another.

    That takes half of the time of a new window: its process is there, and has plotly.js compiled.
    """

    def __init__(self, browser: Browser) -> None:
        self._page = offline(browser).new_page()
        self._page.set_default_timeout(LIMIT_MS)
        self._listeners: dict[str, Callable[[Any], None]] = {}

    def show(
        self, file: Path, width: int = 1000, scheme: Literal["light", "dark"] = "light"
    ) -> Opened:
        """A page from disk in the place of the one before, when its charts are drawn."""
        for event, listener in self._listeners.items():
            self._page.remove_listener(event, listener)
        self._page.mouse.move(0, 0)
        self._page.goto("about:blank")
        self._page.set_viewport_size({"width": width, "height": 900})
        self._page.emulate_media(color_scheme=scheme)
        seen = Opened(self._page)
        self._listeners = listen(seen)
        self._page.goto(file.as_uri())
        drawn(self._page)
        return seen


def drawn(page: Page) -> None:
    """Wait until all charts are drawn."""
    page.wait_for_selector("html[data-drawn=yes]", timeout=LIMIT_MS)


def first_drawn(page: Page) -> None:
    """Wait until the first chart is drawn and the page can be used."""
    page.wait_for_selector("html[data-opened=yes]", timeout=LIMIT_MS)


def eventually(page: Page, expression: str) -> bool:
    """Whether it comes true in time (wait_for_function needs eval, which the page forbids)."""
    for _ in range(LIMIT_MS // LOOK_EVERY_MS):
        if page.evaluate(expression):
            return True
        page.wait_for_timeout(LOOK_EVERY_MS)
    return False
