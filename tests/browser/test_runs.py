"""Pages of seven kinds of run in a real browser: every control, the values, boxes and contrast."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from analyzer.analysis import analyse
from analyzer.recording.directory import Recording
from reports.run.page import render_page
from tests.bench.long_run import LongRun
from tests.browser import chromium
from tests.browser.chromium import CUT, OVERFLOW, OVERLAPS, SIDEWAYS, Opened, eventually
from tests.importing import import_folder
from tests.unit.reports import builders_analysis as build

if TYPE_CHECKING:
    from collections.abc import Callable

    from analyzer.report import Analysis
    from tests.browser.conftest import Show

DATA = Path(__file__).parents[1] / "data"
TRACES = """(id) => Object.fromEntries(document.getElementById(id)._fullData.map(
  (t) => [t.name + ' ' + t.yaxis, { x: [...t.x], y: [...t.y] }]))"""
RANGES = """() => [...document.querySelectorAll('[data-clock=run]')].filter((e) => e._fullLayout)
  .map((e) => e._fullLayout.xaxis.range.map((v) => Math.round(v * 1e4) / 1e4))"""
VISIBLE = """() => document.getElementById('tcpfin-chart')._fullData
  .filter((t) => t.visible === true).map((t) => t.name)"""


@dataclass(frozen=True)
class Shown:
    """A run, its page in the browser."""

    run: Analysis
    seen: Opened


def imported(name: str, path: Path) -> Analysis:
    """A recording of the ground truth, imported."""
    import_folder([DATA / "ground-truth" / name], path / "run")
    return analyse(Recording.open(path / "run"))


def long_watch(path: Path) -> Analysis:
    """Five minutes with two gaps."""
    LongRun(requests=1500, watch_s=300).write(path / "run")
    return analyse(Recording.open(path / "run"))


KINDS: dict[str, Callable[[Path], Analysis]] = {
    "dr-burst": lambda _: analyse(Recording.open(DATA / "dr-burst-50")),
    "nat-burst": lambda path: imported("nat-client-close-tcpfin10", path),
    "resets": lambda path: imported("dr-client-reset", path),
    "half-open": lambda path: imported("nat-half-open", path),
    "failover": lambda _: analyse(Recording.open(DATA / "dr-failover")),
    "troubled": lambda _: build.troubled(),
    "long-watch": long_watch,
}


@pytest.fixture(scope="module", params=list(KINDS))
def shown(
    request: pytest.FixtureRequest, show: Show, tmp_path_factory: pytest.TempPathFactory
) -> Shown:
    """Each kind's page, opened once for all tests of it."""
    run = KINDS[request.param](tmp_path_factory.mktemp(request.param))
    return Shown(run, show(render_page(run)))


def test_nothing_is_asked_for_and_nothing_complains(shown: Shown) -> None:
    assert shown.seen.complaints == []
    assert [url.rpartition("/")[2] for url in shown.seen.requests] == ["page.html"]


def test_the_curves_are_those_of_the_analysis(shown: Shown) -> None:
    timeline = shown.run.timeline
    traces: dict[str, dict[str, Any]] = shown.seen.page.evaluate(TRACES, "timeline-chart")
    axis = max(name.rpartition(" ")[2] for name in traces)
    compared = 0
    for source, curves in (("polled", timeline.observed), ("predicted", timeline.predicted)):
        for curve in curves:
            drawn = traces.get(f"{curve.director} {curve.real_server}, {source} {axis}")
            if drawn is None:
                assert not curve.inactive.any()
                continue
            compared += 1
            assert np.nanmax(np.array(drawn["y"], dtype=np.float64)) == curve.inactive.max()
            x = np.array(drawn["x"][1:-1])  # rounded to 0.1 ms; the ends are held values
            low, high = (np.searchsorted(curve.t_s, x + d, side="right") for d in (-2e-4, 2e-4))
            for y, first, last in zip(drawn["y"][1:-1], low, high, strict=True):
                assert (
                    y is None
                    or np.isnan(y)
                    or y in curve.inactive[max(first - 1, 0) : max(last, 1)]
                )
    assert compared


