"""A Forecast's page and its lines say what the model says, and the page is one safe file."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import Any

import numpy as np
import pytest

from analyzer.forecast import wording as said
from analyzer.forecast.document import to_json
from analyzer.forecast.lifetimes import Question
from analyzer.forecast.model import Forecast, forecast
from analyzer.ipvs.states import Timeouts
from reports.document.html import page_of
from reports.document.text import lines_of
from reports.forecast.chart import occupancy
from reports.forecast.document import forecast_document
from tests.unit.reports.builders_figure import validated
from tests.unit.reports.document.builders_document import charts_of

QUESTIONS: dict[str, Question] = {
    "plain": Question(rate_per_s=2000, timeouts=Timeouts(tcpfin_s=30)),
    "mixture": Question(
        rate_per_s=500,
        close={"client": 70, "server": 20, "reset": 5, "half": 5},
        hold_s=3,
        forwarding="nat",
        timeouts=Timeouts(tcpfin_s=15),
        arrivals="poisson",
    ),
    "short": Question(rate_per_s=2, duration_s=10, close={"abandon": 1}, arrivals="poisson"),
    "idle": Question(rate_per_s=20, hold_s=3600, forwarding="tun", hz=1000),
    "long": Question(rate_per_s=2e6, duration_s=21600, close={"never": 1}, hz=300, sources=5000),
    "udp": Question(rate_per_s=0.5, protocol="udp"),
    "local": Question(rate_per_s=1 / 3, forwarding="local", duration_s=0.001),
}


def lines_of_forecast(found: Forecast) -> list[str]:
    return lines_of(forecast_document(found))


@pytest.fixture(params=QUESTIONS)
def found(request: pytest.FixtureRequest) -> Forecast:
    return forecast(QUESTIONS[request.param])


def test_the_lines_fit_a_terminal_and_begin_with_the_verdict(found: Forecast) -> None:
    lines = lines_of_forecast(found)
    assert max(map(len, lines)) <= 100
    assert all(line.isascii() for line in lines)
    assert " ".join(lines).startswith(said.verdict(found)[:60])
    assert not any("e+" in line for line in lines)


def test_the_lines_hold_the_numbers() -> None:
    text = "\n".join(lines_of_forecast(forecast(QUESTIONS["plain"])))
    for piece in ("62,048", "60,000", "64,096", "881/s", "471/s", "20.5 MB", "15.6", "Debian"):
        assert piece in text
    assert "warning port-budget:" in text


def test_the_spread_of_random_arrivals_is_a_column() -> None:
    assert any("random +-" in line for line in lines_of_forecast(forecast(QUESTIONS["mixture"])))
    assert not any("random" in line for line in lines_of_forecast(forecast(QUESTIONS["plain"])))


def test_the_page_is_one_safe_file(found: Forecast) -> None:
    html = page_of(forecast_document(found))
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', html)
    allowed = set(re.findall(r"'sha256-([^']*)'", policy.replace("&#39;", "'")))
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digests = (hashlib.sha256(script.encode()).digest() for script in scripts)
    assert {base64.b64encode(digest).decode() for digest in digests} == allowed
    outside = re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)
    assert not re.search(r"<[^>]*\s(src|href|action)=", outside)
    assert len(html) < 3_000_000


def test_the_page_carries_the_document_and_every_finding(found: Forecast) -> None:
    html = page_of(forecast_document(found))
    (document,) = re.findall(r'id="forecast">(.*?)</script>', html)
    assert json.loads(document) == json.loads(json.dumps(to_json(found)))
    for finding in said.findings(found):
        assert f'id="finding-{finding.id}"' in html


def line(figure: Any, name: str) -> Any:
    (trace,) = [trace for trace in figure.data if trace.name == name]
    return trace


def test_the_chart_draws_the_course() -> None:
    found = forecast(QUESTIONS["plain"])
    figure = validated(occupancy(found))
    np.testing.assert_array_equal(line(figure, "inactive").x, found.series.t_s)
    np.testing.assert_array_equal(line(figure, "inactive").y, found.series.inactive)
    assert line(figure, "inactive").yaxis == "y2"
    texts = [note.text for note in figure.layout.annotations]
    assert "60,000 to 64,096" in texts
    assert "ActiveConn: 0 throughout" in texts
    (end,) = figure.layout.shapes
    assert end.x0 == found.duration_s


def test_random_arrivals_are_a_shaded_band() -> None:
    figure = validated(occupancy(forecast(QUESTIONS["mixture"])))
    low, high, expected = (
        np.asarray(trace.y) for trace in figure.data if trace.yaxis == "y" and trace.mode == "lines"
    )
    assert (low <= expected).all()
    np.testing.assert_allclose(high - expected, 2 * np.sqrt(expected))
    assert not [
        t for t in validated(occupancy(forecast(QUESTIONS["plain"]))).data if t.name == "high"
    ]


@pytest.mark.parametrize(("name", "unit"), [("plain", "seconds"), ("long", "hours")])
def test_the_axis_is_in_a_unit_that_fits(name: str, unit: str) -> None:
    figure = validated(occupancy(forecast(QUESTIONS[name])))
    assert figure.layout.xaxis.title.text == f"{unit} since the load began"
    assert figure.layout.xaxis.range[1] < 2000


def test_every_question_can_be_drawn(found: Forecast) -> None:
    assert {trace.type for trace in validated(occupancy(found)).data} == {"scatter"}
    (chart,) = charts_of(forecast_document(found))
    assert len(chart.caption) > 100
