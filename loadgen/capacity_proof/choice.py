"""Which lists are proven: those of a plan by its name, or the best for a number of VIPs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.capacity.planner import best_plan, plan_capacity
from loadgen.errors import UsageProblem

if TYPE_CHECKING:
    from collections.abc import Callable

    from analyzer.capacity.question import CapacityQuestion, Lists


def lists_of_plan(
    question: CapacityQuestion, name: str | None, left_s: Callable[[], float]
) -> Lists:
    """A plan's lists; those of the recommended one unless it is named.

    Raises:
        UsageProblem: there is no such plan; the line says why.
    """
    capacity = plan_capacity(question, left_s)
    plans = dict(capacity.plans)
    chosen = name or capacity.recommended
    plan = next((candidate for plan_name, candidate in plans.items() if plan_name == chosen), None)
    if plan is None:
        why = dict(capacity.without_plan).get(chosen or "", capacity.why)  # type: ignore[call-overload]
        raise UsageProblem(f"there is no plan to prove: {why} (--vips tries any number of them)")
    return plan.lists


def lists_of_vips(question: CapacityQuestion, vips: int, left_s: Callable[[], float]) -> Lists:
    """The best lists for so many VIPs, whether they fit or not.

    Raises:
        UsageProblem: none were found in time.
    """
    plan = best_plan(question, vips, left_s)
    if plan is None:
        raise UsageProblem(f"--vips {vips}: no lists were found in the time given")
    return plan.lists
