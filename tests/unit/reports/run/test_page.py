"""The page is one safe file that says what the Analysis says."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plotly.offline import get_plotlyjs_version

from analyzer.recording.manifest import Manifest, manifest_of
from analyzer.report import to_json
from reports.run import page
from reports.run.section import DataTable
from reports.run.sections import sections
from tests.unit.reports import builders_analysis as build

HOSTILE = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "</style><img src=x onerror=alert(1)>",
    "\"><svg onload='alert(1)'>",
    '\'><a href="javascript:alert(1)">x</a>',
    "{{ 7 * 7 }}{% raw %}",
    "<!--<script>",
    "%{x} & &lt;b&gt; \u2028\x00\x1b[2J",
    "half a character \ud800",
]


class Outline(HTMLParser):
    """What a browser would see: elements with their attributes, and the text of some."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self._open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open = [dict(attrs).get("id") or tag]

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts[self._open[0]] = self.texts.get(self._open[0], "") + data

    def handle_endtag(self, tag: str) -> None:
        self._open = []

    def shape(self) -> list[tuple[str, tuple[str, ...]]]:
        """Elements and the names of their attributes."""
        return [(tag, tuple(attrs)) for tag, attrs in self.elements]


def outline(analysis: Any) -> Outline:
    return Outline(page.render_page(analysis))


@cache
def html_of(name: str) -> str:
    """The page of a kind of run."""
    return page.render_page(build.RUNS[name]())


@cache
def outline_of(name: str) -> Outline:
    return Outline(html_of(name))


@cache
def hostile_outline(text: str) -> Outline:
    return outline(build.hostile(text))


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_in_every_field_adds_no_element_and_no_attribute(text: str) -> None:
    assert hostile_outline(text).shape() == hostile_outline("harmless").shape()


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_does_not_reach_a_figure_as_a_tag(text: str) -> None:
    for name in ("timeline-chart-figure", "latency-chart-figure"):
        figure = json.loads(hostile_outline(text).texts[name])
        assert not re.search(r"<(?!br>|extra>|/extra>)", "".join(strings(figure)))


def strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [s for item in value.values() for s in strings(item)]
    if isinstance(value, list):
        return [s for item in value for s in strings(item)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize("name", build.RUNS)
def test_the_page_asks_for_nothing_outside_itself(name: str) -> None:
    for tag, attributes in outline_of(name).elements:
        assert not {"src", "action", "srcset", "data"} & set(attributes), tag
    css = page.text_of("templates/page.css")
    assert "url(" not in css
    assert "@import" not in css


def test_the_policy_lets_only_our_two_scripts_run() -> None:
    html = html_of("demo")
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', html)
    policy = policy.replace("&#39;", "'")
    allowed = set(re.findall(r"'sha256-([^']*)'", policy))
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digests = (hashlib.sha256(script.encode()).digest() for script in scripts)
    assert {base64.b64encode(digest).decode() for digest in digests} == allowed
    assert policy.startswith("default-src 'none';")
    assert "unsafe-eval" not in policy


@pytest.mark.parametrize("name", build.RUNS)
def test_every_kind_of_run_is_a_page_of_less_than_6_mb(name: str) -> None:
    assert len(html_of(name).encode()) < 6_000_000
    assert outline_of(name).texts["title"] == build.RUNS[name]().verdict


def test_the_page_carries_the_document_of_the_contract() -> None:
    document = json.loads(outline_of("demo").texts["analysis"])
    assert document == json.loads(json.dumps(to_json(build.demo())))


def test_numbers_that_json_cannot_say_are_null() -> None:
    run = replace(build.demo(), timings_s={"read": float("nan"), "total": np.float64("inf")})
    document = json.loads(outline(run).texts["analysis"])
    assert document["timings_s"] == {"read": None, "total": None}


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("without-directors", "no --director was given"),
        ("without-capture", "CAP_NET_RAW is missing"),
        ("collected", "this run sent no requests"),
        ("all-failed", "no request got that far"),
        ("nothing", "no director was polled"),
    ],
)
def test_what_was_not_measured_is_said_with_its_reason(name: str, sentence: str) -> None:
    html = html_of(name)
    assert "not measured" in html
    assert sentence in html


def test_findings_stand_in_the_order_of_their_severity() -> None:
    order = [finding.severity for finding in page.by_severity(build.troubled().findings)]
    assert order == ["problem", "warning", "info", "info"]


def test_the_legend_has_a_box_for_each_series() -> None:
    boxes = [a["data-series"] for t, a in outline_of("demo").elements if "data-series" in a]
    assert boxes == ["series-0", "series-1", "series-2", "series-3"]


@pytest.mark.parametrize(
    "manifest",
    [
        {},
        {"a": None, "b": [], "c": {}},
        {"deep": {"deeper": [{"x": [1, [2, {"y": True}]]}]}},
        {1: 2, "float": float("nan"), "bytes": b"x", "many": list(range(1000))},
        {"command_line": None},
    ],
)
def test_a_manifest_of_any_shape_is_shown(manifest: dict[Any, Any]) -> None:
    assert page.render_page(replace(build.demo(), manifest=Manifest(raw=manifest)))


def test_the_command_line_is_shown_as_it_was_typed() -> None:
    run = replace(
        build.demo(), manifest=manifest_of({"command_line": ["loadgen", "burst", "-H", "a b"]})
    )
    assert "loadgen burst -H &#39;a b&#39;" in page.render_page(run)


def test_the_vendored_plotly_is_the_one_that_the_package_is_made_for() -> None:
    vendored = files("reports").joinpath("vendor/plotly-cartesian.min.js").read_text("utf-8")
    assert f"v{get_plotlyjs_version()}\n" in vendored[:200]
    digest = hashlib.sha256(vendored.encode()).hexdigest()
    assert digest in files("reports").joinpath("vendor/README.md").read_text("utf-8")


def test_the_page_offers_no_upload() -> None:
    script = page.text_of("templates/page.js")
    assert "showSendToCloud: false" in script
    assert 'plotlyServerURL: ""' in script


def test_every_finding_is_shown_in_one_section() -> None:
    shown = page.anchors(sections(build.demo()))
    text = (Path(__file__).parents[4] / "docs" / "findings.md").read_text("utf-8")
    assert set(shown) == set(re.findall(r"^\| `([a-z-]+)` \|", text, re.M))


def test_a_finding_links_to_what_shows_it() -> None:
    seen = outline_of("demo")
    assert {"#lifetimes-chart"} == {a["href"] for tag, a in seen.elements if tag == "a"}
    assert "lifetimes-chart" in {a.get("id") for _, a in seen.elements}


@pytest.mark.parametrize("name", build.RUNS)
def test_every_anchor_is_there_once(name: str) -> None:
    ids = [a["id"] for _, a in outline_of(name).elements if "id" in a]
    assert len(ids) == len(set(ids))


def test_the_data_of_a_chart_is_a_table() -> None:
    table = DataTable(columns=("at", "InActConn"), rows=((0.5, 1200), ("<b>", None)), note="all")
    parts: Any = page.environment().get_template("parts.html").make_module()
    html = parts.data(table)
    assert '<th scope="row">0.5</th><td class="n">1,200</td>' in html
    assert "&lt;b&gt;" in html
    assert "not measured" in html
