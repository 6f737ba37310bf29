"""What has become of a burst so far."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.load.engines.rows import NONE, Row
from loadgen.load.engines.tally import Tally

SECOND = 10**9
TEXTS = ["connection refused", "HTTP 503"]


def rows(*each: Row) -> np.ndarray:
    return np.array(each, np.int64)


def request(number: int, at_s: float, late_s: float = 0, error: int = NONE) -> Row:
    due = SECOND + round(at_s * SECOND)
    return Row(number=number, scheduled=due, started=due + round(late_s * SECOND), error=error)


def test_counts_errors_rate_and_the_latest() -> None:
    tally = Tally()
    tally.add(rows(request(0, 0), request(1, 0.5, 0.2, error=1)), TEXTS)
    tally.add(rows(request(2, 1, error=1), request(3, 2, error=0)), TEXTS)
    assert (tally.ended, tally.failed) == (4, 3)
    assert dict(tally.errors) == {"HTTP 503": 2, "connection refused": 1}
    assert tally.rate_per_s == pytest.approx(2)
    assert tally.latest_ns == 200_000_000


def test_a_redirect_that_was_followed_has_not_ended_its_request() -> None:
    hop = request(0, 0)._replace(followed=1)
    tally = Tally()
    tally.add(rows(hop, hop, request(0, 1)), TEXTS)
    assert (tally.ended, tally.failed) == (1, 0)


def test_before_anything_was_begun_there_is_no_rate() -> None:
    tally = Tally()
    tally.add(rows(Row(number=0, scheduled=1, error=0)), TEXTS)
    assert tally.rate_per_s is None


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=40), st.integers(1, 39))
def test_the_blocks_do_not_matter(instants: list[int], cut: int) -> None:
    each = [request(number, at_s) for number, at_s in enumerate(instants)]
    whole, cut_up = Tally(), Tally()
    whole.add(rows(*each), TEXTS)
    for part in (each[:cut], each[cut:]):
        if part:
            cut_up.add(rows(*part), TEXTS)
    assert vars(whole) == vars(cut_up)
