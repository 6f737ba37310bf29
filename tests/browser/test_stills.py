"""The machine's own browser draws every chart of a summary as a picture."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest

from loadgen.session.output.formats import write_markdown
from reports.export.markdown import charts_of
from tests.unit.reports import builders_analysis as build

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser


@pytest.mark.usefixtures("browser")  # none here: skipped, or failed in CI
def test_every_chart_of_the_summary_is_a_picture(tmp_path: Path) -> None:
    assert shutil.which("chromium") or shutil.which("chromium-browser")
    run = build.hostile("<b>&amp;</b>")
    assert write_markdown(run, tmp_path / "ticket.md") is None
    text = (tmp_path / "ticket.md").read_text("utf-8")
    for chart in charts_of(run):
        assert f"](ticket-charts/{chart.id}.svg)" in text
        root = ElementTree.parse(tmp_path / "ticket-charts" / f"{chart.id}.svg").getroot()
        drawn = [element for element in root.iter() if element.tag.endswith(("path", "rect"))]
        assert len(drawn) > 5
        assert root.get("width") == "900"


def test_a_picture_is_shown_by_a_browser(browser: Browser, tmp_path: Path) -> None:
    write_markdown(build.demo(), tmp_path / "ticket.md")
    page = browser.new_page()
    for file in sorted((tmp_path / "ticket-charts").iterdir()):
        page.goto(file.as_uri())
        box = page.locator("svg").first.bounding_box()
        assert box is not None
        assert box["width"] > 300
        assert box["height"] > 100
    page.close()
