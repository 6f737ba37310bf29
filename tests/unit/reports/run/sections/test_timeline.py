"""The timeline carries the values of the Analysis."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from analyzer.charts.curves import Curve
from analyzer.results import Event
from reports.charts import marks, traffic
from reports.charts.series import series
from reports.run.sections import sections, timeline
from tests.unit.reports import builders_analysis as build
from tests.unit.reports.builders_figure import validated

if TYPE_CHECKING:
    from analyzer.report import Analysis


def drawn(analysis: Analysis) -> Any:
    return validated(timeline.timeline(analysis.timeline, series(analysis)))


def trace(figure: Any, name: str, axis: str) -> Any:
    (found,) = [t for t in figure.data if t.name == name and t.yaxis == axis]
    return found


def test_every_polled_value_is_a_point() -> None:
    run = build.demo()
    for server in run.timeline.observed[:2]:
        for axis, values in (("y3", server.active), ("y4", server.inactive)):
            points = trace(drawn(run), f"bal01 {server.real_server}, polled", axis)
            np.testing.assert_allclose(points.x, server.t_s, atol=1e-4)
            np.testing.assert_array_equal(points.y, values)
            assert points.mode == "markers"


def test_every_predicted_change_is_a_step() -> None:
    run = build.demo()
    for server in run.timeline.predicted:
        line = trace(drawn(run), f"bal01 {server.real_server}, predicted", "y4")
        assert line.line.shape == "hv"
        np.testing.assert_allclose(line.x[1:-1], server.t_s, atol=1e-4)
        np.testing.assert_array_equal(line.y[1:-1], server.inactive)
        assert (line.x[0], line.x[-1]) == (0.0, run.timeline.end_s)


def test_the_real_servers_of_a_director_are_added_up() -> None:
    points = trace(drawn(build.demo()), "bal01 all real servers, polled", "y4")
    assert points.y.max() == 50


def test_a_gap_in_polling_stays_a_gap_and_is_shaded() -> None:
    run = build.troubled()
    figure = drawn(run)
    points = trace(figure, "bal01 192.168.10.21:80, polled", "y4")
    assert np.isnan(points.y).sum() == 1
    assert points.connectgaps is False
    (band,) = [shape for shape in figure.layout.shapes if "no polls" in shape.name]
    assert band.x0 < 6.0
    assert band.x1 > 9.5
    assert band.name == "no polls of bal01"


def test_what_lasted_between_two_events_is_a_band() -> None:
    run = build.troubled()
    figure = drawn(run)
    (fault,) = [shape for shape in figure.layout.shapes if shape.name == "link-down of bal01"]
    assert (fault.type, fault.x0) == ("rect", 5.5)
    assert fault.x1 > run.timeline.end_s  # nothing ended it


def test_requests_are_counted_in_bars_and_failures_apart() -> None:
    run = build.troubled()
    well, badly = (t for t in drawn(run).data if t.type == "bar")
    assert (sum(well.y), sum(badly.y)) == (43, 7)
    assert badly.marker.pattern.shape


@pytest.mark.parametrize("flag", ["SYN", "FIN"])
def test_the_area_under_a_rate_is_the_number_of_packets(flag: str) -> None:
    run = build.demo()
    rate = trace(drawn(run), flag, "y2")
    area = np.sum(np.diff(rate.x) * rate.y[:-1])
    assert area == pytest.approx(run.timeline.marks[flag].size)


def test_a_packet_of_another_age_does_not_make_a_bin_for_every_moment_between() -> None:
    run = build.demo()
    strange = {**run.timeline.marks, "SYN": np.array([-1.7e9, 0.1, 1.7e9])}
    panel = traffic.packets(replace(run.timeline, marks=strange))
    assert panel is not None
    assert all(len(trace["x"]) <= 2 * traffic.BINS for trace in panel.traces)


def test_kinds_of_packets_differ_by_their_dash_and_the_title_names_it() -> None:
    figure = drawn(build.troubled())
    lines = {t.name: t.line.dash for t in figure.data if t.yaxis == "y2"}
    assert len(set(lines.values())) == len(lines) == 3
    (title,) = [n.text for n in figure.layout.annotations if n.text.startswith("Packets per s")]
    assert title.endswith("50 SYN (solid), 50 FIN (dashed), 7 RST (dotted)")


def test_all_panels_share_one_time_axis() -> None:
    assert {t.xaxis for t in drawn(build.demo()).data} == {"x"}


def test_events_are_lines_and_their_numbers_never_overlap() -> None:
    figure = drawn(build.troubled())
    lines = [shape.x0 for shape in figure.layout.shapes if shape.type == "line"]
    assert lines == [5.5, 5.6, 5.75, 6.0, 9.5]
    texts = [note.text for note in figure.layout.annotations]
    assert [text for text in texts if text[0].isdigit()] == ["1-4", "5"]


def test_a_thousand_events_leave_few_numbers() -> None:
    events = [Event(t_s=i / 100, host="h", kind="k", detail="") for i in range(1000)]
    assert len(marks.clusters(events, width_s=10)) <= 29


def test_without_prediction_the_polls_are_joined() -> None:
    points = trace(drawn(build.without_capture()), "bal01 192.168.10.21:80, polled", "y3")
    assert points.mode == "lines+markers"


def test_a_long_watch_is_thinned_and_keeps_its_peak() -> None:
    run = build.demo()
    t_s = np.arange(30_000, dtype=np.float64) * 0.25
    inactive = np.zeros(30_000, dtype=np.int64)
    inactive[12_345] = 7
    long = Curve(director="d", real_server="r", t_s=t_s, active=inactive, inactive=inactive)
    figure = drawn(replace(run, timeline=replace(run.timeline, observed=(long,), predicted=())))
    points = trace(figure, "d r, polled", "y4")
    assert len(points.x) <= timeline.MOST + 2
    assert max(points.y) == 7


def test_of_many_marks_those_of_the_shape_always_stand() -> None:
    t_s = np.arange(30_000, dtype=np.float64) * 0.25
    inactive = np.zeros(30_000, dtype=np.int64)
    inactive[12_345] = 7
    long = Curve(director="d", real_server="r", t_s=t_s, active=inactive, inactive=inactive)
    curves = replace(build.demo().timeline, observed=(long,), predicted=(long,))
    figure = drawn(replace(build.demo(), timeline=curves))
    shape, more = (trace(figure, f"d r, {name}", "y4") for name in ("polled", "more polls"))
    assert shape.marker.maxdisplayed == 0
    assert len(shape.x) <= timeline.MARKS + 2
    assert max(shape.y) == 7
    assert more.marker.maxdisplayed == timeline.BETWEEN
    assert not set(shape.x) & set(more.x)


@pytest.mark.parametrize("name", build.RUNS)
def test_every_kind_of_run_can_be_drawn(name: str) -> None:
    run = build.RUNS[name]()
    for figure in (chart.figure for section in sections(run) for chart in section.charts):
        if figure is not None:
            assert {t.type for t in validated(figure).data} <= {
                "scatter",
                "bar",
                "heatmap",
            }  # vendored


def test_nothing_recorded_draws_nothing() -> None:
    run = build.nothing()
    assert timeline.timeline(run.timeline, series(run)) is None


def test_no_polls_leave_the_counters_out() -> None:
    figure = drawn(build.without_directors())
    assert {t.yaxis for t in figure.data} == {"y", "y2"}


def test_requests_that_never_ended_are_no_bars_at_zero() -> None:
    (bars,) = (t for t in drawn(build.all_failed()).data if t.type == "bar")
    assert (bars.name, sum(bars.y)) == ("failed", 25)
