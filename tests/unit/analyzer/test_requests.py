"""What the client sent and got, in numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.observed import span_ms
from analyzer.requests import LATE_S, errors, latency, summarise
from tests.unit.analyzer.build import BOOT_NS
from tests.unit.analyzer.build import table as recorded

if TYPE_CHECKING:
    import pandas as pd

MS = 1_000_000


def table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    return recorded("requests", rows)


def request(number: int, *, wait_ms: float = 0, **more: Any) -> dict[str, Any]:
    """A request due each 100 ms: 1 ms to connect, 5 to the first byte, 6 in all."""
    due = BOOT_NS + number * 100 * MS
    began = due + round(wait_ms * MS)
    return {
        "id": number,
        "scheduled": due,
        "started": began,
        "connected": began + 1 * MS,
        "first_byte": began + 5 * MS,
        "ended": began + 6 * MS,
        "status": 200,
    } | more


def test_counts_rate_and_latencies() -> None:
    found = summarise(table([request(n) for n in range(10)]))
    assert (found.sent, found.succeeded, found.failed, found.late) == (10, 10, 0, 0)
    assert found.duration_s == pytest.approx(0.906)
    assert found.rate_per_s == pytest.approx(10 / 0.906)
    assert found.connect_ms is not None
    assert found.first_byte_ms is not None
    assert found.total_ms is not None
    assert found.connect_ms.p50 == pytest.approx(1)
    assert found.first_byte_ms.p99 == pytest.approx(5)
    assert found.total_ms.max == pytest.approx(6)


@pytest.mark.parametrize(
    ("changes", "succeeded", "failed", "why"),
    [
        ({}, 1, 0, "all well"),
        ({"error": "HTTP 404", "status": 404}, 0, 1, "the server says no"),
        ({"error": "refused", "connected": None, "first_byte": None, "ended": None}, 0, 1, "no"),
        ({"ended": None}, 0, 1, "cut off before its end"),
        (
            {"started": None, "connected": None, "first_byte": None, "ended": None},
            0,
            0,
            "never sent, so not failed either",
        ),
    ],
)
def test_what_is_a_failure(changes: dict[str, Any], succeeded: int, failed: int, why: str) -> None:
    found = summarise(table([request(0, **changes)]))
    assert (found.succeeded, found.failed) == (succeeded, failed), why
    assert found.sent == succeeded + failed


@pytest.mark.parametrize(("wait_ms", "late"), [(0, 0), (490, 0), (500, 1), (2000, 1)])
def test_late_is_answered_more_than_half_a_second_after_it_was_due(
    wait_ms: float, late: int
) -> None:
    assert LATE_S == 0.5
    assert summarise(table([request(0, wait_ms=wait_ms)])).late == late


def test_a_failed_requests_time_is_not_a_latency() -> None:
    slow = request(1, error="HTTP 500", status=500)
    slow["ended"] += 5000 * MS
    found = summarise(table([request(0), slow]))
    assert found.total_ms is not None
    assert found.total_ms.max == pytest.approx(6)


def test_not_seen_is_not_zero() -> None:
    never: dict[str, Any] = {
        "connected": None,
        "first_byte": None,
        "ended": None,
        "error": "refused",
    }
    found = summarise(table([request(0, **never)]))
    assert (found.connect_ms, found.first_byte_ms, found.total_ms) == (None, None, None)
    nothing = summarise(table([]))
    assert nothing.sent == 0
    assert nothing.duration_s is None
    assert nothing.rate_per_s is None


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=200))
def test_percentiles_are_values_that_occurred_and_ascend(values: list[float]) -> None:
    found = latency(np.array([*values, np.nan]))
    assert found is not None
    ascending = [found.p50, found.p90, found.p99, found.max]
    assert ascending == sorted(ascending)
    assert set(ascending) <= set(values)
    assert found.max == max(values)
    assert sum(value <= found.p50 for value in values) >= len(values) / 2


def test_a_span_is_not_a_number_where_an_end_is_missing() -> None:
    frame = table([request(0), request(1, connected=None)])
    spans = span_ms(frame, "started", "connected")
    assert spans[0] == pytest.approx(1)
    assert np.isnan(spans[1])


def test_latency_from_the_due_time_keeps_what_waited() -> None:
    found = summarise(table([request(n, wait_ms=40) for n in range(10)]))
    assert found.total_ms is not None
    assert found.total_from_due_ms is not None
    assert found.lateness_ms is not None
    assert found.total_ms.p50 == pytest.approx(6)
    assert found.total_from_due_ms.p50 == pytest.approx(46)
    assert found.lateness_ms.max == pytest.approx(40)


def test_errors_are_counted_by_what_they_say_the_commonest_first() -> None:
    rows = [request(0), request(1, error="reset"), request(2, error="no answer")]
    found = errors(table([*rows, request(3, error="no answer")]))
    assert list(found.items()) == [("no answer", 2), ("reset", 1)]
    assert errors(table([request(0)])) == {}
