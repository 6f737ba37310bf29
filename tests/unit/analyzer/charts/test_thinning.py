"""A thinned curve is short and keeps its extremes, its ends and its gaps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.charts.thinning import BINS, kept, lowest_and_highest
from analyzer.parts import InMemory

POINTS = 40


@given(st.lists(st.integers(-1000, 1000), max_size=POINTS))
def test_a_short_curve_is_kept_whole(values: list[int]) -> None:
    assert kept(np.array(values, dtype=np.float64), points=POINTS).tolist() == [*range(len(values))]


@given(
    st.lists(st.integers(-1000, 1000) | st.just(float("nan")), min_size=POINTS + 1, max_size=2000)
)
def test_a_long_one_keeps_its_extremes_ends_and_gaps(values: list[float]) -> None:
    curve = np.array(values, dtype=np.float64)
    chosen = kept(curve, points=POINTS)
    known, gaps = curve[~np.isnan(curve)], np.flatnonzero(np.isnan(curve))
    assert (np.diff(chosen) > 0).all()
    assert chosen.size <= max(POINTS, known.size if known.size <= POINTS else 0) + gaps.size + 2
    assert set(gaps) <= set(chosen.tolist())
    if known.size:
        left = curve[chosen]
        assert (np.nanmin(left), np.nanmax(left)) == (known.min(), known.max())


@pytest.mark.parametrize("n", [1_000, 1_000_000])
def test_first_and_last_stay(n: int) -> None:
    chosen = kept(np.sin(np.arange(n)), points=POINTS)
    assert (chosen[0], chosen[-1]) == (0, n - 1)


@pytest.mark.parametrize("size", [1, BINS, BINS + 1, 3 * BINS - 1])
def test_of_a_long_curve_the_extremes_of_each_bin_are_left(size: int) -> None:
    values = np.random.default_rng(size).integers(0, 100, size)
    places = lowest_and_highest(values, InMemory(part_rows=1000))
    assert (np.diff(places) > 0).all()
    assert (places[0], places[-1]) == (0, size - 1)
    width = -(-size // BINS)
    for first in range(0, size, 997 * width):
        inside = places[(places >= first) & (places < first + width)]
        lowest_to_highest = values[first : first + width]
        assert values[inside].min() == lowest_to_highest.min()
        assert values[inside].max() == lowest_to_highest.max()


def test_what_is_left_does_not_depend_on_the_parts() -> None:
    values = np.random.default_rng(1).integers(0, 100, 5 * BINS)
    few, many = (lowest_and_highest(values, InMemory(rows)) for rows in (10**6, 1000))
    assert few.tolist() == many.tolist()
