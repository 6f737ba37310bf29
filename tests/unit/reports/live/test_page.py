"""The page of a run that is on, and its news."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import numpy as np
import pytest

from analyzer.charts.curves import Curve
from analyzer.charts.values import StateSeries
from analyzer.report import Timeline
from analyzer.results import Event, Finding
from reports.charts.wording import Headline
from reports.live.page import PARTS, LiveRun, RequestCounts, live_page, news
from reports.run.page import MAX_TEXT
from reports.run.section import DataTable
from tests.unit.reports.run.test_page import HOSTILE, Outline, strings

NOTHING = np.empty(0)
POLLS_S = np.r_[np.arange(0, 10, 0.25), np.arange(20, 30, 0.25)]


def live_run(text: str = "bal01", **changed: Any) -> LiveRun:
    """Two polled minutes with a gap, whose every name is a text of somebody else's."""
    counts = np.arange(POLLS_S.size)
    values: dict[str, Any] = {
        "title": text,
        "clock": text,
        "timeline": Timeline(
            zero_ns=0,
            end_s=30.0,
            request_ended_s=NOTHING,
            request_failed=np.empty(0, np.bool_),
            connect_ms=NOTHING,
            first_byte_ms=NOTHING,
            total_ms=NOTHING,
            marks={},
            observed=(
                Curve(
                    director=text,
                    real_server=text,
                    t_s=POLLS_S,
                    active=np.ones_like(counts),
                    inactive=counts,
                ),
            ),
            predicted=(),
            events=(Event(t_s=5.0, host=text, kind="link-lost", detail=text),),
            peaks=(),
        ),
        "low_s": 0.0,
        "requests": RequestCounts(
            edges_s=np.array([0, 0.25, 0.5]), answered=np.array([3, 4]), failed=np.array([0, 1])
        ),
        "courses": (
            StateSeries(director=text, source="observed", t_s=POLLS_S, counts={text: counts}),
        ),
        "headlines": (Headline(label="InActConn now", value=text, detail=text),),
        "findings": (
            Finding(id="director-lost", severity="problem", title=text, evidence=text, advice=""),
        ),
        "servers": DataTable(columns=("real server", "director"), rows=[(text, text)]),
        "note": text,
    }
    return LiveRun(**values | changed)


def values(array: Any) -> list[float | None]:
    """An array of a figure; plotly writes those of numpy as bytes. NaN is None."""
    if isinstance(array, dict):
        raw = base64.b64decode(array["bdata"])
        array = np.frombuffer(raw, array["dtype"]).astype(float).tolist()
    return [None if value is None or value != value else value for value in array]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_adds_no_element_to_the_page_or_its_news(text: str) -> None:
    assert Outline(live_page(live_run(text))).shape() == Outline(live_page(live_run("x"))).shape()
    parts = json.loads(news(live_run(text)))["parts"]
    harmless = json.loads(news(live_run("x")))["parts"]
    assert {name: Outline(html).shape() for name, html in parts.items()} == {
        name: Outline(html).shape() for name, html in harmless.items()
    }


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_does_not_reach_a_figure_as_a_tag(text: str) -> None:
    for figure in json.loads(news(live_run(text)))["figures"].values():
        assert not re.search(r"<(?!br>|extra>|/extra>)", "".join(strings(figure)))


def test_news_are_one_line_with_every_part_of_the_page() -> None:
    text = news(live_run())
    assert "\n" not in text
    document = json.loads(text)
    assert tuple(document["parts"]) == PARTS
    page = Outline(live_page(live_run()))
    ids = {attributes.get("id") for _, attributes in page.elements}
    assert set(PARTS) | set(document["figures"]) | {"said"} <= ids
    assert document["captions"].keys() == document["figures"].keys()


def test_long_parts_are_whole_and_long_texts_are_cut() -> None:
    rows = [(f"10.0.{number // 250}.{number % 250}", "bal01") for number in range(1000)]
    servers = DataTable(columns=("real server", "director"), rows=rows)
    parts = json.loads(news(live_run(servers=servers, note="x" * 100_000)))["parts"]
    assert any("10.0.3.249" in html for html in parts.values())
    assert sum(html.count("x" * 900) for html in parts.values()) == 1
    assert not any("x" * MAX_TEXT in html for html in parts.values())


def test_the_page_may_ask_its_own_address_and_nothing_else() -> None:
    policy = next(
        attributes["content"]
        for tag, attributes in Outline(live_page(live_run())).elements
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    assert "default-src 'none'" in policy
    assert "connect-src 'self';" in policy
    assert policy.count("'sha256-") == 3
    assert "unsafe-eval" not in policy


def test_a_gap_in_polling_stays_a_gap() -> None:
    figure = json.loads(news(live_run()))["figures"]["timeline-chart"]
    (inactive,) = [
        trace for trace in figure["data"] if trace["yaxis"] == "y3" and "polled" in trace["name"]
    ]
    assert values(inactive["y"]).count(None) == 1
    bands = [shape for shape in figure["layout"]["shapes"] if shape["type"] == "rect"]
    assert {(band["x0"], band["x1"]) for band in bands} >= {(9.75, 20.0)}


def test_requests_are_bars_with_the_failed_ones_hatched() -> None:
    figure = json.loads(news(live_run()))["figures"]["timeline-chart"]
    bars = {trace["name"]: values(trace["y"]) for trace in figure["data"] if trace["type"] == "bar"}
    assert bars == {"answered": [3, 4], "failed": [1]}


def test_a_run_of_which_nothing_is_known_has_its_charts_all_the_same() -> None:
    empty = live_run().timeline
    blank = Timeline(
        **{name: getattr(empty, name) for name in empty.__slots__} | {"observed": (), "events": ()}
    )
    unread = StateSeries(director="bal01", source="observed", t_s=np.empty(0), counts={})
    run = live_run(timeline=blank, requests=None, courses=(unread,), findings=(), servers=None)
    document = json.loads(news(run))
    assert set(document["figures"]) == {"timeline-chart", "states-chart"}
    assert document["figures"]["states-chart"]["data"][0]["y"] == [None]
    assert document["captions"]["states-chart"] == "No entry has been polled so far."
    alone = json.loads(news(live_run(timeline=blank, courses=(), servers=None)))
    assert set(alone["figures"]) == {"timeline-chart"}


def test_where_old_polls_are_not_kept_the_axis_begins_later_and_that_is_said() -> None:
    document = json.loads(news(live_run(low_s=5.0)))
    low, high = document["figures"]["timeline-chart"]["layout"]["xaxis"]["range"]
    assert 4 < low < 5 < 30 < high
    assert "the report has all of them" in document["captions"]["timeline-chart"]
