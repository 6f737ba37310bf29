"""How a plan is dealt out to workers: all of it, each request once."""

from __future__ import annotations

from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from loadgen.load.engines.workers.share import parts
from loadgen.load.plan import ClosedModel, LoadPlan, OpenModel, Stage
from loadgen.target import Target

TARGET = Target(vip="192.0.2.1", port=80)


@given(st.integers(1, 200), st.integers(1, 50), st.integers(1, 8))
def test_every_request_is_sent_once_by_as_many_as_were_asked_for(
    requests: int, concurrency: int, processes: int
) -> None:
    plan = LoadPlan(
        target=TARGET,
        arrivals=ClosedModel(requests=requests, concurrency=concurrency),
        processes=processes,
    )
    dealt = parts(plan, 0)
    assert len(dealt) <= processes
    assert sorted(chain.from_iterable(share.numbers() for share in dealt)) == list(range(requests))
    assert sum(share.concurrency or 0 for share in dealt) == concurrency
    assert all(share.concurrency for share in dealt)


@given(st.integers(1, 300), st.integers(1, 8))
def test_a_schedule_is_dealt_out_in_turn_from_one_beginning(rate: int, processes: int) -> None:
    model = OpenModel(stages=(Stage(duration_s=1, rate_per_s=rate),))
    plan = LoadPlan(target=TARGET, arrivals=model, processes=processes)
    due = sorted(chain.from_iterable(share.due() for share in parts(plan, 5 * 10**9)))
    assert due == [(k, 5 * 10**9 + round(k / rate * 1e9)) for k in range(len(due))]
    assert abs(len(due) - rate) <= 1


@given(st.integers(1, 500), st.integers(1, 40), st.integers(1, 20), st.integers(1, 8))
def test_every_request_is_on_one_connection_whatever_they_carry_and_whoever_sends_them(
    requests: int, each: int, concurrency: int, processes: int
) -> None:
    plan = LoadPlan(
        target=TARGET,
        arrivals=ClosedModel(requests=requests, concurrency=concurrency),
        processes=processes,
        requests_per_connection=each,
    )
    connections = list(chain.from_iterable(share.numbers() for share in parts(plan, 0)))
    carried = [list(plan.division.numbers(connection)) for connection in connections]
    assert sorted(chain.from_iterable(carried)) == list(range(requests))
    assert sorted(map(len, carried), reverse=True)[:-1] == [each] * (len(carried) - 1)
    assert len(carried) == plan.expected_connections


@given(
    st.integers(1, 300),
    st.integers(1, 3),
    st.integers(1, 40),
    st.integers(1, 8),
    st.none() | st.integers(1, 400),
)
def test_a_schedule_of_connections_carries_the_requests_that_it_calls_for(
    rate: int, duration_s: int, each: int, processes: int, requests: int | None
) -> None:
    stages = (Stage(duration_s=duration_s, rate_per_s=rate),)
    plan = LoadPlan(
        target=TARGET,
        arrivals=OpenModel(stages=stages, requests=requests),
        processes=processes,
        requests_per_connection=each,
    )
    due = list(chain.from_iterable(share.due() for share in parts(plan, 0)))
    carried = [list(plan.division.numbers(connection)) for connection, _ in sorted(due)]
    expected = min(rate * duration_s, requests or rate * duration_s)
    assert list(chain.from_iterable(carried)) == list(range(expected))
    assert all(carried)
    assert [at_ns for _, at_ns in sorted(due)] == [
        round(connection * each / rate * 1e9) for connection in range(len(carried))
    ]


def test_poisson_connections_are_begun_at_the_rate_over_what_each_carries() -> None:
    stages = (Stage(duration_s=1000, rate_per_s=100),)
    model = OpenModel(stages=stages, arrivals="poisson", seed=7)
    plan = LoadPlan(target=TARGET, arrivals=model, requests_per_connection=10)
    (share,) = parts(plan, 0)
    assert 9_500 < len(list(share.due())) < 10_500


def test_time_ends_what_numbers_do_not() -> None:
    plan = LoadPlan(target=TARGET, arrivals=ClosedModel(duration_s=2, concurrency=1))
    (share,) = parts(plan, 10**9)
    assert share.end_ns == 3 * 10**9
