"""The page of a comparison in a real browser: from disk, without a network, at three widths."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from analyzer.across_runs.compare import compare
from reports.across_runs.comparison import comparison_document
from reports.document.html import page_of
from tests.browser.chromium import OVERFLOW, SIDEWAYS
from tests.unit.analyzer.across_runs.test_compare import other
from tests.unit.reports import builders_analysis as build

if TYPE_CHECKING:
    from tests.browser.conftest import Show

LEGENDS_OVER_TITLES = """[...document.querySelectorAll('.chart')].flatMap((chart) => {
  const box = (e) => e.getBoundingClientRect();
  const keys = [...chart.querySelectorAll('.legendtext')].map(box);
  return [...chart.querySelectorAll('.annotation-text')].filter((title) =>
    keys.some((key) => key.bottom > box(title).top + 3 && key.top < box(title).bottom - 3 &&
                       key.left < box(title).right && key.right > box(title).left)
  ).map((title) => title.textContent);
})"""


def three_runs() -> str:
    found = compare([build.demo(), other("runs/" + "y" * 60, 5.0), build.troubled()])
    return page_of(comparison_document(found))


def test_it_opens_from_disk_and_draws_every_run(show: Show) -> None:
    seen = show(three_runs())
    page = seen.page
    assert seen.complaints == []
    assert [url.rpartition("/")[2] for url in seen.requests] == ["page.html"]
    assert page.inner_text("#verdict").startswith("Against 20251122T144000Z-burst: yyy")
    assert page.locator("#latencies-chart .scatterlayer .js-line").count() == 3
    assert page.locator("#courses-chart .scatterlayer .js-line").count() >= 6


@pytest.mark.parametrize("width", [400, 1000, 2000])
def test_nothing_is_wider_than_the_window_nor_over_a_title(show: Show, width: int) -> None:
    page = show(three_runs(), width).page
    assert page.evaluate(OVERFLOW) == 0
    assert page.evaluate(SIDEWAYS) == []
    assert page.evaluate(LEGENDS_OVER_TITLES) == []
