"""How often an expensive poll may be taken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.director.links.snapshot import netfilter
from loadgen.director.polling.pace import LEAST_S, LONGEST_WAIT_S, EntriesPace, Pace

OLD, NEW = "6.1.0-56-amd64", "6.14.2"


@pytest.mark.parametrize(
    ("kernel", "entries", "affordable"),
    [
        (OLD, 0, True),
        (OLD, 20_000, True),
        (OLD, 100_000, False),  # 12 s of CPU, measured
        (None, 100_000, False),  # of an unknown kernel the worst is feared
        (NEW, 100_000, True),
        (NEW, 500_000, True),
        ("7.0", 500_000, True),
    ],
)
def test_before_the_first_read_the_kernels_law_decides(
    kernel: str | None, entries: int, affordable: bool
) -> None:
    pace = EntriesPace(0.02, kernel)
    assert pace.is_affordable(entries) is affordable
    assert pace.is_due(0.0, entries) is affordable


@pytest.mark.parametrize(
    ("kernel", "entries", "cost_s"),
    [
        (OLD, 10_000, 0.1001),
        (OLD, 100_000, 10.0001),
        (None, 10_000, 0.1001),
        (NEW, 100_000, 0.3001),
        (OLD, 0, 0.0001),
        (NEW, 0, 0.0001),
    ],
)
def test_before_the_first_read_the_cost_is_that_of_the_kernels_walks(
    kernel: str | None, entries: int, cost_s: float
) -> None:
    """A tenth of a second for 10,000 where each page is a walk; 3 us an entry where one is all."""
    assert EntriesPace(0.02, kernel).cost_s(entries) == pytest.approx(cost_s, rel=1e-3)


@pytest.mark.parametrize(
    ("cost_s", "affordable"), [(2.39, True), (2.4, True), (2.401, False), (2.5, False)]
)
def test_entries_are_read_as_long_as_two_minutes_between_reads_will_do(
    cost_s: float, affordable: bool
) -> None:
    """At one CPU in fifty a read of 2.4 s may be had every 120 s."""
    pace = EntriesPace(0.02, OLD)
    pace.note(0.0, 1000, cost_s)
    assert pace.wait_s(1000) == cost_s / 0.02
    assert pace.is_affordable(1000) is affordable
    assert pace.is_due(1e6, 1000) is affordable


def test_a_read_waits_until_its_cost_is_its_share_of_the_cpu() -> None:
    pace = EntriesPace(0.02, OLD)
    pace.note(100.0, 1000, 0.010)
    assert pace.cost_s(1000) == pytest.approx(0.010)
    assert pace.wait_s(1000) == pytest.approx(0.5)
    assert not pace.is_due(100.49, 1000)
    assert pace.is_due(100.51, 1000)


def test_a_table_twice_as_large_costs_four_times_as_much() -> None:
    pace = EntriesPace(0.02, OLD)
    pace.note(0.0, 20_000, 0.2)
    assert pace.cost_s(40_000) == pytest.approx(0.8, rel=0.01)


def test_what_was_measured_counts_not_what_was_feared() -> None:
    pace = EntriesPace(0.02, None)  # a new kernel that did not tell its release
    pace.note(0.0, 50_000, 0.05)
    assert pace.is_affordable(100_000)


def test_a_clock_of_ticks_is_averaged() -> None:
    pace = EntriesPace(0.02, OLD)
    for tick in (0.0, 0.0, 0.01, 0.0, 0.0, 0.0, 0.01, 0.0):
        pace.note(0.0, 50, tick)
    assert pace.cost_s(50) == pytest.approx(0.0025)


def test_nothing_is_read_where_nothing_is_allowed() -> None:
    assert not EntriesPace(0.0, NEW).is_due(1e9, 0)


@given(
    costs=st.lists(st.floats(0, 3), min_size=1, max_size=40),
    share=st.floats(0.001, 1),
    sizes=st.lists(st.integers(0, 50_000), min_size=40, max_size=40),
)
def test_reads_of_one_size_and_cost_keep_to_the_share(
    costs: list[float], share: float, sizes: list[int]
) -> None:
    cost_s, entries = max(costs[0], LEAST_S), sizes[0]
    pace = EntriesPace(share, OLD)
    now_s, spent_s, began_s = 0.0, 0.0, None
    for _ in costs:
        if pace.is_due(now_s, entries):
            began_s = now_s if began_s is None else began_s
            pace.note(now_s, entries, cost_s)
            spent_s += cost_s
        now_s += pace.wait_s(entries) if pace.is_affordable(entries) else LONGEST_WAIT_S
        now_s += 1e-6
    if began_s is not None:
        assert spent_s <= share * (now_s - began_s) * 1.001 + cost_s


def test_a_poll_of_steady_cost_is_taken_at_its_pace() -> None:
    pace = Pace(0.01, 5.0)
    assert pace.is_due(0.0)
    pace.note(10.0, 0.001)
    assert (pace.is_due(14.9), pace.is_due(15.0)) == (False, True)
    pace.note(15.0, 0.1)  # a tenth of a second, at one in a hundred
    assert (pace.is_due(24.9), pace.is_due(25.0)) == (False, True)


@pytest.mark.parametrize(
    ("kernel", "way", "affordable"),
    [
        ("6.15.9", "file", False),  # the file is walked from its beginning for each page
        (None, "file", False),
        ("6.16.0", "file", True),
        ("6.1.0-56-amd64", "conntrack", True),  # netlink goes on where it was
        ("6.1.0-56-amd64", "sudo-conntrack", True),
    ],
)
def test_how_tracked_connections_are_read_decides_what_many_of_them_cost(
    kernel: str | None, way: str, affordable: bool
) -> None:
    assert EntriesPace(0.02, kernel, netfilter(way)).is_affordable(100_000) is affordable
