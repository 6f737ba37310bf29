"""Pictures of charts: what a browser dumped is read, and nothing that could act is let through."""

from __future__ import annotations

from html import escape
from xml.etree import ElementTree

import pytest

from reports.export.markdown import charts_of
from reports.export.stills import is_picture, read_stills, render_stills, sequence_diagram_svg
from reports.run.sections.traces import sentence
from tests.unit.reports import builders_analysis as build
from tests.unit.reports.run.test_page import HOSTILE, Outline

PLAIN = '<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0"/></svg>'


def test_the_pictures_are_read_from_the_dumped_page() -> None:
    dumped = f'<html><pre id="a-chart" data-width="900">{escape(PLAIN)}</pre><pre id="b"></pre>'
    assert read_stills(dumped) == {"a-chart": PLAIN}


@pytest.mark.parametrize(
    "inside",
    [
        "<script>alert(1)</script>",
        '<path onload="alert(1)"/>',
        '<a href="http://evil/"><path/></a>',
        '<image href="http://evil/x.png"/>',
        '<image xmlns:xlink="http://www.w3.org/1999/xlink" xlink:href="javascript:alert(1)"/>',
        "<foreignObject/>",
        "<path",
        "<!-- -->",
    ],
)
def test_what_could_do_more_than_be_looked_at_is_no_picture(inside: str) -> None:
    assert is_picture(PLAIN)
    assert not is_picture(PLAIN.replace('<path d="M0 0"/>', inside))


def test_entities_are_not_expanded() -> None:
    bomb = '<!DOCTYPE svg [<!ENTITY a "aaaa">]>' + PLAIN.replace('<path d="M0 0"/>', "&a;")
    assert not is_picture(bomb)


def test_the_page_for_the_browser_has_each_chart_once_and_its_own_script() -> None:
    charts = charts_of(build.demo())
    html = render_stills(charts)
    page = Outline(html)
    asked = [dict(attrs)["id"] for tag, attrs in page.elements if tag == "pre"]
    assert asked == [chart.id for chart in charts]
    assert "Plotly.toImage" in html
    assert "default-src &#39;none&#39;" in html


@pytest.mark.parametrize("text", HOSTILE)
def test_the_page_for_the_browser_is_as_safe_as_the_report(text: str) -> None:
    shapes = [
        Outline(render_stills(charts_of(build.hostile(name)))).shape()
        for name in (text, "harmless")
    ]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("text", ["", *HOSTILE[:7]])
def test_a_ladder_is_a_picture_without_any_browser(text: str) -> None:
    trace = build.hostile(text).traces[0]
    drawn = sequence_diagram_svg(trace, sentence(trace))
    assert is_picture(drawn)
    words = [element.text for element in ElementTree.fromstring(drawn).iter() if element.text]
    assert "client" in words
    assert "--ink:#1c2126" in drawn
