"""Requests in bins, however long the run."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from loadgen.engines.rows import NONE, Row
from loadgen.live.rates import FINEST_S, Rates
from reports.traffic import BINS

ZERO_NS = 1_795_372_000_000_000_000
NS = 1_000_000_000


def block(*ended: tuple[float | None, bool]) -> np.ndarray:
    """Rows of requests: when each ended, and whether it failed."""
    rows = [
        Row(
            number=i,
            scheduled=ZERO_NS,
            ended=NONE if at_s is None else ZERO_NS + int(at_s * NS),
            error=0 if failed else NONE,
        )
        for i, (at_s, failed) in enumerate(ended)
    ]
    return np.array(rows, np.int64).reshape(-1, len(Row._fields))


def test_a_request_is_counted_where_it_ended() -> None:
    rates = Rates(ZERO_NS)
    rates.add(block((0.1, False), (0.6, False), (0.7, True), (None, True)))
    counts = rates.counts()
    assert counts.edges_s.tolist() == [0, 0.25, 0.5, 0.75]
    assert counts.answered.tolist() == [1, 0, 1]
    assert counts.failed.tolist() == [0, 0, 1]


def test_before_the_first_request_there_is_one_empty_bin() -> None:
    counts = Rates(ZERO_NS).counts()
    assert counts.answered.tolist() == counts.failed.tolist() == [0]


@given(st.lists(st.tuples(st.floats(-5, 200_000), st.booleans()), max_size=60))
def test_bins_stay_few_and_lose_nothing(ended: list[tuple[float, bool]]) -> None:
    rates = Rates(ZERO_NS)
    for one in ended:
        rates.add(block(one))
    counts = rates.counts()
    assert counts.failed.sum() == sum(failed for _, failed in ended)
    assert counts.answered.sum() + counts.failed.sum() == len(ended)
    assert len(counts.answered) <= 2 * BINS
    width_s = counts.edges_s[1]
    for at_s, failed in ended:
        bins = counts.failed if failed else counts.answered
        assert bins[int(int(max(at_s, 0) * NS) / NS / width_s)]
    assert np.log2(width_s / FINEST_S).is_integer()
