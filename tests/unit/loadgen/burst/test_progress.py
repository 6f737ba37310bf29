"""How a burst and its decay read while they go on."""

from __future__ import annotations

import numpy as np

from loadgen.burst.progress import burst_note, decay_note
from loadgen.load.engines.rows import NONE, Row
from loadgen.load.engines.tally import Tally

SECOND = 10**9


def tally_of(*each: Row) -> Tally:
    tally = Tally()
    tally.add(np.array(each, np.int64), ["connection refused", "HTTP 503"])
    return tally


def request(number: int, at_s: float, late_s: float = 0, error: int = NONE) -> Row:
    due = SECOND + round(at_s * SECOND)
    return Row(number=number, scheduled=due, started=due + round(late_s * SECOND), error=error)


def test_before_anything_was_begun_the_line_of_a_burst_has_no_rate() -> None:
    tally = tally_of(Row(number=0, scheduled=1, error=0))
    assert burst_note(tally, None) == "1, 1 connection refused"


def test_the_line_of_a_burst_has_its_rate_its_commonest_errors_and_inactconn() -> None:
    tally = tally_of(*(request(n, n / 1000, error=n % 2) for n in range(2001)))
    shown = burst_note(tally, 1234)
    assert shown.startswith("2,001, 1,000/s, ")
    assert shown.endswith("InActConn 1,234")
    assert "1,001 connection refused" in shown


def test_the_line_of_a_burst_says_when_it_falls_behind() -> None:
    tally = tally_of(request(0, 0), request(1, 1, 0.25))
    assert "up to 250 ms late" in burst_note(tally, None)


def test_the_line_of_a_decay_says_when_it_is_over() -> None:
    assert decay_note(17.6, 1500, 1500) == (
        "1,500 entries left, InActConn 1,500 now, gone in at most 18 s (q ends the wait)"
    )
    assert "InActConn" not in decay_note(1, 2, None)
