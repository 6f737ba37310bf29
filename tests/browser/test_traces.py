"""One connection's trace in a real browser: picked from the list by hand and by key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reports.run.page import render_page
from tests.unit.reports import builders_analysis as build

if TYPE_CHECKING:
    from tests.browser.conftest import Show

# Pairs of texts in the drawing that is shown whose boxes meet.
OVER = """(() => {
  const boxes = [...document.querySelectorAll('.connection:not([hidden]) .sequence-diagram text')]
    .map((e) => [e.textContent, e.getBoundingClientRect()]);
  return boxes.flatMap(([a, p], i) => boxes.slice(i + 1)
    .filter(([, q]) => p.left < q.right - 1 && q.left < p.right - 1 &&
                       p.top < q.bottom - 3 && q.top < p.bottom - 3)
    .map(([b]) => a + ' | ' + b));
})()"""
OUTSIDE = """[...document.querySelectorAll('.connection:not([hidden]) .sequence-diagram text')]
  .filter((e) => {
  const text = e.getBoundingClientRect(), sheet = e.ownerSVGElement.getBoundingClientRect();
  return text.left < sheet.left - 1 || text.right > sheet.right + 1 || text.bottom > sheet.bottom;
}).map((e) => e.textContent)"""


def test_one_trace_is_shown_and_a_key_brings_the_next(show: Show) -> None:
    page = show(render_page(build.demo())).page
    assert page.locator(".connection:visible").count() == 1
    assert page.locator("#trace-0 .sequence-diagram").is_visible()
    page.get_by_label("Connection", exact=True).focus()
    page.keyboard.press("ArrowDown")
    assert page.locator("#trace-1 .sequence-diagram").is_visible()
    assert not page.locator("#trace-0").is_visible()
    assert page.locator("#trace-1 .told").inner_text().startswith("192.168.10.250:40002")


@pytest.mark.parametrize("width", [400, 1000, 2000])
def test_no_text_of_the_diagram_meets_another_or_leaves_the_sheet(show: Show, width: int) -> None:
    page = show(render_page(build.demo()), width).page
    for trace in ("trace-0", "trace-1"):
        page.get_by_label("Connection", exact=True).select_option(trace)
        assert page.evaluate(OVER) == []
        assert page.evaluate(OUTSIDE) == []


def test_the_drawing_has_its_words_for_a_screen_reader(show: Show) -> None:
    page = show(render_page(build.demo())).page
    label = page.locator("#trace-0 .sequence-diagram").get_attribute("aria-label")
    assert label == page.locator("#trace-0 .told").inner_text()
