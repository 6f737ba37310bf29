"""The page of repeated fail-overs in a real browser: from disk, without a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.chromium import CUT, OVERFLOW, OVERLAPS, SIDEWAYS
from tests.unit.reports.failover.test_repeats import ODD, UNIFORM, page

if TYPE_CHECKING:
    from tests.browser.conftest import Show


@pytest.mark.parametrize("width", [400, 1400])
def test_outages_climb_beside_the_theory(show: Show, width: int) -> None:
    seen = show(page(UNIFORM), width)
    assert seen.complaints == []
    assert [url.rpartition("/")[2] for url in seen.requests] == ["page.html"]
    assert seen.page.evaluate(OVERFLOW) == 0
    assert seen.page.evaluate(CUT) == []
    assert seen.page.evaluate(SIDEWAYS) == []
    assert seen.page.evaluate(OVERLAPS) == []
    assert seen.page.locator("#repeats-chart .scatterlayer .point").count() == 20
    first = seen.page.locator("#runs tbody a").first
    assert (first.inner_text(), first.get_attribute("href")) == ("1", "run-001/report.html")


def test_a_run_that_fits_neither_is_seen_at_once(show: Show) -> None:
    found = show(page(ODD)).page
    assert "run 5 fits neither" in found.inner_text("#verdict")
    assert (
        found.evaluate(
            "document.querySelector('#repeats-chart').data.find(t => t.name === 'run')"
            ".marker.symbol.filter(s => s === 'x').length"
        )
        == 1
    )
