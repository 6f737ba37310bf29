"""The proof's page in a real browser: opened from disk, with no network, at two widths."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reports.capacity_proof import render_proof
from tests.unit.analyzer.capacity.experiments import as_computed

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser

OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.mark.parametrize("width", [400, 1000])
def test_measured_bars_stand_beside_computed_ones(
    browser: Browser, tmp_path: Path, width: int
) -> None:
    file = tmp_path / "proof.html"
    file.write_text(render_proof(as_computed()), encoding="utf-8")
    context = browser.new_context(viewport={"width": width, "height": 900}, offline=True)
    page, noise = context.new_page(), []
    page.on("console", lambda message: noise.append(message.text))
    page.on("pageerror", lambda error: noise.append(str(error)))
    page.goto(file.as_uri())
    page.wait_for_selector("html[data-drawn=yes]", timeout=10_000)
    assert noise == []
    assert page.evaluate(OVERFLOW) == 0
    names = page.evaluate("document.querySelector('#proof-chart').data.map(t => t.name)")
    assert names == ["computed", "measured"]
    assert page.locator("#losses tbody tr").count() == 2
    context.close()
