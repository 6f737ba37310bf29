"""The tails of the latencies as curves, as a table and in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from analyzer.client.latency import SynRetries, percentiles
from reports.run.percentiles import heat_chart, percentile_figure, rows, syn_sentences
from reports.run.sections.latency import latency, section
from tests.unit.reports import builders_analysis as build
from tests.unit.reports.builders_figure import validated


def test_each_nine_of_the_axis_takes_the_same_room() -> None:
    curves = percentiles("total", "send", np.arange(1.0, 100_001))
    assert curves is not None
    axis = validated(percentile_figure([curves])).layout.xaxis
    assert axis.ticktext == ("0", "50 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %")
    assert axis.tickvals[2:] == pytest.approx((1, 2, 3, 4, 5))


def test_the_curve_passes_through_the_percentiles_of_the_table() -> None:
    curves = percentiles("total", "send", np.arange(1.0, 10_001))
    assert curves is not None
    curve = validated(percentile_figure([curves])).data[0]
    at = {round(float(x), 6): 10**y for x, y in zip(curve.x, curve.y, strict=True)}
    assert at[4.0] == pytest.approx(curves.at[4])
    assert at[2.0] == pytest.approx(curves.at[2])


def test_latencies_from_the_send_and_from_the_due_time_are_two_curves() -> None:
    chart = section(build.demo()).charts[1]
    curves = validated(chart.figure).data
    names = [trace.name for trace in curves]
    assert names == ["connect", "first byte", "total", "total, from when it was due"]
    assert len({trace.line.dash for trace in curves}) == 4
    assert "sent up to 2.00 ms after they were due" in chart.caption


def test_what_fifty_requests_cannot_tell_is_said() -> None:
    curves = build.demo().pictures.latencies
    assert curves is not None
    assert [row[4:6] for row in rows(curves.percentiles)] == [("too few", "too few")] * 4


def test_retransmitted_syns_are_reported_with_the_rule_that_the_steps_show() -> None:
    found = SynRetries(steps=((1.0, 12), (3.0, 1)), usual_ms=1, other=2, rule="doubling", seen=13)
    (text,) = syn_sentences(found)
    assert text.startswith("12 connects took about 1 s and 1 connect took about 3 s: the SYN or")
    assert "it doubles the wait each time" in text
    assert "The capture has 13 connections with more than one SYN." in text
    assert text.endswith("2 connects took 0.9 s or more, unlike a SYN retransmission.")


def test_a_run_without_slow_connects_says_nothing_of_syns() -> None:
    none = SynRetries(steps=(), usual_ms=1, other=0, rule=None, seen=0)
    assert syn_sentences(none) == []


def test_a_repetition_is_marked_in_the_histogram_of_the_connects() -> None:
    figure = validated(latency(build.demo()))
    marked = [10**shape.x0 for shape in figure.layout.shapes if shape.yref == "y domain"]
    assert marked[-2:] == pytest.approx([1000, 3000])


def test_the_heat_map_and_its_table_hold_every_request() -> None:
    curves = build.demo().pictures.latencies
    assert curves is not None
    chart = heat_chart(curves.heat)
    assert chart is not None
    assert chart.table is not None
    assert np.sum(validated(chart.figure).data[0].customdata) == 50
    counts: list[Any] = [row[1] for row in chart.table.rows]
    assert sum(counts) == 50


def test_a_heat_map_without_requests_is_no_chart() -> None:
    assert heat_chart(None) is None
    assert len(section(build.collected()).charts) == 1
