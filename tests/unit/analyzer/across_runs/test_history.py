"""Runs one after the other: a change is marked where it is beyond noise, and only there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.across_runs.history import Unreadable, history, median_distance
from analyzer.across_runs.past_run import PastRun, RunRow, Value
from analyzer.documents import to_json
from tests.unit.properties import examples

if TYPE_CHECKING:
    import random


def run(number: int, load: str = "a", /, **values: Value) -> PastRun:
    row = RunRow(name=f"run-{number}", started_at_ns=number, verdict="")
    return PastRun(row=row, load=load, values=values)


def marked(runs: list[PastRun]) -> list[tuple[str, str]]:
    (trend,) = history("runs", runs).trends
    return [(point.run, point.change) for point in trend.points if point.change]


def timeouts(*values_s: float) -> list[PastRun]:
    return [
        run(number, **{"timeout(FIN_WAIT)": Value(value=value, unit="s", open=0.2)})
        for number, value in enumerate(values_s)
    ]


def latencies(*values_ms: float) -> list[PastRun]:
    return [run(n, connect_p99=Value(value=ms, unit="ms")) for n, ms in enumerate(values_ms)]


def test_a_timeout_changes_beyond_both_uncertainties_and_only_where_it_does() -> None:
    assert marked(timeouts(30.0, 30.3, 30.1, 28.4, 28.5, 30.0)) == [
        ("run-3", "lower"),
        ("run-5", "higher"),
    ]


def test_failures_change_beyond_chance() -> None:
    runs = [run(n, failed=Value(value=x, unit="", whole=1000)) for n, x in enumerate((0, 1, 0, 25))]
    assert marked(runs) == [("run-3", "higher")]


def test_a_latency_needs_four_runs_before_it_and_then_their_spread() -> None:
    assert marked(latencies(10, 300)) == []
    assert marked(latencies(10, 12, 11, 10, 300, 300)) == [("run-4", "higher")]
    assert marked(latencies(10, 60, 20, 45, 90)) == []  # as noisy as ever


def test_an_outlier_hides_neither_its_return_nor_the_next_one() -> None:
    calm = [10.0, 12, 11, 10, 11]
    assert marked(latencies(*calm, 300, 11, 500)) == [("run-5", "higher"), ("run-7", "higher")]
    stays = marked(latencies(*calm, 300, 310, 305, 300, 302, 10))
    assert stays == [("run-5", "higher"), ("run-10", "lower")]


def test_another_load_begins_anew_but_not_for_timeouts() -> None:
    calm = [run(n, inactive_peak=Value(value=50, unit="")) for n in range(5)]
    assert marked([*calm, run(5, "b", inactive_peak=Value(value=5000, unit=""))]) == []
    assert marked([*calm, run(5, inactive_peak=Value(value=5000, unit=""))]) == [
        ("run-5", "higher")
    ]
    before, after = timeouts(30.0, 10.0)
    assert marked([before, replace(after, load="b")]) == [("run-1", "lower")]


@given(st.lists(st.floats(29.9, 30.1), min_size=1, max_size=20), st.randoms())
def test_what_lies_within_its_uncertainty_never_changes_in_any_order(
    values_s: list[float], chance: random.Random
) -> None:
    runs = timeouts(*values_s)
    shuffled = chance.sample(runs, len(runs))
    assert marked(shuffled) == []
    assert [one.name for one in history("runs", shuffled).runs] == [one.row.name for one in runs]


def test_the_document_says_what_changed_and_what_could_not_be_read() -> None:
    found = to_json(
        history("runs", timeouts(30.0, 10.0), [Unreadable(name="broken", why="no run.json")])
    )
    (trend,) = found["trends"]
    assert trend["unit"] == "s"
    assert [point["change"] for point in trend["points"]] == [None, "lower"]
    assert found["unreadable"] == [{"name": "broken", "why": "no run.json"}]


@examples(30)
@given(st.lists(st.floats(0, 100) | st.integers(0, 5).map(float), min_size=1), st.floats(0, 100))
def test_the_median_distance_is_that_of_all_values(values: list[float], centre: float) -> None:
    ordered = sorted(values)
    assert median_distance(ordered, centre) == np.median(np.abs(np.array(ordered) - centre))
    assert median_distance(ordered, ordered[0]) == np.median(np.array(ordered) - ordered[0])


@pytest.mark.parametrize("runs", [500, 2000])
def test_a_run_after_many_is_compared_without_looking_at_them_all(runs: int) -> None:
    looks = 0

    class Counted(list[float]):
        def __getitem__(self, place: Any) -> Any:
            nonlocal looks
            looks += 1
            return super().__getitem__(place)

    ordered = Counted(map(float, range(runs)))
    assert median_distance(ordered, runs / 2) == pytest.approx(runs / 4, abs=1)
    assert looks < 100
