"""Runs side by side: on one clock, with what was set otherwise, and one sentence for all of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from analyzer.across_runs.compare import MOST_SETTINGS, burst_start_s, compare, held
from analyzer.recording.manifest import manifest_of
from analyzer.results import Estimate
from tests.unit.reports import builders_analysis as build

if TYPE_CHECKING:
    from analyzer.report import Analysis


def other(name: str = "runs/other", timeout_s: float = 10.0, **manifest: Any) -> Analysis:
    run = build.demo()
    group = replace(run.lifetimes[0], timeout_measured_s=Estimate(value=timeout_s, uncertainty=0.1))
    return replace(
        run, run=name, lifetimes=(group,), manifest=manifest_of({**run.manifest.raw, **manifest})
    )


def test_the_verdict_names_what_differs_and_by_how_much() -> None:
    verdict = compare([build.demo(), other()]).verdict
    assert verdict.startswith("Against 20251122T144000Z-burst: other differs in 1 of ")
    assert verdict.endswith("timeout(FIN_WAIT) 10.00 s (was 20.02 s).")


def test_a_run_like_the_first_is_said_to_show_no_difference() -> None:
    assert (
        "other shows no difference in the"
        in compare([build.demo(), other(timeout_s=20.02)]).verdict
    )


def test_each_later_run_is_compared_with_the_first() -> None:
    found = compare([build.demo(), other("a/b"), other("c/d", 5.0)])
    assert [run.name for run in found.runs] == ["20251122T144000Z-burst", "b", "d"]
    timeouts = [rows[0] for rows in found.against_first]
    assert [row.after for row in timeouts] == [10.0, 5.0]
    assert {row.before for row in timeouts} == {20.02}


def test_runs_of_one_name_are_distinguished() -> None:
    names = [run.name for run in compare([other("a/x"), other("b/x"), other("c/x/")]).runs]
    assert names == ["x", "x (2)", "x (3)"]


def test_curves_start_with_the_burst() -> None:
    run = build.demo()
    shifted = replace(
        run,
        timeline=replace(
            run.timeline,
            request_ended_s=run.timeline.request_ended_s + 7,
            observed=tuple(replace(c, t_s=c.t_s + 7) for c in run.timeline.observed),
        ),
    )
    assert burst_start_s(shifted) == pytest.approx(burst_start_s(run) + 7)
    for one, same in zip(
        held(run, run.timeline.observed), held(shifted, shifted.timeline.observed), strict=True
    ):
        assert one == pytest.approx(same)


def test_without_requests_the_first_syn_is_the_start() -> None:
    run = build.collected()
    assert burst_start_s(run) == pytest.approx(run.timeline.marks["SYN"].min())
    assert burst_start_s(build.nothing()) == 0.0


def test_the_sum_over_directors_holds_each_ones_last_value() -> None:
    run = build.demo()
    t_s, _, inactive = held(run, run.timeline.observed)
    assert inactive.max() == 50
    assert (np.diff(t_s) > 0).all()


def test_only_settings_that_differ_are_listed_and_none_that_always_do() -> None:
    plan = dict(build.MANIFEST["plan"]) | {"requests": 80}  # type: ignore[call-overload]
    found = compare([build.demo(), other(plan=plan, started_at_ns=5, ended="killed")])
    assert [(row.what, row.values) for row in found.settings] == [("plan.requests", ("50", "80"))]


def test_a_manifest_of_any_shape_is_bounded() -> None:
    deep: Any = "x" * 10_000
    for _ in range(50):
        deep = {"k" * 500: deep}
    wide = {f"key{i}": i for i in range(5000)}
    found = compare([build.demo(), other(deep=deep, wide=wide)]).settings
    assert len(found) == MOST_SETTINGS
    assert max(len(text) for row in found for text in (row.what, *row.values)) <= 200


@pytest.mark.parametrize("name", build.RUNS)
def test_any_run_can_stand_beside_any(name: str) -> None:
    assert compare([build.RUNS[name](), build.demo()]).verdict.endswith(".")
