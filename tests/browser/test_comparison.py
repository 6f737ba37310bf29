"""The page of a comparison in a real browser: from disk, without a network, at three widths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from analyzer.compare import compare
from reports.comparison import render_comparison
from tests.unit.analyzer.test_compare import other
from tests.unit.reports import build

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
LEGENDS_OVER_TITLES = """[...document.querySelectorAll('.chart')].flatMap((chart) => {
  const box = (e) => e.getBoundingClientRect();
  const keys = [...chart.querySelectorAll('.legendtext')].map(box);
  return [...chart.querySelectorAll('.annotation-text')].filter((title) =>
    keys.some((key) => key.bottom > box(title).top + 3 && key.top < box(title).bottom - 3 &&
                       key.left < box(title).right && key.right > box(title).left)
  ).map((title) => title.textContent);
})"""


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Iterator[Callable[[int], tuple[Page, list[str]]]]:
    contexts: list[Any] = []

    def open_page(width: int) -> tuple[Page, list[str]]:
        file = tmp_path / "comparison.html"
        found = compare([build.demo(), other("runs/" + "y" * 60, 5.0), build.troubled()])
        file.write_text(render_comparison(found), encoding="utf-8")
        context = browser.new_context(viewport={"width": width, "height": 900}, offline=True)
        contexts.append(context)
        page, noise = context.new_page(), []
        page.on("console", lambda message: noise.append(message.text))
        page.on("pageerror", lambda error: noise.append(str(error)))
        page.on("request", lambda request: noise.append(request.url))
        page.goto(file.as_uri())
        page.wait_for_selector("html[data-drawn=yes]", timeout=10_000)
        return page, noise

    yield open_page
    for context in contexts:
        context.close()


def test_it_opens_from_disk_and_draws_every_run(
    opened: Callable[[int], tuple[Page, list[str]]],
) -> None:
    page, noise = opened(1000)
    assert [text.rpartition("/")[2] for text in noise] == ["comparison.html"]
    assert page.inner_text("#verdict").startswith("Against 20251122T144000Z-burst: yyy")
    assert page.locator("#latencies-chart .scatterlayer .js-line").count() == 3
    assert page.locator("#courses-chart .scatterlayer .js-line").count() >= 6


@pytest.mark.parametrize("width", [400, 1000, 2000])
def test_nothing_is_wider_than_the_window_nor_over_a_title(
    opened: Callable[[int], tuple[Page, list[str]]], width: int
) -> None:
    page, _ = opened(width)
    assert page.evaluate(OVERFLOW) == 0
    assert page.evaluate(LEGENDS_OVER_TITLES) == []
