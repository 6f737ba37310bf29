"""Three answers to "how few VIPs", and which one to take.

Feasible at all is a matter of arithmetic: the traffic, over those that remain, against a link. How
few VIPs make it so is not: the worst load falls and rises again as VIPs are added (4 do where 5 do
not), so each number is tried.
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
"""Recommended is the first of these that there is: even loads have the most room at every time."""

PART_OF_THE_TIME = 1 / 3
"""What one number of VIPs may take of the time that is left, so that others get their turn."""


def plan_capacity(question: CapacityQuestion, left_s: Callable[[], float]) -> Capacity:
    """The plans, their table, and the reason if there are none.

    Args:
        question: what is asked.
        left_s: the time that is left, seconds; 20 are enough to be exact to 6 directors and 3
            failures, or 8 and 1. When it is up, the best found is given with its gap.
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
    """The best lists for a number of VIPs of equal share, whether they fit or not.

    Args:
        question: what is asked.
        vips: how many.
        left_s: the time that is left, seconds; None if nothing was found in it.
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
    """One question's programs; each is solved once."""

    def __init__(self, question: CapacityQuestion, left_s: Callable[[], float]) -> None:
        self._question = question
        self._left_s = left_s
        self._solved: dict[tuple[int, bool], Solution | None] = {}

    def plans(self) -> tuple[dict[PlanName, Plan | None], dict[PlanName, str]]:
        """Each plan, or why it is None."""
        question = self._question
        found: dict[PlanName, tuple[Plan | None, str]] = {
            "minimum": self._fewest(all_active=False),
            "all_active": self._fewest(all_active=True),
            "balanced": (_balanced(question), _why_unbalanced(question)),
        }
        plans = {name: plan for name, (plan, _) in found.items()}
        return plans, {name: why for name, (plan, why) in found.items() if plan is None}

    def table(self, plans: Mapping[PlanName, Plan | None]) -> Iterator[TableRow]:
        """The best of each number of VIPs, from 1 up, and the plans' own numbers."""
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
        """The fewest VIPs of equal share that survive; or None, and why."""
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
        """The best lists for so many VIPs of equal share; None if none were found in time."""
        if vips == balanced_vips(self._question.hosts, self._question.failures):
            return _balanced(self._question)
        return self._equal(vips, all_active=False)

    def _equal(self, vips: int, *, all_active: bool, fewest: bool = True) -> Plan | None:
        """The best plan for so many VIPs of equal share; None if none was found in time."""
        asked = (vips, all_active)
        if asked not in self._solved:
            self._solved[asked] = self._solve((Fraction(1, vips),) * vips, all_active=all_active)
        solution = self._solved[asked]
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
    """The even plan; in closed form, so always proven."""
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
    """Whether the busiest of those left could stay within its link, were it only for counting."""
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
    """A plan's figures, counted from its lists, whoever made them."""
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
