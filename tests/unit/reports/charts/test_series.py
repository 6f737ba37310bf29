"""Which curves a run has."""

from __future__ import annotations

from dataclasses import replace

from reports.charts.series import legend, series
from tests.unit.reports import builders_analysis as build


def test_one_real_server_has_no_sum_beside_it() -> None:
    run = build.demo()
    alone = replace(run.timeline, observed=run.timeline.observed[:1], predicted=())
    (only,) = series(replace(run, timeline=alone))
    assert only.label == "192.168.10.21:80"


def test_a_director_at_zero_is_one_quiet_series() -> None:
    backup = [item for item in series(build.demo()) if item.director == "bal02"]
    assert [(item.label, item.quiet) for item in backup] == [("0 throughout", True)]


def test_the_legend_groups_the_curves_by_director() -> None:
    groups = legend(series(build.demo()))
    assert {director: len(items) for director, items in groups.items()} == {"bal01": 3, "bal02": 1}
