"""The page of a history in a real browser: from disk, without a network, at three widths."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from analyzer.history import Value, history
from reports.history import render_history
from tests.unit.analyzer.test_history import run

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser

OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def page_of(n: int) -> str:
    runs = [
        run(
            number,
            **{"timeout(FIN_WAIT)": Value(value=30.0 + 5 * (number > 6), unit="s", open=0.2)},
            connect_p99=Value(value=12.0 + number % 3, unit="ms"),
        )
        for number in range(n)
    ]
    return render_history(history("runs/<b>" + "x" * 90, runs, [("<i>y", "no run.json")]))


@pytest.mark.parametrize("width", [400, 1000, 2000])
def test_it_draws_every_quantity_and_marks_the_change(
    browser: Browser, tmp_path: Path, width: int
) -> None:
    (tmp_path / "history.html").write_text(page_of(12), encoding="utf-8")
    context = browser.new_context(viewport={"width": width, "height": 900}, offline=True)
    page, noise = context.new_page(), list[str]()
    page.on("console", lambda message: noise.append(message.text))
    page.on("pageerror", lambda error: noise.append(str(error)))
    page.goto((tmp_path / "history.html").as_uri())
    page.wait_for_selector("html[data-drawn=yes]", timeout=10_000)
    assert noise == []
    assert page.evaluate(OVERFLOW) == 0
    assert page.inner_text("#verdict") == "12 runs: timeout(FIN_WAIT) changed beyond noise."
    assert page.locator("#trends-chart .scatterlayer .js-line").count() == 2
    assert page.locator("#trends-chart .scatterlayer .trace").count() == 3  # and one of marks
    assert "run-7" in page.inner_text("#changes")
    assert "<i>y" in page.inner_text("#unreadable")
    context.close()
