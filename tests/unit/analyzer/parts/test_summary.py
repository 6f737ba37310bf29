"""What is asked of all values is the same in however many parts, and whatever order, they come."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.parts.summary import median_of, summary_of
from tests.unit.properties import examples

PARTS = st.lists(
    st.lists(st.floats(-1e6, 1e6) | st.sampled_from([0.25, 0.5]), max_size=8), max_size=5
)


@examples(30)
@given(parts=PARTS)
def test_a_summary_is_exact_and_the_same_in_any_parts_and_order(
    parts: list[list[float]],
) -> None:
    values = [value for part in parts for value in part]
    found = summary_of(np.array(part) for part in parts)
    assert found.n == len(values)
    if values:
        assert found.mean == pytest.approx(float(sum(map(Fraction, values)) / len(values)))
        assert (found.least, found.most) == (min(values), max(values))
        assert summary_of([np.sort(values)]) == found
        assert median_of(np.array(part) for part in parts) == np.median(values)


def test_of_no_value_nothing_is_known() -> None:
    nothing = np.zeros(0)
    for parts in ([], [nothing], [nothing, nothing]):
        found = summary_of(parts)
        assert found.n == 0
        assert all(map(math.isnan, (found.mean, found.least, found.most, median_of(parts))))


@pytest.mark.parametrize("strange", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_have_no_mean(strange: float) -> None:
    found = summary_of([np.array([1.0]), np.array([strange, 2.0])])
    assert found.n == 3
    assert math.isnan(found.mean)
    assert not (math.isfinite(found.least) and math.isfinite(found.most))
