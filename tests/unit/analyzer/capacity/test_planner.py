"""The plans of VIPs, against brute force and against what is known of them."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from itertools import combinations_with_replacement, permutations
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.capacity.document import to_json
from analyzer.capacity.lattice import (
    balanced_lists,
    balanced_vips,
    lists_of,
    loads,
    steps,
    subsets,
    worst_load,
)
from analyzer.capacity.planner import plan_capacity
from analyzer.capacity.question import PLAN_NAMES, Capacity, CapacityQuestion, Plan
from analyzer.capacity.solver import best_lists
from analyzer.capacity.wording import verdict
from tests.unit.properties import examples

G = 10**9


def plenty() -> float:
    """Time that does not run out."""
    return 600.0


def answer(
    hosts: int, failures: int, ingress: str, **others: str | tuple[Fraction, ...]
) -> Capacity:
    shares = others.pop("shares", ())
    given = {name: Fraction(value) for name, value in others.items() if isinstance(value, str)}
    assert not isinstance(shares, str)
    question = CapacityQuestion(
        hosts=hosts,
        failures=failures,
        link_bps=Fraction(G),
        ingress_bps=Fraction(ingress) * G,
        shares=shares,
        **given,
    )
    return plan_capacity(question, plenty)


def plan(capacity: Capacity, name: str) -> Plan:
    found = capacity.plans[name]  # type: ignore[index]
    assert found is not None
    return found


def counted(lists: tuple[tuple[int, ...], ...], hosts: int, failures: int) -> int:
    """VIPs of the busiest director after the worst loss, counted by hand."""
    busiest = 0
    for down in subsets(hosts, failures):
        holders = [next(d for d in order if d not in down) for order in lists]
        busiest = max(busiest, *(holders.count(director) for director in range(hosts)))
    return busiest


@cache
def brute_force(hosts: int, failures: int, vips: int, *, all_active: bool) -> tuple[int, int]:
    """The lowest worst load after, then before, over every choice of lists; in VIPs."""
    every = list(permutations(range(hosts), failures + 1))
    candidates = combinations_with_replacement(every, vips)
    return min(
        (counted(lists, hosts, failures), counted(lists, hosts, 0))
        for lists in candidates
        if not all_active or len({order[0] for order in lists}) == hosts
    )


@pytest.mark.parametrize("all_active", [False, True])
@pytest.mark.parametrize(
    ("hosts", "failures", "vips"),
    [*((3, 1, vips) for vips in range(3, 8)), (2, 1, 5), (3, 2, 4), (3, 0, 4), (4, 1, 4)],
)
def test_no_lists_are_better_than_those_found(
    hosts: int, failures: int, vips: int, all_active: bool
) -> None:
    if vips < hosts:
        pytest.skip("fewer VIPs than directors")
    shares = (Fraction(1, vips),) * vips
    solution = best_lists(shares, hosts, failures, all_active=all_active, left_s=plenty)
    assert solution is not None
    assert solution.proven
    found: tuple[Fraction | int, ...] = tuple(
        worst_load(solution.lists, shares, hosts, down) * vips for down in (failures, 0)
    )
    assert found == brute_force(hosts, failures, vips, all_active=all_active)


def test_one_vip_a_director_is_not_enough_and_six_are() -> None:
    capacity = answer(3, 1, "1.5", utilisation="0.75")
    assert [row.plan.vips for row in capacity.table if row.fits] == [2, 4, 6]
    assert [plan(capacity, name).vips for name in PLAN_NAMES] == [2, 4, 6]
    assert capacity.recommended == "balanced"
    six = plan(capacity, "balanced")
    assert (six.worst_before_bps, six.worst_after_bps) == (Fraction(G // 2), Fraction(3 * G // 4))
    assert sorted(six.lists) == sorted(permutations(range(3)))
    three = capacity.table[2]
    loads = (three.plan.worst_before_bps, three.plan.worst_after_bps)
    assert loads == (Fraction(G // 2), Fraction(G))
    assert "3 cannot be split evenly among 2" in three.why


def test_a_full_link_is_said_to_leave_nothing_for_a_burst() -> None:
    capacity = answer(3, 1, "1.5")
    assert plan(capacity, "all_active").vips == 3
    assert "nothing is left for a burst" in capacity.table[2].why
    assert "burst" not in verdict(capacity)
    assert verdict(answer(2, 1, "1")).endswith("Nothing is left for a burst.")


def test_bursts_take_their_part_of_the_link() -> None:
    assert answer(3, 1, "1.5", burst="1.3").feasible
    assert not answer(3, 1, "1.5", burst="1.34").feasible


def test_in_nat_the_answers_count_too() -> None:
    assert answer(3, 1, "0.5", egress_bps=str(15 * G // 10)).feasible
    assert not answer(3, 1, "0.5", egress_bps=str(16 * G // 10)).feasible


@pytest.mark.parametrize(
    ("hosts", "failures", "ingress", "reason"),
    [
        (3, 1, "2.1", "each of the 2 left would carry 1.05 Gbit/s"),
        (3, 2, "1.5", "the one left would carry 1.5 Gbit/s"),
        (3, 3, "0.1", "3 directors cannot lose 3"),
        (1, 1, "0.1", "1 director cannot lose 1"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_reason(
    hosts: int, failures: int, ingress: str, reason: str
) -> None:
    capacity = answer(hosts, failures, ingress)
    assert not capacity.feasible
    assert reason in capacity.why
    assert set(capacity.plans.values()) == {None}
    assert capacity.recommended is None


def test_more_vips_than_a_segment_has_ids_is_refused() -> None:
    # 2 of 3 share what is 1/1000 short of all: 500 VIPs could be split finely enough, 255 cannot.
    capacity = answer(3, 1, "1.998", shares=(), utilisation="1")
    assert capacity.feasible
    assert plan(capacity, "minimum").vips == 2
    balanced = answer(7, 3, "1")
    assert balanced.plans["balanced"] is None
    assert "420 VIPs are needed" in balanced.without_plan["balanced"]
    assert balanced.recommended == "all_active"


@pytest.mark.parametrize(
    ("hosts", "failures", "vips"),
    [(2, 1, 2), (3, 1, 6), (4, 1, 12), (5, 1, 20), (8, 1, 56), (4, 2, 12), (5, 2, 60), (6, 3, 60)],
)
def test_balanced_lists_load_all_alike_at_every_number_of_losses(
    hosts: int, failures: int, vips: int
) -> None:
    lists = balanced_lists(hosts, failures)
    assert len(lists) == balanced_vips(hosts, failures) == vips
    ones = (Fraction(1),) * vips
    for lost in range(failures + 1):
        for down in subsets(hosts, lost):
            carried = loads(lists, ones, hosts, down)
            assert {c for d, c in enumerate(carried) if d not in down} == {
                Fraction(vips, hosts - lost)
            }


@pytest.mark.parametrize(("hosts", "failures"), [(3, 1), (4, 1), (3, 2), (4, 2)])
def test_no_fewer_vips_can_be_balanced(hosts: int, failures: int) -> None:
    """Evenness asks for V / (N C(N-1, j)) lists of each kind: whole for no smaller V."""
    vips = balanced_vips(hosts, failures)
    for fewer in range(1, vips):
        kinds = [hosts * comb(hosts - 1, size) for size in range(failures + 1)]
        assert any(fewer % kind for kind in kinds)


@given(data=st.data(), hosts=st.integers(1, 5))
def test_any_flow_comes_apart_into_its_lists(data: st.DataObject, hosts: int) -> None:
    failures = data.draw(st.integers(0, hosts - 1))
    every = list(permutations(range(hosts)))
    lists = data.draw(st.lists(st.sampled_from(every), min_size=1, max_size=12))
    flow = dict.fromkeys(steps(hosts, failures), 0)
    for order in lists:
        for place in range(failures + 1):
            flow[frozenset(order[:place]), order[place]] += 1
    found = lists_of(flow, hosts, failures)
    assert all(sorted(order) == list(range(hosts)) for order in found)
    ones = (Fraction(1),) * len(lists)
    for lost in range(failures + 1):
        for down in subsets(hosts, lost):
            assert loads(found, ones, hosts, down) == loads(tuple(lists), ones, hosts, down)


@examples(15)
@given(
    hosts=st.integers(2, 4),
    failures=st.integers(1, 2),
    percent=st.integers(40, 100),
    data=st.data(),
)
def test_every_plan_survives_every_loss(
    hosts: int, failures: int, percent: int, data: st.DataObject
) -> None:
    ingress = data.draw(st.integers(1, 40)) / 10
    capacity = answer(hosts, failures, str(ingress), utilisation=str(percent / 100))
    left = hosts - failures
    possible = left > 0 and Fraction(str(ingress)) / left <= Fraction(percent, 100)
    assert capacity.feasible == possible
    for found in filter(None, capacity.plans.values()):
        share = Fraction(counted(found.lists, hosts, failures), found.vips)
        assert share * Fraction(str(ingress)) * G == found.worst_after_bps
        assert found.worst_after_bps <= Fraction(percent, 100) * G
    if possible:
        assert 0 not in plan(capacity, "all_active").held


def test_unequal_shares_get_lists_of_their_own() -> None:
    shares = tuple(map(Fraction, (40, 30, 20, 10)))
    capacity = answer(3, 1, "1.5", shares=shares)
    row = capacity.by_shares
    assert row is not None
    assert row.fits
    assert row.plan.worst_after_bps == 3 * G // 4  # 40 + 10 beside 30 + 20
    lopsided = answer(3, 1, "1.5", shares=tuple(map(Fraction, (80, 10, 10)))).by_shares
    assert lopsided is not None
    assert not lopsided.fits
    assert "the largest VIP alone" in lopsided.why


def test_when_the_time_is_up_the_answer_says_so() -> None:
    question = CapacityQuestion(
        hosts=5, failures=2, link_bps=Fraction(G), ingress_bps=Fraction(3 * G)
    )
    capacity = plan_capacity(question, lambda: 0.0)
    assert capacity.plans["minimum"] is None
    assert capacity.without_plan["minimum"] == "not found in the time given"
    assert plan(capacity, "balanced").vips == 60


def test_the_document_has_the_contracts_keys_and_unrounded_loads() -> None:
    document = to_json(answer(3, 1, "1", utilisation="0.8"))
    assert {
        *("feasible", "why", "hosts", "failures", "link_gbps", "ingress_gbps", "utilisation"),
        *("plans", "recommended", "schema_version"),
    } <= set(document)
    balanced = document["plans"]["balanced"]
    assert balanced["worst_load_before_gbps"] == 1 / 3
    assert balanced["priorities"] == sorted(map(list, permutations(range(3))))
    assert (document["link_gbps"], document["ingress_gbps"]) == (1.0, 1.0)
