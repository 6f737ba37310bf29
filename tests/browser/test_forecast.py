"""The forecast's page in a real browser: opened from disk, with no network, at three widths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest

from analyzer.forecast.lifetimes import Question
from analyzer.forecast.model import forecast
from analyzer.ipvs.states import Timeouts
from reports.document.html import page_of as html_of
from reports.forecast.document import forecast_document
from tests.browser.chromium import CUT, OVERFLOW, SIDEWAYS

if TYPE_CHECKING:
    from tests.browser.conftest import Show

PLAIN = Question(rate_per_s=2000, timeouts=Timeouts(tcpfin_s=30))
MIXTURE = Question(
    rate_per_s=500,
    close={"client": 70, "server": 20, "reset": 5, "half": 5},
    hold_s=3,
    forwarding="nat",
    arrivals="poisson",
)
LONG = Question(rate_per_s=2e6, duration_s=21600, close={"never": 1}, hz=300, forwarding="tun")


def page_of(question: Question) -> str:
    return html_of(forecast_document(forecast(question)))


def test_it_opens_from_disk_and_draws_both_counters(show: Show) -> None:
    seen = show(page_of(PLAIN))
    page = seen.page
    assert page.inner_text("#verdict").startswith("At 2,000 connections/s InActConn settles")
    assert seen.complaints == []
    assert [url.rpartition("/")[2] for url in seen.requests] == ["page.html"]
    assert page.locator("#course .scatterlayer .js-line").count() == 2
    stairs = page.locator("#course .xy2 .js-line").bounding_box()
    assert stairs is not None
    assert stairs["width"] > 700
    assert stairs["height"] > 180


@pytest.mark.parametrize("width", [400, 1000, 2000])
@pytest.mark.parametrize("question", [PLAIN, MIXTURE, LONG], ids=["plain", "mixture", "long"])
def test_nothing_is_wider_than_the_window(show: Show, question: Question, width: int) -> None:
    page = show(page_of(question), width).page
    assert page.evaluate(OVERFLOW) == 0
    assert page.evaluate(SIDEWAYS) == []
    assert page.evaluate(CUT) == []


def test_the_colours_follow_the_reader(show: Show) -> None:
    colours = []
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for scheme in schemes:
        page = show(page_of(PLAIN), 1000, scheme).page
        colours.append(page.evaluate("document.querySelector('#course .js-line').style.stroke"))
    assert colours[0] != colours[1]
