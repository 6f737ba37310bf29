"""Questions that are asked of long arrays."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analyzer.arrays import distinct, first_of_runs, is_one_of

NUMBERS = st.integers(0, 40)


@given(st.lists(NUMBERS), st.lists(NUMBERS, max_size=20))
def test_which_numbers_are_known_however_many_are(values: list[int], known: list[int]) -> None:
    found = is_one_of(np.array(values, dtype=np.int64), known)
    assert found.tolist() == [value in known for value in values]


@given(st.lists(st.integers(-5, 5), max_size=30))
def test_each_number_is_there_once_in_order(numbers: list[int]) -> None:
    assert distinct(np.array(numbers, dtype=np.int64)).tolist() == sorted(set(numbers))


@given(st.lists(st.integers(0, 2), max_size=30))
def test_a_run_begins_where_a_value_differs_from_the_one_before(values: list[int]) -> None:
    begins = [at for at, value in enumerate(values) if at == 0 or values[at - 1] != value]
    assert first_of_runs(np.array(values, dtype=np.int8)).tolist() == begins
