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


def test_time_ends_what_numbers_do_not() -> None:
    plan = LoadPlan(target=TARGET, arrivals=ClosedModel(duration_s=2, concurrency=1))
    (share,) = parts(plan, 10**9)
    assert share.end_ns == 3 * 10**9
