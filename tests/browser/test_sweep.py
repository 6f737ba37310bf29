"""The page of a sweep in a real browser: from disk, without a network, narrow and wide."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from analyzer.analysis import analyse
from analyzer.recording.directory import Recording
from analyzer.recording.manifest import manifest_of
from analyzer.sweep.points import sweep_of
from reports.document.html import page_of
from reports.sweep.document import sweep_document
from tests.browser.chromium import CUT, OVERFLOW, OVERLAPS, SIDEWAYS
from tests.unit.analyzer.sweep.test_sweep import forwarded

if TYPE_CHECKING:
    from analyzer.report import Analysis
    from tests.browser.conftest import Show

BURST = Path(__file__).parents[1] / "data" / "dr-burst-50"


@pytest.fixture(scope="module")
def burst() -> Analysis:
    """A burst of 50 under tcpfin 20, which says how it closed."""
    found = analyse(Recording.open(BURST))
    return replace(
        found, manifest=manifest_of({**found.manifest.raw, "plan": {"close": {"client": 1.0}}})
    )


@pytest.mark.parametrize(("width", "scheme"), [(400, "light"), (1400, "dark")])
def test_the_points_are_drawn_and_the_knee_is_named_in_words(
    show: Show, burst: Analysis, width: int, scheme: Literal["light", "dark"]
) -> None:
    runs = [(s, replace(burst, run=f"runs/tcpfin-{s}")) for s in (15, 20, 60)]
    seen = show(page_of(sweep_document(sweep_of("runs/<b>" + "x" * 90, runs), runs)), width, scheme)
    page = seen.page
    assert seen.complaints == []
    assert len(seen.requests) == 1
    assert page.inner_text("#verdict").split("\n") == [
        "15 s is enough for these clients:",
        "of tcpfin 15, 20, 60 s, entry lifetimes differ at 15, 60 s",
    ]
    assert page.inner_text("#knee p:first-of-type").startswith("The knee: 15 s is the smallest")
    assert page.locator("#sweep-chart .points path").count() == 9  # of three panels
    assert page.locator("#sweep-chart .annotation-text", has_text="knee 15 s").count() == 1
    assert page.evaluate(OVERFLOW) == 0
    assert page.evaluate(CUT) == []
    assert page.evaluate(SIDEWAYS) == []
    assert page.evaluate(OVERLAPS) == []


@pytest.mark.parametrize("width", [400, 1400])
def test_several_ways_of_forwarding_have_each_their_marks_and_a_legend(
    show: Show, burst: Analysis, width: int
) -> None:
    nat = forwarded(burst, "nat", state="TIME_WAIT", timeout_name="fixed")
    runs = [(20.0, forwarded(burst, "dr")), (20.0, nat), (20.0, forwarded(burst, "tun"))]
    seen = show(page_of(sweep_document(sweep_of("runs/ways", runs), runs)), width)
    page = seen.page
    assert seen.complaints == []
    for way in ("dr", "nat", "tun"):
        assert page.locator("#sweep-chart .legendtext", has_text=f"{way}, measured").count() == 1
    assert "in nat tcpfin governed nothing" in page.inner_text("#verdict")
    assert page.evaluate(OVERFLOW) == 0
    assert page.evaluate(CUT) == []
    assert page.evaluate(SIDEWAYS) == []
    assert page.evaluate(OVERLAPS) == []
