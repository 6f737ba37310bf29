"""Requests in bins, however long the run."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from loadgen.live.rates import FINEST_S, RequestRates
from loadgen.load.engines.rows import NONE, Row
from reports.charts.traffic import BINS

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
    rates = RequestRates(ZERO_NS)
    rates.add(block((0.1, False), (0.6, False), (0.7, True), (None, True)))
    counts = rates.counts()
    assert counts.edges_s.tolist() == [0, 0.25, 0.5, 0.75]
    assert counts.answered.tolist() == [1, 0, 1]
    assert counts.failed.tolist() == [0, 0, 1]


def test_before_the_first_request_there_is_one_empty_bin() -> None:
    counts = RequestRates(ZERO_NS).counts()
    assert counts.answered.tolist() == counts.failed.tolist() == [0]


@given(st.lists(st.tuples(st.floats(-5, 200_000), st.booleans()), max_size=60))
def test_bins_stay_few_and_lose_nothing(ended: list[tuple[float, bool]]) -> None:
    rates = RequestRates(ZERO_NS)
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


def test_the_rate_of_late_is_taken_up_to_now() -> None:
    """100 a second for 10 s, and nothing since."""
    rates = RequestRates(ZERO_NS)
    rates.add(block(*((0.005 + number / 100, False) for number in range(1000))))
    assert rates.now_per_s(10.0) == (100.0, 2.0)
    assert rates.now_per_s(11.0) == (50.0, 2.0)
    assert rates.now_per_s(34.0) is None


def test_few_requests_are_counted_over_a_longer_time_or_tell_no_rate() -> None:
    rates = RequestRates(ZERO_NS)
    rates.add(block(*((0.05 + number / 5, False) for number in range(60))))  # 5 a second for 12 s
    assert rates.now_per_s(12.0) == (5.0, 8.0)
    assert rates.now_per_s(4.0) is None  # 20 requests


def test_before_a_second_has_passed_there_is_no_rate() -> None:
    rates = RequestRates(ZERO_NS)
    rates.add(block(*((number / 1000, False) for number in range(500))))
    assert rates.now_per_s(0.5) is None
