"""The order in which a replay takes packets."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analyzer.ipvs.flow_steps import flow_steps


@given(st.lists(st.integers(1, 5), max_size=6))
def test_every_packet_comes_once_and_each_flow_in_order(lengths: list[int]) -> None:
    flow = np.repeat(np.arange(len(lengths)), lengths)
    starts = np.cumsum([0, *lengths])[:-1].astype(np.int64)
    steps = list(flow_steps(starts, len(flow)))
    assert len(steps) == max(lengths, default=0)
    for number, (slots, rows) in enumerate(steps):
        assert (flow[rows] == slots).all()
        assert (rows == starts[slots] + number).all()
        assert len(set(slots.tolist())) == len(slots)
    taken = np.concatenate([rows for _, rows in steps]) if steps else np.zeros(0)
    assert sorted(taken.tolist()) == list(range(len(flow)))
