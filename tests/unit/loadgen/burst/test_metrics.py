"""A burst's requests as Prometheus scrapes them."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analyzer.client.failures import KINDS
from loadgen.burst.metrics import BOUNDS_S, RequestCounts, RequestMetrics
from loadgen.load.engines.rows import NONE, Row

START_NS = 1_795_372_000_000_000_000
MS = 1_000_000


def block(*rows: Row) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.array(rows, np.int64).reshape(-1, len(Row._fields))


def answered(took_ms: float, late_ms: float = 0) -> Row:
    begun_ns = START_NS + round(late_ms * MS)
    return Row(0, START_NS, started=begun_ns, ended=begun_ns + round(took_ms * MS))


def failed(kind: str | None) -> Row:
    failure = NONE if kind is None else KINDS.index(kind)
    return Row(0, START_NS, started=START_NS, ended=START_NS + MS, error=0, failure=failure)


def samples(metrics: RequestMetrics) -> dict[str, float]:
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in metrics.collect()
        for sample in family.samples
    }


def metrics(*rows: Row, planned: int | None = 10, sending: bool = True) -> dict[str, float]:
    found = RequestMetrics(planned, lambda: sending, lambda: 3)
    found.add(block(*rows))
    return samples(found)


def test_before_the_first_request_all_is_zero() -> None:
    found = samples(RequestMetrics(10, lambda: True, lambda: 3))
    assert found["loadgen_requests_ended_total"] == 0
    assert found["loadgen_requests_failed_total refused"] == 0
    assert found["loadgen_request_duration_seconds_bucket +Inf"] == 0


def test_requests_are_counted_as_they_ended() -> None:
    found = metrics(answered(1), failed("refused"), failed("refused"), failed(None))
    assert found["loadgen_requests_ended_total"] == 4
    assert found["loadgen_requests_failed_total refused"] == 2
    assert found["loadgen_requests_failed_total other"] == 1
    assert found["loadgen_requests_failed_total timeout"] == 0


def test_requests_under_way_are_those_that_the_engines_count() -> None:
    assert metrics(answered(1))["loadgen_requests_under_way"] == 3


def test_a_redirect_that_was_followed_has_ended_no_request() -> None:
    assert metrics(answered(1)._replace(followed=1))["loadgen_requests_ended_total"] == 0


def test_latencies_are_those_of_successful_requests_and_a_bound_is_within_its_bucket() -> None:
    found = metrics(answered(1), answered(1.1), answered(20_000), failed("timeout"))
    name = "loadgen_request_duration_seconds"
    assert found[f"{name}_bucket 0.001"] == 1
    assert found[f"{name}_bucket 0.0025"] == 2
    assert found[f"{name}_bucket 10.0"] == 2
    assert found[f"{name}_bucket +Inf"] == found[f"{name}_count"] == 3
    assert found[f"{name}_sum"] == 20.0021


def test_the_latest_start_is_kept() -> None:
    found = RequestMetrics(10, lambda: True, lambda: 3)
    found.add(block(answered(1, late_ms=30)))
    found.add(block(answered(1, late_ms=10)))
    assert samples(found)["loadgen_request_lateness_seconds_max"] == 0.03


def test_a_request_that_never_began_is_counted_and_has_no_latency() -> None:
    found = metrics(Row(0, START_NS, error=0, failure=KINDS.index("no-port")))
    assert found["loadgen_requests_failed_total no-port"] == 1
    assert found["loadgen_request_lateness_seconds_max"] == 0


def test_a_plan_without_a_number_has_no_number_of_planned_requests() -> None:
    assert "loadgen_requests_planned" not in metrics(planned=None)
    assert metrics(planned=10)["loadgen_requests_planned"] == 10


def test_whether_it_sends_is_asked_at_each_scrape() -> None:
    assert metrics(sending=True)["loadgen_burst_sending"] == 1
    assert metrics(sending=False)["loadgen_burst_sending"] == 0


ROWS = st.lists(
    st.one_of(
        st.floats(0, 30_000).map(answered),
        st.sampled_from([*KINDS, None]).map(failed),
        st.just(answered(1)._replace(followed=1)),
    ),
    max_size=30,
)


@given(ROWS, st.integers(0, 30))
def test_counts_do_not_depend_on_how_rows_come_in_blocks(rows: list[Row], cut: int) -> None:
    whole = RequestCounts().with_rows(block(*rows))
    parts = RequestCounts().with_rows(block(*rows[:cut])).with_rows(block(*rows[cut:]))
    assert whole.ended == parts.ended == whole.failed.sum() + whole.buckets.sum()
    assert whole.failed.tolist() == parts.failed.tolist()
    assert whole.buckets.tolist() == parts.buckets.tolist()
    assert whole.latency_ns == parts.latency_ns
    assert len(whole.buckets) == len(BOUNDS_S) + 1
