"""The page of a history in a real browser: from disk, without a network, at three widths."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from analyzer.across_runs.history import Unreadable, history
from analyzer.across_runs.past_run import Value
from reports.across_runs.history import history_document
from reports.document.html import page_of as html_of
from tests.browser.chromium import OVERFLOW, SIDEWAYS
from tests.unit.analyzer.across_runs.test_history import run

if TYPE_CHECKING:
    from tests.browser.conftest import Show


def page_of(n: int) -> str:
    runs = [
        run(
            number,
            **{"timeout(FIN_WAIT)": Value(value=30.0 + 5 * (number > 6), unit="s", open=0.2)},
            connect_p99=Value(value=12.0 + number % 3, unit="ms"),
        )
        for number in range(n)
    ]
    found = history("runs/<b>" + "x" * 90, runs, [Unreadable(name="<i>y", why="no run.json")])
    return html_of(history_document(found))


@pytest.mark.parametrize("width", [400, 1000, 2000])
def test_it_draws_every_quantity_and_marks_the_change(show: Show, width: int) -> None:
    seen = show(page_of(12), width)
    page = seen.page
    assert seen.complaints == []
    assert page.evaluate(OVERFLOW) == 0
    assert page.evaluate(SIDEWAYS) == []
    assert page.inner_text("#verdict") == "12 runs: timeout(FIN_WAIT) changed beyond noise."
    assert page.locator("#trends-chart .scatterlayer .js-line").count() == 2
    assert page.locator("#trends-chart .scatterlayer .trace").count() == 3  # and one of marks
    assert "run-7" in page.inner_text("#changes")
    assert "<i>y" in page.inner_text("#unreadable")
