"""What has become of a burst so far, and how it reads while it goes on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.burst.progress import burst_note, decay_note
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
    assert burst_note(tally, None) == "1, 1 connection refused"


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=40), st.integers(1, 39))
def test_the_blocks_do_not_matter(instants: list[int], cut: int) -> None:
    each = [request(number, at_s) for number, at_s in enumerate(instants)]
    whole, cut_up = Tally(), Tally()
    whole.add(rows(*each), TEXTS)
    for part in (each[:cut], each[cut:]):
        if part:
            cut_up.add(rows(*part), TEXTS)
    assert vars(whole) == vars(cut_up)


def test_the_line_of_a_burst_has_its_rate_its_commonest_errors_and_inactconn() -> None:
    tally = Tally()
    tally.add(rows(*(request(n, n / 1000, error=n % 2) for n in range(2001))), TEXTS)
    shown = burst_note(tally, 1234)
    assert shown.startswith("2,001, 1,000/s, ")
    assert shown.endswith("InActConn 1,234")
    assert "1,001 connection refused" in shown


def test_the_line_of_a_burst_says_when_it_falls_behind() -> None:
    tally = Tally()
    tally.add(rows(request(0, 0), request(1, 1, 0.25)), TEXTS)
    assert "up to 250 ms late" in burst_note(tally, None)


def test_the_line_of_a_decay_says_when_it_is_over() -> None:
    assert decay_note(17.6, 1500, 1500) == (
        "1,500 entries left, InActConn 1,500 now, gone in at most 18 s (q ends the wait)"
    )
    assert "InActConn" not in decay_note(1, 2, None)
