"""One connection's story in a real browser: picked from the list by hand and by key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from reports.page import render_page
from tests.unit.reports import build

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

# Pairs of texts in the drawing that is shown whose boxes meet.
OVER = """(() => {
  const boxes = [...document.querySelectorAll('.story:not([hidden]) .ladder text')]
    .map((e) => [e.textContent, e.getBoundingClientRect()]);
  return boxes.flatMap(([a, p], i) => boxes.slice(i + 1)
    .filter(([, q]) => p.left < q.right - 1 && q.left < p.right - 1 &&
                       p.top < q.bottom - 3 && q.top < p.bottom - 3)
    .map(([b]) => a + ' | ' + b));
})()"""
OUTSIDE = """[...document.querySelectorAll('.story:not([hidden]) .ladder text')].filter((e) => {
  const text = e.getBoundingClientRect(), sheet = e.ownerSVGElement.getBoundingClientRect();
  return text.left < sheet.left - 1 || text.right > sheet.right + 1 || text.bottom > sheet.bottom;
}).map((e) => e.textContent)"""


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Iterator[Callable[[int], Page]]:
    contexts: list[Any] = []

    def open_page(width: int) -> Page:
        file = tmp_path / "report.html"
        file.write_text(render_page(build.demo()), encoding="utf-8")
        context = browser.new_context(viewport={"width": width, "height": 900}, offline=True)
        contexts.append(context)
        page = context.new_page()
        page.goto(file.as_uri())
        page.wait_for_selector("html[data-drawn=yes]", timeout=10_000)
        return page

    yield open_page
    for context in contexts:
        context.close()


def test_one_story_is_shown_and_a_key_brings_the_next(opened: Callable[[int], Page]) -> None:
    page = opened(1000)
    assert page.locator(".story:visible").count() == 1
    assert page.locator("#story-0 .ladder").is_visible()
    page.get_by_label("Connection", exact=True).focus()
    page.keyboard.press("ArrowDown")
    assert page.locator("#story-1 .ladder").is_visible()
    assert not page.locator("#story-0").is_visible()
    assert page.locator("#story-1 .told").inner_text().startswith("192.168.10.250:40002")


@pytest.mark.parametrize("width", [400, 1000, 2000])
def test_no_text_of_the_ladder_meets_another_or_leaves_the_sheet(
    opened: Callable[[int], Page], width: int
) -> None:
    page = opened(width)
    for story in ("story-0", "story-1"):
        page.get_by_label("Connection", exact=True).select_option(story)
        assert page.evaluate(OVER) == []
        assert page.evaluate(OUTSIDE) == []


def test_the_drawing_has_its_words_for_a_screen_reader(opened: Callable[[int], Page]) -> None:
    page = opened(1000)
    label = page.locator("#story-0 .ladder").get_attribute("aria-label")
    assert label == page.locator("#story-0 .told").inner_text()
