"""The capacity page in a real browser: opened from disk, with no network, at three widths."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from analyzer.capacity.planner import plan_capacity
from analyzer.capacity.question import CapacityQuestion
from reports.capacity import render_capacity

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser

OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
G = 10**9


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of three directors and 1.5 Gbit/s."""
    question = CapacityQuestion(
        hosts=3,
        failures=1,
        link_bps=Fraction(G),
        ingress_bps=Fraction(3 * G, 2),
        utilisation=Fraction(4, 5),
    )
    file = tmp_path_factory.mktemp("capacity") / "capacity.html"
    file.write_text(render_capacity(plan_capacity(question, lambda: 60.0)), encoding="utf-8")
    return file


@pytest.mark.parametrize("width", [400, 1000, 2000])
def test_three_and_six_vips_stand_against_the_link(
    browser: Browser, page_file: Path, width: int
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, offline=True)
    page, noise = context.new_page(), []
    page.on("console", lambda message: noise.append(message.text))
    page.on("pageerror", lambda error: noise.append(str(error)))
    page.goto(page_file.as_uri())
    page.wait_for_selector("html[data-drawn=yes]", timeout=10_000)
    assert noise == []
    assert page.inner_text("#verdict").startswith("Use 6 VIPs")
    assert page.evaluate(OVERFLOW) == 0
    carried = page.evaluate("document.querySelector('#loads-chart').data.map(t => t.y)")
    three, six = carried[:3], carried[3:]
    assert max(max(map(float, bars)) for bars in three) == 1.0
    assert max(max(map(float, bars)) for bars in six) == 0.75
    titles = page.locator("#loads-chart .annotation-text").all_text_contents()
    assert sum("VIPs: average load" in title for title in titles) == 2
    context.close()
