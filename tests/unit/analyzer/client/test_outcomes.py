"""What became of the requests is the same in however many parts they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analyzer.client.latency import latencies
from analyzer.client.outcomes import Outcomes, outcomes_of
from analyzer.client.requests import summarise
from analyzer.parts import IN_MEMORY, InMemory
from analyzer.recording.requests import request_rows
from analyzer.recording.spill import spilled
from tests.unit.analyzer.builders_packets import BOOT_NS, PORT, VIP
from tests.unit.analyzer.recording.test_requests import pieces
from tests.unit.properties import examples

if TYPE_CHECKING:
    from pathlib import Path

    from analyzer.parts import Store

MS = 1_000_000
OTHER_VIP = "192.168.10.102"
TARGETS = [(VIP, PORT), (OTHER_VIP, PORT)]
ARRAYS = ("ended_s", "failed", "connect_ms", "first_byte_ms", "total_ms", "sent_s")
ORDERED = (
    *("connects", "first_bytes", "totals", "answered", "answered_due", "done", "done_due"),
    "lateness",
)


def row(
    number: int, at_ms: int, took_ms: int, error: str | None, followed: int | None, vip: str
) -> dict[str, Any]:
    due = BOOT_NS + at_ms * MS
    ended = None if took_ms == 0 else due + took_ms * MS
    return {
        "id": number,
        "scheduled": due,
        "started": due + MS * (number % 3),
        "connected": due + 2 * MS,
        "first_byte": ended,
        "ended": ended,
        "error": error,
        "followed": followed,
        "reused": number % 2,
        "vip": vip,
        "port": PORT,
    }


ROWS = st.lists(
    st.builds(
        row,
        number=st.integers(0, 9),
        at_ms=st.integers(0, 5000),
        took_ms=st.integers(0, 900),
        error=st.sampled_from([None, None, "HTTP 500", "connection refused", "interrupted"]),
        followed=st.sampled_from([None, None, 1]),
        vip=st.sampled_from([VIP, OTHER_VIP]),
    ),
    max_size=30,
)


def found(rows: list[dict[str, Any]], store: Store = IN_MEMORY) -> Outcomes:
    return outcomes_of(request_rows(pieces(rows, 7), store), BOOT_NS, TARGETS)


def values(outcomes: Outcomes) -> list[Any]:
    ordered = [getattr(outcomes, name) for name in ORDERED] + list(outcomes.answered_by_target)
    return [
        outcomes.sums,
        summarise(outcomes, BOOT_NS),
        *(getattr(outcomes, name).tolist() for name in ARRAYS),
        *(each.at(range(len(each))).tolist() for each in ordered),
    ]


@examples(30)
@given(ROWS, st.integers(1, 9))
def test_requests_in_parts_are_what_they_are_together(
    rows: list[dict[str, Any]], part_rows: int
) -> None:
    whole, parts = found(rows), found(rows, InMemory(part_rows))
    np.testing.assert_equal(values(parts), values(whole))
    np.testing.assert_equal(latencies(parts, None).syn, latencies(whole, None).syn)


def test_requests_in_files_are_what_they_are_in_memory(tmp_path: Path) -> None:
    rows = [row(n, 90 - n, n % 7, "HTTP 500" if n % 5 == 0 else None, None, VIP) for n in range(90)]
    with spilled(tmp_path, 8) as store:
        np.testing.assert_equal(values(found(rows, store)), values(found(rows)))


def test_each_target_has_its_own() -> None:
    rows = [row(n, n, 5 + n, None, None, VIP if n < 3 else OTHER_VIP) for n in range(10)]
    outcomes = found(rows)
    assert [counts.sent for counts in outcomes.sums.by_target] == [3, 7]
    assert [len(each) for each in outcomes.answered_by_target] == [3, 7]
    assert sum(counts.connections for counts in outcomes.sums.by_target) == 5


def test_what_failed_after_its_answer_is_in_no_total_but_in_the_timeline() -> None:
    outcomes = found([row(0, 0, 5, None, None, VIP), row(1, 0, 7, "HTTP 500", None, VIP)])
    assert (len(outcomes.totals), len(outcomes.answered), len(outcomes.done)) == (2, 1, 1)
    assert np.isfinite(outcomes.total_ms).all()


def test_a_redirect_that_was_to_be_followed_is_done_but_not_answered() -> None:
    outcomes = found([row(0, 0, 5, None, 1, VIP)])
    assert (len(outcomes.answered), len(outcomes.done), len(outcomes.done_due)) == (0, 1, 1)
    assert outcomes.failed.tolist() == [True]
