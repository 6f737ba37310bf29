"""What the client sent and got, in numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.client.outcomes import LATE_S, outcomes_of
from analyzer.client.requests import latency, summarise
from analyzer.observed.entries import span_ms
from analyzer.recording.requests import RequestRows
from tests.unit.analyzer.builders_packets import BOOT_NS
from tests.unit.analyzer.builders_packets import table as recorded

if TYPE_CHECKING:
    from analyzer.client.results import Requests

MS = 1_000_000


def summary(rows: list[dict[str, Any]], zero_ns: int = 0) -> Requests:
    outcomes = outcomes_of(RequestRows.of(recorded("requests", rows)), zero_ns)
    return summarise(outcomes, zero_ns)


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
    found = summary([request(n) for n in range(10)])
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
    found = summary([request(0, **changes)])
    assert (found.succeeded, found.failed) == (succeeded, failed), why
    assert found.sent == succeeded + failed


@pytest.mark.parametrize(("wait_ms", "late"), [(0, 0), (490, 0), (500, 1), (2000, 1)])
def test_late_is_answered_more_than_half_a_second_after_it_was_due(
    wait_ms: float, late: int
) -> None:
    assert LATE_S == 0.5
    assert summary([request(0, wait_ms=wait_ms)]).late == late


def test_a_failed_requests_time_is_not_a_latency() -> None:
    slow = request(1, error="HTTP 500", status=500)
    slow["ended"] += 5000 * MS
    found = summary([request(0), slow])
    assert found.total_ms is not None
    assert found.total_ms.max == pytest.approx(6)


def test_not_seen_is_not_zero() -> None:
    never: dict[str, Any] = {
        "connected": None,
        "first_byte": None,
        "ended": None,
        "error": "refused",
    }
    found = summary([request(0, **never)])
    assert (found.connect_ms, found.first_byte_ms, found.total_ms) == (None, None, None)
    nothing = summary([])
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
    frame = recorded("requests", [request(0), request(1, connected=None)])
    spans = span_ms(frame, "started", "connected")
    assert spans[0] == pytest.approx(1)
    assert np.isnan(spans[1])


def test_latency_from_the_due_time_keeps_what_waited() -> None:
    found = summary([request(n, wait_ms=40) for n in range(10)])
    assert found.total_ms is not None
    assert found.total_from_due_ms is not None
    assert found.lateness_ms is not None
    assert found.total_ms.p50 == pytest.approx(6)
    assert found.total_from_due_ms.p50 == pytest.approx(46)
    assert found.lateness_ms.max == pytest.approx(40)


# Redirects ----------------------------------------------------------------------------------------


def hop(number: int, nth: int, *, followed: int | None = 1, **more: Any) -> dict[str, Any]:
    """The n-th connection of a request, 50 ms after the one before; answered with a redirect."""
    row = request(number) | {"status": 302, "followed": followed}
    moved = ("scheduled", "started", "connected", "first_byte", "ended")
    return row | {name: row[name] + nth * 50 * MS for name in moved} | more


def loop(number: int, *, followed: int | None = 1) -> list[dict[str, Any]]:
    """A request that was redirected in a circle: ten followed, the eleventh is too many."""
    last = {"error": "too many redirects", "failure": "too-many-redirects"}
    hops = [hop(number, nth, followed=followed) for nth in range(10)]
    return [*hops, hop(number, 10, followed=None, **last)]


def test_six_requests_in_a_redirect_loop_are_six_failures() -> None:
    found = summary([row for number in range(6) for row in loop(number)])
    assert (found.sent, found.succeeded, found.failed, found.late) == (6, 0, 6, 6)
    (row,) = found.errors
    assert (row.kind, row.stage, row.n, row.status) == ("too-many-redirects", "answer", 6, None)


@pytest.mark.parametrize("followed", [1, None])
def test_a_request_and_its_redirects_are_one_that_took_as_long_as_all(followed: int | None) -> None:
    """Recordings made before ``followed`` was recorded tell redirects by the number alone."""
    rows = [hop(0, 0, followed=followed), hop(0, 1, followed=followed), hop(0, 2) | DONE]
    found = summary([*rows, request(1)])
    assert (found.sent, found.succeeded, found.failed) == (2, 2, 0)
    assert found.total_ms is not None
    assert found.total_ms.max == pytest.approx(106)
    assert found.connect_ms is not None
    assert found.connect_ms.max == pytest.approx(1)
    assert found.lateness_ms is not None
    assert found.lateness_ms.max == 0


DONE = {"status": 200, "followed": None}


def test_redirects_that_nobody_followed_are_answers() -> None:
    found = summary([hop(number, 0, followed=None) for number in range(3)])
    assert (found.sent, found.succeeded) == (3, 3)


def test_a_request_that_was_cut_off_between_two_redirects_is_unfinished() -> None:
    found = summary([hop(0, 0)])
    assert (found.sent, found.succeeded, found.failed) == (1, 0, 1)
    assert [row.kind for row in found.errors] == ["unfinished"]


def test_rows_without_a_number_or_with_a_doubtful_one_are_requests_of_their_own() -> None:
    unnumbered = [request(0) | {"id": None}, request(1) | {"id": None}]
    assert summary([*unnumbered, request(2), request(2)]).sent == 4


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=12), st.randoms())
def test_whatever_the_order_each_request_has_one_outcome(
    outcomes: list[tuple[int, bool]], random: Any
) -> None:
    rows = []
    for number, (hops, well) in enumerate(outcomes):
        rows += [hop(number, nth) for nth in range(hops)]
        rows.append(hop(number, hops) | DONE | ({} if well else {"error": "HTTP 500"}))
    random.shuffle(rows)
    found = summary(rows)
    assert found.sent == len(outcomes)
    assert found.succeeded == sum(well for _, well in outcomes)
    assert sum(row.n for row in found.errors) == found.failed


# Why requests failed ------------------------------------------------------------------------------

NEVER: dict[str, Any] = {"connected": None, "first_byte": None, "ended": None, "status": None}
CUT: dict[str, Any] = {"first_byte": None, "ended": None, "status": None}


@pytest.mark.parametrize(
    ("row", "kind", "stage", "status"),
    [
        (NEVER | {"error": "connection refused"}, "refused", "connect", None),
        (NEVER | {"error": "connection reset by peer"}, "reset", "connect", None),
        (CUT | {"error": "connection reset by peer"}, "reset", "answer", None),
        (NEVER | {"error": "timeout: no connection"}, "timeout", "connect", None),
        (CUT | {"error": "timeout: no answer"}, "timeout", "answer", None),
        ({"error": "timeout: the server did not close"}, "timeout", "close", None),
        (NEVER | {"error": "no route to host"}, "host-unreachable", "connect", None),
        (NEVER | {"error": "network is unreachable"}, "no-route", "connect", None),
        (NEVER | {"error": "cannot assign requested address"}, "no-port", "connect", None),
        (NEVER | {"error": "no socket: too many open files"}, "local", "connect", None),
        (NEVER | {"error": "certificate: self-signed certificate"}, "tls", "tls", None),
        (NEVER | {"error": "[SSL: WRONG_VERSION_NUMBER] (_ssl.c:1006)"}, "tls", "tls", None),
        (NEVER | {"error": "Name or service not known"}, "name", "connect", None),
        ({"error": "HTTP 404", "status": 404}, "http-4xx", "answer", 404),
        ({"error": "HTTP 503", "status": 503}, "http-5xx", "answer", 503),
        ({"error": "HTTP 101", "status": 101}, "http-other", "answer", 101),
        (
            CUT | {"error": "closed by the server before its answer was whole"},
            "short-answer",
            "answer",
            None,
        ),
        (CUT | {"error": "no HTTP/1.1: Expected HTTP/"}, "not-http", "answer", None),
        (CUT | {"error": "interrupted"}, "interrupted", "answer", None),
        (CUT, "unfinished", "answer", None),
        (CUT | {"error": "<b>whatever</b>"}, "other", "answer", None),
        (CUT | {"error": "<b>", "failure": "reset"}, "reset", "answer", None),
        (
            CUT | {"error": "timeout: no answer", "failure": "no such kind"},
            "timeout",
            "answer",
            None,
        ),
    ],
)
def test_each_failure_has_its_kind_and_how_far_it_came(
    row: dict[str, Any], kind: str, stage: str, status: int | None
) -> None:
    """Of older recordings by the text, of others as recorded."""
    found = summary([request(0), request(1, **row)])
    (one,) = found.errors
    assert (one.kind, one.stage, one.status, one.n) == (kind, stage, status, 1)
    assert "<b>" not in one.what


def test_reasons_are_counted_the_commonest_first_with_when_they_came() -> None:
    refused = NEVER | {"error": "connection refused"}
    missing: dict[str, Any] = {"error": "HTTP 404", "status": 404}
    gone: dict[str, Any] = {"error": "HTTP 410", "status": 410}
    rows = [
        request(0),
        request(1, **missing),
        request(2, **refused),
        request(3, **refused),
        request(5, **refused),
        request(7, **gone),
    ]
    found = summary(rows, BOOT_NS)
    assert [(row.kind, row.status, row.n) for row in found.errors] == [
        ("refused", None, 3),
        ("http-4xx", 404, 1),
        ("http-4xx", 410, 1),
    ]
    assert (found.errors[0].first_s, found.errors[0].last_s) == pytest.approx((0.2, 0.5))
    assert sum(row.n for row in found.errors) == found.failed
    assert summary([request(0)]).errors == ()


def test_a_failure_on_a_connection_that_stood_came_at_the_answer() -> None:
    """A row that goes on has no ``connected`` of its own."""
    lost: dict[str, Any] = {
        "connected": None,
        "first_byte": None,
        "ended": None,
        "failure": "short-answer",
    }
    text = "closed by the server before its answer was whole"
    found = summary([request(0), request(1, reused=1, error=text, **lost)])
    (row,) = found.errors
    assert (row.kind, row.stage, row.n) == ("short-answer", "answer", 1)
    assert (found.sent, found.connections) == (2, 1)


def test_rows_that_all_claim_to_go_on_are_requests_on_no_connection() -> None:
    found = summary([request(number, reused=1, connected=None) for number in range(3)])
    assert (found.sent, found.connections, found.reused) == (3, 0, 3)
    assert (found.connect_ms, found.lateness_ms, found.connections_per_s) == (None, None, 0)


def test_a_recording_without_the_column_has_a_connection_for_each_request() -> None:
    found = summary([request(number) for number in range(3)])
    assert found.connections == 3
    assert found.connections_per_s == found.rate_per_s
