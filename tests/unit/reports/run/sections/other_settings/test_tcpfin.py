"""The slider's curves, and whether tcpfin matters."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from reports.run.sections.other_settings import tcpfin
from tests.unit.reports import builders_analysis as build
from tests.unit.reports.builders_figure import validated

if TYPE_CHECKING:
    from analyzer.report import Analysis


def figure(run: Analysis) -> Any:
    section = tcpfin.section(run)
    assert section is not None
    return validated(section.charts[0].figure)


def test_each_value_is_a_curve_and_the_one_in_force_is_solid() -> None:
    run = build.demo()
    dashes = {t.name: t.line.dash for t in figure(run).data}
    assert dashes == {
        "tcpfin = 10 s": "8px,4px",
        "tcpfin = 20 s": "solid",
        "tcpfin = 60 s": "8px,4px",
    }
    (line,) = [t for t in figure(run).data if t.name == "tcpfin = 60 s"]
    np.testing.assert_array_equal(line.y[1:], run.pictures.tcpfin[2].curve.inactive)


def test_the_slider_has_a_stop_for_each_curve() -> None:
    others = tcpfin.shown(build.demo())
    keys = {choice["key"] for choice in tcpfin.choices(others) if not choice["own"]}
    groups = {t.legendgroup for t in figure(build.demo()).data}
    assert groups == keys | {"was"}


def test_where_it_settles_is_rate_times_time_inactive() -> None:
    run = build.demo()
    table = tcpfin.table(tcpfin.shown(run), 100.0)
    assert table.columns[-1] == "settles at 100/s"
    for row, other in zip(table.rows, run.pictures.tcpfin, strict=True):
        assert row[-1] == round(100 * other.inactive_s)


@pytest.mark.parametrize(
    ("inactive_s", "said"),
    [
        ((10.3, 20.3, 60.3), "tcpfin matters here: with 20 s an entry on bal01 was inactive"),
        ((122.7, 122.7, 122.7), "tcpfin does not matter here: with any value"),
        ((0.0, 0.0, 0.0), "No entry on bal01 became inactive"),
    ],
)
def test_whether_it_matters_is_said(inactive_s: tuple[float, ...], said: str) -> None:
    others = [
        replace(other, inactive_s=value)
        for other, value in zip(build.demo().pictures.tcpfin, inactive_s, strict=True)
    ]
    assert tcpfin.verdict(others).startswith(said)


def test_the_rate_is_the_run_s_own() -> None:
    run = build.demo()
    load = replace(run.requests, sent=500, duration_s=5.0, rate_per_s=100.0)
    assert tcpfin.rate_per_s(replace(run, requests=load)) == 100
    shared = replace(load, connections=50)
    assert tcpfin.rate_per_s(replace(run, requests=shared)) == 10
    burst = replace(run.requests, sent=50, duration_s=0.045, rate_per_s=50 / 0.045)
    assert tcpfin.rate_per_s(replace(run, requests=burst)) is None
    watched = build.collected()
    assert tcpfin.rate_per_s(watched) is None  # fifty SYNs within 0.8 s
    at_s = 10 * watched.timeline.marks["SYN"]
    slower = replace(watched, timeline=replace(watched.timeline, marks={"SYN": at_s}))
    assert tcpfin.rate_per_s(slower) == pytest.approx(49 / (at_s[-1] - at_s[0]))
    assert tcpfin.rate_per_s(build.nothing()) is None


def test_without_packets_there_is_no_slider() -> None:
    assert tcpfin.section(build.without_capture()) is None
