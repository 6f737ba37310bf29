"""Entries by state: the areas are the counts of the analysis."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from analyzer.charts.values import StateSeries
from reports.run.sections.entries import states
from tests.unit.reports import builders_analysis as build
from tests.unit.reports.builders_figure import validated

if TYPE_CHECKING:
    from analyzer.report import Analysis


def figure(run: Analysis) -> Any:
    section = states.section(run)
    assert section is not None
    return validated(section.charts[0].figure)


def with_course(**more: Any) -> Analysis:
    run = build.demo()
    facts: dict[str, Any] = {"director": "bal01", "source": "observed"}
    course = StateSeries(**{**facts, **more})
    return replace(run, pictures=replace(run.pictures, states=(course,)))


def test_each_state_is_an_area_of_its_counts() -> None:
    run = build.demo()
    for number, course in enumerate(run.pictures.states):
        areas = [t for t in figure(run).data if t.stackgroup == f"stack-{number}"]
        assert [t.name for t in areas] == ["FIN_WAIT", "ESTABLISHED"]
        np.testing.assert_array_equal(areas[0].y, course.counts["FIN_WAIT"])
        np.testing.assert_allclose(areas[0].x, course.t_s, atol=1e-4)


def test_no_two_states_look_alike() -> None:
    assert len(set(states.STATES.values())) == len(states.STATES)
    patterns = [pattern for _, pattern in states.STATES.values()]
    assert len(set(patterns)) >= len(patterns) - 1  # udp stands alone


def test_an_area_is_empty_where_nobody_looked() -> None:
    t_s = np.concatenate([np.arange(0, 5, 0.5), np.arange(12, 20, 0.5)])
    area = figure(with_course(t_s=t_s, counts={"FIN_WAIT": np.full(t_s.size, 9)})).data[0]
    inside = (area.x > 4.6) & (area.x < 11.9)
    np.testing.assert_array_equal(area.y[(area.x > 4.5) & (area.x < 12)], [0])
    assert not inside.any()


def test_a_state_that_is_not_known_is_drawn_too() -> None:
    t_s = np.arange(3.0)
    counts = {"NEWER": np.array([1, 2, 1]), "FIN_WAIT": np.array([0, 0, 0])}
    run = with_course(t_s=t_s, counts=counts)
    assert [t.name for t in figure(run).data] == ["NEWER"]
    assert "2 in NEWER" in states.caption(states.shown(run))


def test_a_run_without_entries_has_no_section() -> None:
    assert states.section(build.nothing()) is None
    idle = with_course(t_s=np.arange(3.0), counts={"FIN_WAIT": np.zeros(3, dtype=np.int64)})
    assert states.section(idle) is None


def test_the_table_has_the_highest_of_each_part() -> None:
    section = states.section(build.demo())
    assert section is not None
    table = section.charts[0].table
    assert table is not None
    column = table.columns.index("bal01: FIN_WAIT predicted")
    assert max(cell for row in table.rows if isinstance(cell := row[column], int)) == 50
