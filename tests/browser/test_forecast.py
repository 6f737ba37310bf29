"""The forecast's page in a real browser: opened from disk, with no network, at three widths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import pytest

from analyzer.ipvs.states import Timeouts
from analyzer.lives import Question
from analyzer.model import forecast
from reports.forecast import render_forecast
from tests.browser.chromium import CUT, OVERFLOW

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

PLAIN = Question(rate_per_s=2000, timeouts=Timeouts(tcpfin_s=30))
MIXTURE = Question(
    rate_per_s=500,
    close={"client": 70, "server": 20, "reset": 5, "half": 5},
    hold_s=3,
    forwarding="nat",
    arrivals="poisson",
)
LONG = Question(rate_per_s=2e6, duration_s=21600, close={"never": 1}, hz=300, forwarding="tun")


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Iterator[Callable[..., tuple[Page, list[str]]]]:
    """Opens a question's page; the page, and all that it complained about or asked for."""
    contexts: list[Any] = []

    def open_page(
        question: Question, width: int = 1000, scheme: Literal["light", "dark"] = "light"
    ) -> tuple[Page, list[str]]:
        file = tmp_path / "forecast.html"
        file.write_text(render_forecast(forecast(question)), encoding="utf-8")
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
        )
        contexts.append(context)
        page, noise = context.new_page(), []
        page.on("console", lambda message: noise.append(message.text))
        page.on("pageerror", lambda error: noise.append(str(error)))
        page.on("request", lambda request: noise.append(request.url))
        page.goto(file.as_uri())
        page.wait_for_selector("html[data-drawn=yes]", timeout=10_000)
        return page, noise

    yield open_page
    for context in contexts:
        context.close()


def test_it_opens_from_disk_and_draws_both_counters(
    opened: Callable[..., tuple[Page, list[str]]],
) -> None:
    page, noise = opened(PLAIN)
    assert page.inner_text("#verdict").startswith("At 2,000 connections/s InActConn settles")
    assert [text.rpartition("/")[2] for text in noise] == ["forecast.html"]
    assert page.locator("#course .scatterlayer .js-line").count() == 2
    stairs = page.locator("#course .xy2 .js-line").bounding_box()
    assert stairs is not None
    assert stairs["width"] > 700
    assert stairs["height"] > 180


@pytest.mark.parametrize("width", [400, 1000, 2000])
@pytest.mark.parametrize("question", [PLAIN, MIXTURE, LONG], ids=["plain", "mixture", "long"])
def test_nothing_is_wider_than_the_window(
    opened: Callable[..., tuple[Page, list[str]]], question: Question, width: int
) -> None:
    page, _ = opened(question, width)
    assert page.evaluate(OVERFLOW) == 0
    assert page.evaluate(CUT) == []


def test_the_colours_follow_the_reader(opened: Callable[..., tuple[Page, list[str]]]) -> None:
    colours = []
    for scheme in ("light", "dark"):
        page, _ = opened(PLAIN, 1000, scheme)
        colours.append(page.evaluate("document.querySelector('#course .js-line').style.stroke"))
    assert colours[0] != colours[1]
