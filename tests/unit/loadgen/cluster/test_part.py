"""A worker's rows in the clock of the host that ordered them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from analyzer.recording.tables import TABLES
from loadgen.cluster.part import INSTANTS, in_other_clock
from loadgen.load.engines.rows import NONE, WIDTH, Row

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


def test_every_instant_of_a_request_is_one_that_moves() -> None:
    schema = TABLES["requests"]

    assert {field.name for field in schema if pa.types.is_timestamp(field.type)} == set(INSTANTS)
