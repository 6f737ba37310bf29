"""The histograms of the latencies carry the values of the Analysis."""

from __future__ import annotations

import pytest

from reports.run.sections import latency
from tests.unit.reports import builders_analysis as build
from tests.unit.reports.builders_figure import validated


def test_the_histograms_count_every_request() -> None:
    figure = validated(latency.latency(build.demo()))
    assert [(t.name, sum(t.y)) for t in figure.data] == [
        ("connect", 50),
        ("first byte", 50),
        ("total", 50),
    ]


def test_the_median_line_stands_at_the_median() -> None:
    run = build.demo()
    figure = validated(latency.latency(run))
    assert run.requests.connect_ms is not None
    line = figure.layout.shapes[0]
    assert 10**line.x0 == pytest.approx(run.requests.connect_ms.p50)


def test_no_request_draws_nothing() -> None:
    assert latency.latency(build.nothing()) is None
