"""Arithmetic on curves."""

from __future__ import annotations

import numpy as np
import pytest

from analyzer.charts.curves import Curve
from reports.charts import curves


def curve(t_s: list[float], inactive: list[int], active: list[int] | None = None) -> Curve:
    return Curve(
        director="bal01",
        real_server="a:80",
        t_s=np.array(t_s),
        active=np.array(active or [0] * len(t_s)),
        inactive=np.array(inactive),
    )


@pytest.mark.parametrize(
    ("t_s", "expected"),
    [
        ([0.0, 1.0, 2.0, 3.0], ()),  # regular
        ([0.0, 1.0, 2.0, 5.1, 6.1], ((2.0, 5.1),)),  # more than three medians
        ([0.0, 1.0, 2.0, 5.0, 6.0], ()),  # exactly three are not yet a gap
        ([0.0, 9.0], ()),  # two polls have no usual interval
        ([], ()),
    ],
)
def test_a_gap_is_a_spacing_of_more_than_three_medians(
    t_s: list[float], expected: tuple[tuple[float, float], ...]
) -> None:
    assert curves.gaps(np.array(t_s)) == expected


def test_a_gap_gets_a_nan_between_its_ends_and_every_point_stays() -> None:
    t_s, values = curves.with_gaps(np.array([0.0, 1, 2, 9, 10]), np.array([5, 5, 5, 1, 1]))
    np.testing.assert_array_equal(t_s, [0, 1, 2, 5.5, 9, 10])
    np.testing.assert_array_equal(values, [5, 5, 5, np.nan, 1, 1])


def test_polls_add_up_at_each_poll_and_an_absent_row_adds_nothing() -> None:
    total = curves.sum_of_polls([curve([0, 1, 2], [1, 2, 3]), curve([1, 2], [10, 20])])
    assert total.inactive.tolist() == [1, 12, 23]


def test_steps_add_up_with_each_curve_holding_its_last_value() -> None:
    total = curves.sum_of_steps([curve([0, 4], [1, 0]), curve([1, 2], [5, 7])])
    assert total.t_s.tolist() == [0, 1, 2, 4]
    assert total.inactive.tolist() == [1, 6, 8, 7]


def test_a_step_curve_starts_at_zero_and_holds_to_the_end() -> None:
    t_s, values = curves.held(np.array([1.0, 2.0]), np.array([4, 3]), start_s=0.0, end_s=9.0)
    assert (t_s.tolist(), values.tolist()) == ([0, 1, 2, 9], [0, 4, 3, 3])


def test_a_fall_is_described_with_its_steps() -> None:
    found = curves.fall(curve([0, 1, 2, 3, 4, 5], [0, 5, 5, 3, 0, 0]))
    expected = curves.Fall(peak=5, peak_s=2.0, first_s=3.0, empty_s=4.0, left=0, steps=2)
    assert found == expected


def test_what_is_left_at_the_end_is_no_fall_to_zero() -> None:
    found = curves.fall(curve([0, 1, 2], [5, 4, 4]))
    assert found is not None
    assert (found.empty_s, found.left) == (None, 4)


def test_a_curve_at_zero_has_no_fall() -> None:
    assert curves.fall(curve([0, 1], [0, 0])) is None