def test_a_drag_zooms_every_chart_of_the_clock(shown: Shown) -> None:
    page = shown.seen.page
    layer = page.locator("#timeline-chart .nsewdrag").last
    layer.scroll_into_view_if_needed()
    box = layer.bounding_box()
    assert box is not None
    before = page.evaluate(RANGES)
    shown_now = f"JSON.stringify(({RANGES})())"
    at_first = page.evaluate(shown_now)
    all_alike = f"new Set(({RANGES})().map((range) => JSON.stringify(range))).size === 1"
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + box["height"] / 2, steps=4)
    page.mouse.up()
    assert eventually(page, f"{shown_now} !== '{at_first}' && {all_alike}")
    zoomed = page.evaluate(shown_now)
    after = json.loads(zoomed)
    wide = after[0][1] - after[0][0]
    assert wide == pytest.approx(0.3 * (before[0][1] - before[0][0]), rel=0.05)
    page.locator("button[data-clock=run]").first.click() if page.locator(
        "button[data-clock=run]"
    ).count() else page.evaluate(
        "(range) => Plotly.relayout('timeline-chart', {'xaxis.range': range})", before[0]
    )
    assert eventually(page, f"{shown_now} !== '{zoomed}' && {all_alike}")


def test_the_slider_chooses_one_value_and_the_rate_says_where_it_settles(shown: Shown) -> None:
    page = shown.seen.page
    tried = shown.run.pictures.tcpfin
    busiest = max(tried, key=lambda other: other.answer.peak_inactive).answer.director
    others = [other for other in tried if other.answer.director == busiest]
    slider, rate = page.locator("input[name=tcpfin]"), page.locator("input[name=rate]")
    rate.fill("1000")
    for number in (len(others) - 1, 0):
        slider.fill(str(number))
        chosen, text = others[number], page.locator(".choice output").inner_text()
        assert f"tcpfin = {chosen.tcpfin_s:g} s" in text
        assert f"peaks at {chosen.answer.peak_inactive:,}" in text
        settles = float(text.rpartition("about ")[2].rstrip(".").replace(",", ""))
        assert settles == pytest.approx(1000 * chosen.inactive_s, abs=1)
        own = next(other for other in others if other.is_own)
        names = {f"tcpfin = {other.tcpfin_s:g} s" for other in (chosen, own)}
        assert eventually(page, f"({VISIBLE})().length === {len(names)}")
        assert set(page.evaluate(VISIBLE)) == names


def test_the_lifetime_buttons_lead_to_the_timeout(shown: Shown) -> None:
    page = shown.seen.page
    for button in page.locator("button[data-clock=lifetimes]").all():
        button.click()
        low, high = page.evaluate("document.getElementById('lifetimes-chart').layout.xaxis.range")
        assert low == pytest.approx(float(button.get_attribute("data-start") or "nan"))
        assert high == pytest.approx(float(button.get_attribute("data-end") or "nan"))
        assert button.get_attribute("aria-pressed") == "true"


def test_every_chart_has_a_sentence_and_opens_its_data(shown: Shown) -> None:
    page = shown.seen.page
    for chart in page.locator("figure:has(.chart)").all():
        assert len(chart.locator("figcaption").inner_text()) > 20
        assert chart.locator(".chart").get_attribute("aria-label")
        data = chart.locator("details.data")
        if data.count():
            data.locator("summary").click()
            assert data.locator("tbody tr").first.is_visible()
            data.locator("summary").click()


def test_the_button_copies_the_document(shown: Shown) -> None:
    page = shown.seen.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("button[data-copy]").click()
    assert eventually(
        page, "document.querySelector('.copy [role=status]').textContent === 'copied'"
    )
    copied = json.loads(page.evaluate("navigator.clipboard.readText()"))
    assert copied["verdict"] == shown.run.verdict


@pytest.mark.parametrize("width", [400, 2000, 1000])
def test_no_text_is_cut_or_written_over_another(shown: Shown, width: int) -> None:
    page = shown.seen.page
    page.set_viewport_size({"width": width, "height": 900})
    page.reload()
    chromium.drawn(page)
    assert page.evaluate(OVERFLOW) == 0
    assert page.evaluate(CUT) == []
    assert page.evaluate(SIDEWAYS) == []
    assert page.evaluate(OVERLAPS) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_contrast_and_the_names_are_enough_for_every_reader(shown: Shown, scheme: Any) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = shown.seen.page
    page.emulate_media(color_scheme=scheme)
    page.wait_for_timeout(300)
    marks = {"exclude": [[".main-svg"]]}  # thousands of marks, and no text of ours but the titles
    found = Axe().run(
        page, marks, {"runOnly": ["wcag2a", "wcag2aa"], "resultTypes": ["violations"]}
    )
    violations = [
        (rule["id"], node["html"][:120], node["failureSummary"][:200])
        for rule in found.response["violations"]
        for node in rule["nodes"][:3]
    ]
    assert violations == []
