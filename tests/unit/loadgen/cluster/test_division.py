"""Dividing a plan over workers."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from loadgen.cluster.division import deal_pool, divide, in_turn, requests_of
from loadgen.errors import UsageProblem
from loadgen.load.plan import ClosedModel, LoadPlan, OpenModel, PlannedTarget, Request, Stage
from loadgen.target import Target

TARGET = Target(vip="192.0.2.1", port=80, protocol="TCP")


def closed(
    requests: int = 1000, concurrency: int = 40, each: int = 1, processes: int = 1
) -> LoadPlan:
    model = ClosedModel(requests=requests, concurrency=concurrency)
    return LoadPlan(
        target=TARGET, arrivals=model, requests_per_connection=each, processes=processes
    )


def opened(requests: int = 200) -> LoadPlan:
    stages = (
        Stage(duration_s=1.0, rate_per_s=100.0),
        Stage(duration_s=0.5, rate_per_s=0),
        Stage(duration_s=1.0, rate_per_s=150.0),
    )
    return LoadPlan(target=TARGET, arrivals=OpenModel(stages=stages, requests=requests))


def pools(workers: int) -> list[tuple[str, ...]]:
    return [()] * workers


@given(
    st.integers(1, 500), st.integers(1, 60), st.integers(1, 9), st.integers(1, 4), st.integers(1, 9)
)
def test_the_shares_of_a_closed_loop_add_up_to_exactly_the_plan(
    requests: int, concurrency: int, each: int, processes: int, workers: int
) -> None:
    plan = closed(requests, concurrency, each, processes)

    shares = divide(plan, pools(workers))

    lanes = [lane for share in shares for lane in share.lanes]
    numbers = [number for lane in lanes for number in lane.numbers()]
    assert sorted(numbers) == list(range(plan.division.connections or 0))
    carried = sorted(n for c in numbers for n in plan.division.numbers(c))
    assert carried == list(range(requests))
    assert sum(share.requests or 0 for share in shares) == requests
    assert sum(lane.concurrency or 0 for lane in lanes) == concurrency
    assert sum(share.of_plan for share in shares) == pytest.approx(1)


@given(st.integers(1, 220), st.integers(1, 9))
def test_the_shares_of_a_schedule_keep_its_order_and_times(requests: int, workers: int) -> None:
    plan = opened(requests)
    whole = divide(plan, pools(1))[0]

    shares = divide(plan, pools(workers))

    everything = [pair for share in shares for lane in share.lanes for pair in lane.due()]
    assert sorted(everything) == list(whole.lanes[0].due())
    for share in shares:
        for lane in share.lanes:
            times = [at for _, at in lane.due()]
            assert times == sorted(times)
            assert requests_of(lane) == len(times)


def test_each_worker_sends_at_its_part_of_the_rate_all_the_time() -> None:
    shares = divide(opened(200), pools(4))

    for share in shares:
        in_stages = Counter(int(at_ns >= 1_500_000_000) for _, at_ns in share.lanes[0].due())
        assert in_stages == {0: 25, 1: 25}
        assert share.of_plan == pytest.approx(0.25)
        assert share.requests == 50


def test_workers_that_the_plan_has_no_work_for_send_nothing() -> None:
    shares = divide(closed(requests=50, concurrency=2), pools(4))

    assert [len(share.lanes) for share in shares] == [1, 1, 0, 0]
    assert [share.requests for share in shares] == [25, 25, 0, 0]


def test_each_worker_starts_the_processes_of_the_plan() -> None:
    shares = divide(closed(processes=3), pools(2))

    assert [[lane.index for lane in share.lanes] for share in shares] == [[0, 2, 4], [1, 3, 5]]


def test_what_time_or_chance_decides_is_not_counted() -> None:
    timed = replace(closed(), arrivals=ClosedModel(duration_s=5, concurrency=4))
    by_chance = replace(
        opened(),
        arrivals=OpenModel(stages=(Stage(duration_s=1, rate_per_s=9),), arrivals="poisson"),
    )

    assert [share.requests for share in divide(timed, pools(2))] == [None, None]
    assert [share.requests for share in divide(by_chance, pools(2))] == [None, None]


def test_the_start_is_set_on_every_lane() -> None:
    share = divide(closed(processes=2), pools(2))[1]

    assert [lane.begin_ns for lane in share.beginning(123)] == [123, 123]


@given(st.integers(1, 40), st.integers(1, 60), st.integers(0, 59), st.integers(1, 6))
def test_every_address_of_a_pool_is_taken_equally_often(
    n: int, step: int, first: int, targets: int
) -> None:
    assume(first < step)
    pool = tuple(f"192.0.2.{i}" for i in range(n))
    others = tuple(
        PlannedTarget(
            target=Target(vip=f"198.51.100.{i}", port=80, protocol="TCP"), request=Request()
        )
        for i in range(1, targets)
    )

    plan = replace(closed(), sources=in_turn(pool, step), others=others)

    taken = Counter(plan.source_of(first + k * step) for k in range(3 * n * targets))
    assert taken == dict.fromkeys(pool, 3 * targets)


def test_the_packets_engine_gets_its_pool_as_it_is() -> None:
    plan = replace(closed(), engine="packets", sources=("192.0.2.7", "192.0.2.8"))

    shares = divide(plan, [("192.0.2.7",), ("192.0.2.8",)])

    assert [share.lanes[0].plan.sources for share in shares] == [("192.0.2.7",), ("192.0.2.8",)]


@given(st.integers(1, 30), st.integers(1, 6), st.data())
def test_a_pool_is_dealt_out_whole_and_in_order(n: int, workers: int, data: st.DataObject) -> None:
    pool = [f"192.0.2.{i}" for i in range(n)]
    names = [f"w{i}" for i in range(workers)]
    owners = {address: data.draw(st.sets(st.sampled_from(names), min_size=1)) for address in pool}
    holders = {name: frozenset(a for a in pool if name in owners[a]) for name in names}

    try:
        dealt = deal_pool(pool, list(holders.items()))
    except UsageProblem as error:
        assert "has none of the addresses" in str(error)  # noqa: PT017 - either may be
        return

    assert sorted(a for addresses in dealt for a in addresses) == sorted(pool)
    for name, addresses in zip(names, dealt, strict=True):
        assert set(addresses) <= holders[name]
        assert list(addresses) == [a for a in pool if a in addresses]


def test_an_address_of_one_worker_alone_is_its() -> None:
    holders = [("a", frozenset({"192.0.2.1", "192.0.2.2"})), ("b", frozenset({"192.0.2.1"}))]

    assert deal_pool(["192.0.2.1", "192.0.2.2"], holders) == [("192.0.2.2",), ("192.0.2.1",)]


def test_workers_of_one_name_have_pools_of_their_own() -> None:
    holders = [("x", frozenset({"192.0.2.1"})), ("x", frozenset({"192.0.2.2"}))]

    assert deal_pool(["192.0.2.1", "192.0.2.2"], holders) == [("192.0.2.1",), ("192.0.2.2",)]


def test_an_address_that_nobody_has_is_named() -> None:
    with pytest.raises(UsageProblem, match=r"no worker of --cluster has the address 192\.0\.2\.9"):
        deal_pool(["192.0.2.9"], [("a", frozenset())])


def test_a_worker_without_an_address_is_named() -> None:
    with pytest.raises(UsageProblem, match="b of --cluster has none"):
        deal_pool(["192.0.2.1"], [(name, frozenset({"192.0.2.1"})) for name in "ab"])


def test_without_a_pool_each_kernel_chooses() -> None:
    assert deal_pool([], [("a", frozenset()), ("b", frozenset())]) == [(), ()]
