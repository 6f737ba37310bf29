"""The page of a comparison: the same numbers as its document, and nothing from outside believed."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from analyzer.across_runs.compare import compare
from analyzer.across_runs.document import to_json
from reports.across_runs.comparison import comparison_document
from reports.document.html import page_of
from reports.document.model import Table
from reports.document.text import lines_of
from tests.unit.analyzer.across_runs.test_compare import other
from tests.unit.reports import builders_analysis as build
from tests.unit.reports.builders_figure import validated
from tests.unit.reports.document.builders_document import charts_of
from tests.unit.reports.run.test_page import HOSTILE, Outline, strings


def test_the_page_carries_the_document() -> None:
    found = compare([build.demo(), other()])
    page = Outline(page_of(comparison_document(found)))
    assert json.loads(page.texts["comparison"]) == json.loads(json.dumps(to_json(found)))
    assert page.texts["verdict"] == found.verdict


def test_what_differs_stands_first_and_is_marked_by_more_than_a_colour() -> None:
    (section,) = (
        one
        for one in comparison_document(compare([build.demo(), other()])).sections
        if one.id == "differences"
    )
    table = section.blocks[0]
    assert isinstance(table, Table)
    rows = table.rows
    assert rows[0][0] == "timeout(FIN_WAIT)"
    assert rows[0][5] == "▼ lower"
    assert [row[5] for row in rows[1:]].count("▼ lower") == 0


def test_each_run_is_a_link_to_its_page_where_there_is_one() -> None:
    found = compare([build.demo(), other()])
    name = found.runs[0].name
    html = page_of(comparison_document(found, {name: "a/report.html"}))
    links = [attrs["href"] for tag, attrs in Outline(html).elements if tag == "a"]
    assert links == ["a/report.html"]


def test_each_runs_curves_begin_at_the_burst() -> None:
    courses, latencies = charts_of(comparison_document(compare([build.demo(), other()])))
    counters = validated(courses.figure).data
    names = [trace.name for trace in counters]
    assert len(names) == 8  # two runs, two panels, polled and predicted
    assert {trace.line.dash for trace in counters} == {"solid", "8px,4px"}
    assert len(validated(latencies.figure).data) == 2


def test_the_terminal_says_what_the_page_says() -> None:
    found = compare([build.demo(), other()])
    lines = lines_of(comparison_document(found))
    assert lines[-1] == found.verdict
    (row,) = (line for line in lines if line.startswith("  timeout(FIN_WAIT)"))
    values = ["20.02", "s", "10.00", "s", "\N{MINUS SIGN}10.02", "s", "▼", "lower"]
    assert row.split()[1:] == values
    assert any(line.startswith("not known: ") for line in lines)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_adds_no_element_and_no_tag_to_a_chart(text: str) -> None:
    def shown(name: str) -> Outline:
        run = replace(build.hostile(name), run=f"runs/{name}")
        return Outline(page_of(comparison_document(compare([build.demo(), run]))))

    page = shown(text)
    assert page.shape() == shown("harmless").shape()
    figure = json.loads(page.texts["courses-chart-figure"])
    assert not any(
        "<" in string.replace("<br>", "").replace("<extra></extra>", "")
        for string in strings(figure)
    )


@pytest.mark.parametrize("name", build.RUNS)
def test_every_pair_of_runs_is_a_page(name: str) -> None:
    page = page_of(comparison_document(compare([build.RUNS[name](), build.RUNS[name]()])))
    assert len(page.encode()) < 6_000_000
