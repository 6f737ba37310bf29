"""Questions that are asked of long arrays."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analyzer.arrays import is_one_of

NUMBERS = st.integers(0, 40)


@given(st.lists(NUMBERS), st.lists(NUMBERS, max_size=20))
def test_which_numbers_are_known_however_many_are(values: list[int], known: list[int]) -> None:
    found = is_one_of(np.array(values, dtype=np.int64), known)
    assert found.tolist() == [value in known for value in values]
