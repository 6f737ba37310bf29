"""Search for the fewest VIPs: three plans, and the recommended one.

Whether any plan is feasible is arithmetic: the traffic, over the remaining directors, against a
link. The fewest VIPs are not: the worst load falls and rises again as VIPs are added (4 may
suffice where 5 do not), so each number is tried.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from analyzer.capacity.lattice import (
    balanced_lists,
    balanced_vips,
    loads,
    step_count,
    worst_load,
)
from analyzer.capacity.question import MAX_VIPS, PLAN_NAMES, Capacity, Plan, TableRow
from analyzer.capacity.solver import MAX_VARIABLES, Solution, TooLarge, best_lists
from analyzer.capacity.wording import why_impossible, why_possible, why_row, why_shares

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from analyzer.capacity.question import CapacityQuestion, Lists, PlanName

TABLE_UP_TO = 12
PREFERENCE: tuple[PlanName, ...] = ("balanced", "all_active", "minimum")
"""The first of these that exists is recommended: even loads leave the most room."""

PART_OF_THE_TIME = 1 / 3
"""Share of the remaining time that one number of VIPs may take, so that others get theirs."""


def plan_capacity(question: CapacityQuestion, left_s: Callable[[], float]) -> Capacity:
    """Plan the VIPs: the plans, their table, and the reason if there are none.

    Args:
        question: directors, links and traffic.
        left_s: the remaining time, seconds; 20 s are enough for exact plans up to 6 directors
            and 3 failures, or 8 and 1. After it the best plan found is given with its gap.
    """
    why_not = why_impossible(question)
    if why_not:
        return _nothing(question, why_not)
    search = _Search(question, left_s)
    plans, without = search.plans()
    if not any(plans.values()) and left_s() > 0:
        return _nothing(question, without["minimum"])
    return Capacity(
        question=question,
        feasible=True,
        why=why_possible(question),
        plans=plans,
        without_plan=without,
        recommended=next((name for name in PREFERENCE if plans[name]), None),
        table=tuple(search.table(plans)),
        by_shares=search.by_shares(),
        even_before_bps=question.traffic_bps / question.hosts,
        even_after_bps=question.traffic_bps / (question.hosts - question.failures),
    )


def best_plan(question: CapacityQuestion, vips: int, left_s: Callable[[], float]) -> Plan | None:
    """The best plan for a number of VIPs of equal share, whether it fits or not.

    Args:
        question: what is asked.
        vips: how many.
        left_s: the remaining time, seconds.
    """
    return _Search(question, left_s).best(vips)


def _nothing(question: CapacityQuestion, why: str) -> Capacity:
    return Capacity(
        question=question,
        feasible=False,
        why=why,
        plans=dict.fromkeys(PLAN_NAMES),
        without_plan=dict.fromkeys(PLAN_NAMES, why),
        recommended=None,
        table=(),
        by_shares=None,
        even_before_bps=None,
        even_after_bps=None,
    )


class _Search:
    """The programs of one question; each is solved once."""

    def __init__(self, question: CapacityQuestion, left_s: Callable[[], float]) -> None:
        self._question = question
        self._left_s = left_s
        self._solved: dict[tuple[int, bool], Solution | None] = {}

    def plans(self) -> tuple[dict[PlanName, Plan | None], dict[PlanName, str]]:
        """The plans, and for each that is None the reason."""
        question = self._question
        by_name: dict[PlanName, tuple[Plan | None, str]] = {
            "minimum": self._fewest(all_active=False),
            "all_active": self._fewest(all_active=True),
            "balanced": (_balanced(question), _why_unbalanced(question)),
        }
        plans = {name: plan for name, (plan, _) in by_name.items()}
        return plans, {name: why for name, (plan, why) in by_name.items() if plan is None}

    def table(self, plans: Mapping[PlanName, Plan | None]) -> Iterator[TableRow]:
        """The best plan for each number of VIPs from 1 up, and for those of the plans."""
        known = {plan.vips: plan for plan in plans.values() if plan}
        up_to = min(max(known, default=TABLE_UP_TO), TABLE_UP_TO)
        for vips in sorted({*range(1, up_to + 1), *known}):
            plan = self.best(vips) or known.get(vips)
            if plan:
                fits = plan.worst_after_bps <= self._question.allowed_bps
                why = why_row(self._question, plan, fits=fits)
                yield TableRow(plan=plan, fits=fits, why=why)

    def by_shares(self) -> TableRow | None:
        """The best lists for VIPs of unequal shares."""
        question = self._question
        if not question.shares:
            return None
        total = sum(question.shares, Fraction(0))
        shares = tuple(share / total for share in question.shares)
        solution = self._solve(shares, all_active=False)
        if solution is None:
            return None
        plan = _plan(question, solution.lists, shares=shares, solution=solution)
        fits = plan.worst_after_bps <= question.allowed_bps
        return TableRow(plan=plan, fits=fits, why=why_shares(question, plan, shares, fits=fits))

    def _fewest(self, *, all_active: bool) -> tuple[Plan | None, str]:
        """The plan with the fewest VIPs of equal share that fits; or None, and why."""
        undecided = False
        for vips in range(self._question.hosts if all_active else 1, MAX_VIPS + 1):
            if not _may_fit(self._question, vips):
                continue
            plan = self._equal(vips, all_active=all_active, fewest=not undecided)
            if plan and plan.worst_after_bps <= self._question.allowed_bps:
                return plan, ""
            if self._left_s() <= 0:
                return None, "not found in the time given"
            undecided |= plan is None or plan.after_at_least_bps <= self._question.allowed_bps
        if undecided:
            return None, "not found in the time given"
        return None, f"more than {MAX_VIPS} VIPs are needed, and a segment has no more VRIDs"

    def best(self, vips: int) -> Plan | None:
        """The best plan for a number of VIPs of equal share; None if none was found in time."""
        if vips == balanced_vips(self._question.hosts, self._question.failures):
            return _balanced(self._question)
        return self._equal(vips, all_active=False)

    def _equal(self, vips: int, *, all_active: bool, fewest: bool = True) -> Plan | None:
        """The best solved plan for a number of VIPs; None if none was found in time."""
        key = (vips, all_active)
        if key not in self._solved:
            self._solved[key] = self._solve((Fraction(1, vips),) * vips, all_active=all_active)
        solution = self._solved[key]
        if solution is None:
            return None
        return _plan(self._question, solution.lists, solution=solution, fewest=fewest)

    def _solve(self, shares: Sequence[Fraction], *, all_active: bool) -> Solution | None:
        until_s = self._left_s() * (1 - PART_OF_THE_TIME)
        try:
            return best_lists(
                shares,
                self._question.hosts,
                self._question.failures,
                all_active=all_active,
                left_s=lambda: self._left_s() - until_s,
            )
        except TooLarge:
            return None


def _balanced(question: CapacityQuestion) -> Plan | None:
    """The balanced plan, in closed form and so always proven."""
    if (
        balanced_vips(question.hosts, question.failures) > MAX_VIPS
        or step_count(question.hosts, question.failures) > MAX_VARIABLES
    ):
        return None
    return _plan(question, balanced_lists(question.hosts, question.failures))


def _why_unbalanced(question: CapacityQuestion) -> str:
    vips = balanced_vips(question.hosts, question.failures)
    return f"{vips} VIPs are needed, and a segment has {MAX_VIPS} VRIDs"


def _may_fit(question: CapacityQuestion, vips: int) -> bool:
    """Whether the busiest remaining director could fit by the number of its VIPs alone."""
    busiest = -(-vips // (question.hosts - question.failures))
    return question.traffic_bps * busiest / vips <= question.allowed_bps


def _plan(
    question: CapacityQuestion,
    lists: Lists,
    *,
    shares: Sequence[Fraction] = (),
    solution: Solution | None = None,
    fewest: bool = True,
) -> Plan:
    """A plan with the figures of its lists."""
    shares = shares or (Fraction(1, len(lists)),) * len(lists)
    traffic_bps, hosts = question.traffic_bps, question.hosts
    after_bps = traffic_bps * worst_load(lists, shares, hosts, question.failures)
    at_least_bps = after_bps
    if solution and not solution.proven:
        at_least_bps = min(after_bps, traffic_bps * solution.after_at_least)
    held = loads(lists, (Fraction(1),) * len(lists), hosts, frozenset())
    return Plan(
        lists=lists,
        held=tuple(int(vips) for vips in held),
        worst_before_bps=traffic_bps * worst_load(lists, shares, hosts, 0),
        worst_after_bps=after_bps,
        after_at_least_bps=at_least_bps,
        proven=solution is None or solution.proven,
        fewest=fewest,
    )
