"""The page in a real browser: opened from disk, with no network, at three widths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

import pytest

from reports.run.page import render_page
from tests.browser.chromium import OVERFLOW, Opened, eventually
from tests.unit.reports import builders_analysis as build

if TYPE_CHECKING:
    from analyzer.report import Analysis
    from tests.browser.conftest import Show

PATHS = """[...document.querySelectorAll('#timeline-chart .scatterlayer .trace path')]
  .filter((p) => (p.getAttribute('d') || '').length > 0 && p.getBoundingClientRect().width > 0)
  .length"""
RANGE = "document.getElementById('timeline-chart')._fullLayout.xaxis.range"


class Open(Protocol):
    """Opens the page of a run."""

    def __call__(
        self, analysis: Analysis, width: int = 1000, scheme: Literal["light", "dark"] = "light"
    ) -> Opened: ...


@pytest.fixture
def opened(show: Show) -> Open:
    def open_page(
        analysis: Analysis, width: int = 1000, scheme: Literal["light", "dark"] = "light"
    ) -> Opened:
        return show(render_page(analysis), width, scheme)

    return open_page


@pytest.mark.parametrize("name", build.RUNS)
def test_it_opens_from_disk_without_a_complaint_or_a_request(opened: Open, name: str) -> None:
    run = build.RUNS[name]()
    seen = opened(run)
    assert seen.page.inner_text("#verdict").split() == run.verdict.split()
    assert seen.complaints == []
    assert [url.rpartition("/")[2] for url in seen.requests] == ["page.html"]


def test_the_curves_are_drawn(opened: Open) -> None:
    page = opened(build.demo()).page
    # two marks' lanes with packets; four series polled and three predicted, in two panels
    assert page.locator("#timeline-chart .scatterlayer .trace").count() >= 16
    assert page.evaluate(PATHS) > 300
    assert page.locator("#timeline-chart .barlayer .point").count() == 4
    assert page.locator("#latency-chart .barlayer .trace").count() == 3
    line = page.locator("#timeline-chart .xy4 .scatterlayer .js-line").last.bounding_box()
    assert line is not None
    assert line["width"] > 700
    assert line["height"] > 80


def test_long_names_do_not_widen_the_page(opened: Open) -> None:
    page = opened(build.hostile("x" * 300), 400).page
    assert page.evaluate(OVERFLOW) == 0


@pytest.mark.parametrize(
    "text", ["<img src=x onerror=alert(1)>", "</script><script>alert(1)</script>", "<b>%{x}</b>"]
)
def test_hostile_text_neither_runs_nor_becomes_markup(opened: Open, text: str) -> None:
    seen = opened(build.hostile(text))
    assert seen.complaints == []
    assert len(seen.requests) == 1
    assert seen.page.locator("main img, main b:empty, .js-plotly-plot a").count() == 0
    assert seen.page.inner_text("#verdict").endswith(text)


def test_the_colours_follow_the_reader(opened: Open) -> None:
    page = opened(build.demo(), scheme="dark").page
    line = "document.querySelector('#timeline-chart .js-line')"
    dark = page.evaluate(f"{line}.style.stroke")
    page.emulate_media(color_scheme="light")
    assert eventually(page, f"{line} && {line}.style.stroke !== '{dark}'")


def test_a_button_zooms_and_the_legend_hides(opened: Open) -> None:
    page = opened(build.demo()).page
    before = page.locator("#timeline-chart .scatterlayer .trace").count()
    page.get_by_role("button", name="Decay").click()
    low, high = page.evaluate(RANGE)
    assert 20 < low < high < 23
    page.get_by_role("checkbox", name="192.168.10.21:80").uncheck()
    traces = "document.querySelectorAll('#timeline-chart .scatterlayer .trace')"
    assert eventually(page, f"{traces}.length < {before}")
    assert page.evaluate(RANGE) == [low, high]
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(100)
    assert page.evaluate(RANGE) == [low, high]


def test_another_width_moves_no_axis(opened: Open) -> None:
    page = opened(build.demo()).page
    charts = "[...document.querySelectorAll('.chart[data-clock=run]')]"
    ranges = f"{charts}.map((chart) => chart._fullLayout.xaxis.range)"
    before = page.evaluate(ranges)
    assert len({tuple(span) for span in before}) > 1  # latencies open on the burst
    wide = page.evaluate(f"{charts}[0]._fullLayout.width")
    page.set_viewport_size({"width": 700, "height": 900})
    assert eventually(page, f"{charts}.every((chart) => chart._fullLayout.width < {wide})")
    page.wait_for_timeout(300)
    assert page.evaluate(ranges) == before


def test_the_chart_offers_no_upload(opened: Open) -> None:
    page = opened(build.demo()).page
    titles = page.eval_on_selector_all(".modebar-btn", "all => all.map(e => e.dataset.title)")
    assert set(titles) == {"Download plot as a PNG", "Zoom", "Pan", "Reset axes"}
