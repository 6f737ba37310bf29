"""A worker's rows in the clock of the host that ordered them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from loadgen.cluster.part import in_other_clock
from loadgen.load.engines.rows import INSTANTS, NONE, WIDTH, Row

INSTANT = [name in INSTANTS for name in Row._fields]


@given(
    st.integers(-(10**13), 10**13),
    st.lists(st.integers(-1, 2 * 10**18), min_size=WIDTH, max_size=WIDTH),
)
def test_known_instants_move_and_nothing_else_does(ahead_ns: int, values: list[int]) -> None:
    rows = np.array([values], np.int64)
    rows.flags.writeable = False

    (moved,) = in_other_clock(rows, ahead_ns).tolist()

    expected = [
        value - ahead_ns if is_instant and value != NONE else value
        for value, is_instant in zip(values, INSTANT, strict=True)
    ]
    assert moved == expected
