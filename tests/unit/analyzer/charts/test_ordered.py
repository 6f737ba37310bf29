"""Order statistics in runs are what numpy finds in the whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.charts import ordered
from analyzer.charts.ordered import Ordered
from tests.unit.properties import examples

VALUES = st.floats(-1e9, 1e9) | st.sampled_from([0.0, -0.0, 0.25, 1.5])
RUNS = st.lists(st.lists(VALUES, min_size=1, max_size=9), min_size=1, max_size=4)


def in_runs(runs: list[list[float]]) -> Ordered:
    return Ordered.of_runs(np.sort(np.array(run)) for run in runs)


@examples(30)
@given(RUNS, st.sampled_from([0, 50, 90, 99, 99.9, 100]), st.sampled_from([0, 5, 1 << 20]))
def test_ranks_and_percentiles_are_those_of_all_values_together(
    runs: list[list[float]], percent: float, collected: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ordered, "_COLLECTED", collected)
        assert_as_together(runs, percent)


def assert_as_together(runs: list[list[float]], percent: float) -> None:
    found, values = in_runs(runs), np.sort(np.concatenate([np.array(run) for run in runs]))
    assert found.at(range(len(values))).tolist() == values.tolist()
    assert found.higher(percent) == [np.percentile(values, percent, method="higher")]
    assert found.quantile(percent / 100) == np.quantile(values, percent / 100)
    assert (found.least, found.largest) == (values[0], values[-1])


@examples(30)
@given(RUNS, VALUES)
def test_values_below_a_limit_are_counted_without_the_limit(
    runs: list[list[float]], limit: float
) -> None:
    assert in_runs(runs).below(limit) == sum(value < limit for run in runs for value in run)


def test_values_above_a_limit_are_without_the_limit() -> None:
    found = in_runs([[0.0, 1.0], [-1.0], [2.0, 0.0]]).above(0)
    assert [run.tolist() for run in found.each_run()] == [[1], [2]]


def test_ranks_are_given_in_any_order_and_more_than_once() -> None:
    assert in_runs([[3.0], [1.0], [2.0]]).at([2, 0, 2]).tolist() == [3, 1, 3]


def test_what_is_not_known_has_no_rank() -> None:
    found = Ordered.of(np.array([np.nan, 2.0, np.inf, 1.0]))
    assert len(found) == 2
    assert found.at([0, 1]).tolist() == [1, 2]
    assert not len(Ordered.of(np.array([np.nan])))


def test_a_minus_zero_is_a_zero() -> None:
    assert in_runs([[-0.0], [-0.0]]).at([0]).tolist() == [0]
    assert not np.signbit(in_runs([[-1.0], [0.0]]).at([1])).any()


def test_values_around_zero_keep_their_places(monkeypatch: pytest.MonkeyPatch) -> None:
    found = in_runs([[-1e-300, -0.0, 0.0, 1e-300], [0.0, 2e-300]])
    for collected in range(6):
        monkeypatch.setattr(ordered, "_COLLECTED", collected)
        assert found.at(range(6)).tolist() == [-1e-300, 0, 0, 0, 1e-300, 2e-300]


def test_no_rank_has_no_value() -> None:
    assert in_runs([[1.0], [2.0]]).at([]).tolist() == []
    with pytest.raises(IndexError):
        in_runs([[1.0]]).at([1])
