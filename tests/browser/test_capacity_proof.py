"""The proof's page in a real browser: opened from disk, with no network, at two widths."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reports.capacity.proof import proof_document
from reports.document.html import page_of
from tests.browser.chromium import OVERFLOW, SIDEWAYS
from tests.unit.analyzer.capacity.builders_experiment import as_computed

if TYPE_CHECKING:
    from tests.browser.conftest import Show


@pytest.mark.parametrize("width", [400, 1000])
def test_measured_bars_stand_beside_computed_ones(show: Show, width: int) -> None:
    seen = show(page_of(proof_document(as_computed())), width)
    page = seen.page
    assert seen.complaints == []
    assert page.evaluate(OVERFLOW) == 0
    assert page.evaluate(SIDEWAYS) == []
    names = page.evaluate("document.querySelector('#proof-chart').data.map(t => t.name)")
    assert names == ["computed", "measured"]
    assert page.locator("#losses tbody tr").count() == 2
