"""The capacity page in a real browser: opened from disk, with no network, at three widths."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from analyzer.capacity.planner import plan_capacity
from analyzer.capacity.question import CapacityQuestion
from reports.capacity.plan import capacity_document
from reports.document.html import page_of
from tests.browser.chromium import OVERFLOW, SIDEWAYS

if TYPE_CHECKING:
    from tests.browser.conftest import Show

G = 10**9


@pytest.fixture(scope="module")
def html() -> str:
    """The page of three directors and 1.5 Gbit/s."""
    question = CapacityQuestion(
        hosts=3,
        failures=1,
        link_bps=Fraction(G),
        ingress_bps=Fraction(3 * G, 2),
        utilisation=Fraction(4, 5),
    )
    return page_of(capacity_document(plan_capacity(question, lambda: 60.0)))


@pytest.mark.parametrize("width", [400, 1000, 2000])
def test_three_and_six_vips_stand_against_the_link(show: Show, html: str, width: int) -> None:
    seen = show(html, width)
    page = seen.page
    assert seen.complaints == []
    assert page.inner_text("#verdict").startswith("Use 6 VIPs")
    assert page.evaluate(OVERFLOW) == 0
    assert page.evaluate(SIDEWAYS) == []
    carried = page.evaluate("document.querySelector('#loads-chart').data.map(t => t.y)")
    three, six = carried[:3], carried[3:]
    assert max(max(map(float, bars)) for bars in three) == 1.0
    assert max(max(map(float, bars)) for bars in six) == 0.75
    titles = page.locator("#loads-chart .annotation-text").all_text_contents()
    assert sum("VIPs: average load" in title for title in titles) == 2
