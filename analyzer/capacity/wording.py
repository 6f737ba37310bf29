"""Sentences about a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

    from analyzer.capacity.question import Capacity, CapacityQuestion, Plan

_UNITS = ((1e12, "Tbit/s"), (1e9, "Gbit/s"), (1e6, "Mbit/s"), (1e3, "kbit/s"))
FULL = 0.99  # of a link
FULL_LINK = "; nothing is left for a burst"


def director_name(index: int) -> str:
    """What a lab calls the director of this index, counted from 0: ``bal01``."""
    return f"bal{index + 1:02}"


def verdict(capacity: Capacity) -> str:
    """The answer in a sentence or two."""
    question = capacity.question
    if not capacity.feasible:
        return f"It cannot be done: {capacity.why}."
    plan = capacity.plans[capacity.recommended] if capacity.recommended else None
    if plan is None:
        return f"Possible, but no plan was found in the time given: {capacity.why}."
    text = (
        f"Use {count(plan.vips, 'VIP')}: the busiest director carries "
        f"{bit_rate(plan.worst_before_bps)} while all are well and "
        f"{bit_rate(plan.worst_after_bps)} after {losses(question.failures)}, "
        f"{share_of_link(question, plan):.0%} of its link."
    )
    return text + (" Nothing is left for a burst." if is_full(question, plan) else "")


def why_impossible(question: CapacityQuestion) -> str | None:
    """Why no number of VIPs suffices; None if one may."""
    left = question.hosts - question.failures
    if left < 1:
        return f"{count(question.hosts, 'director')} cannot lose {question.failures}"
    each_bps = question.traffic_bps / left
    if each_bps <= question.allowed_bps:
        return None
    return (
        f"after {losses(question.failures)} {_those_left(left)} would carry "
        f"{bit_rate(each_bps)} even if all were shared alike, and {allowed(question)}"
    )


def why_possible(question: CapacityQuestion) -> str:
    """Why it is feasible, in a sentence."""
    left = question.hosts - question.failures
    each = bit_rate(question.traffic_bps / left)
    return (
        f"after {losses(question.failures)} {_those_left(left)} would carry {each} if all were "
        f"shared alike, and {allowed(question)}"
    )


def why_row(question: CapacityQuestion, plan: Plan, *, fits: bool) -> str:
    """Why a number of VIPs fits or not."""
    left = question.hosts - question.failures
    busiest = round(plan.worst_after_bps / question.traffic_bps * plan.vips)
    if not fits:
        return f"one director carries {busiest} of {count(plan.vips, 'VIP')}: " + (
            f"{plan.vips} cannot be split evenly among {left}"
            if plan.vips % left
            else f"no fixed lists split them evenly among any {left}"
        )
    return _how_even(plan, busiest, left) + (FULL_LINK if is_full(question, plan) else "")


def _how_even(plan: Plan, busiest: int, left: int) -> str:
    idle = plan.held.count(0)
    if idle:
        return f"{count(idle, 'director')} idle while all are well"
    if max(plan.held) > min(plan.held):
        return f"uneven while all are well: {', '.join(map(str, plan.held))}"
    if busiest * left == plan.vips:
        return "even before and after"
    return f"even while all are well; then one director carries {busiest} of {plan.vips}"


def why_shares(
    question: CapacityQuestion, plan: Plan, shares: Sequence[Fraction], *, fits: bool
) -> str:
    """Why VIPs of unequal shares fit or not."""
    after = f"{bit_rate(plan.worst_after_bps)} on one director after {losses(question.failures)}"
    if fits:
        return f"fits: at most {after}"
    alone = question.traffic_bps * max(shares) > question.allowed_bps
    reason = "; the largest VIP alone is more than a link may carry" if alone else ""
    return f"does not fit: {after}{reason}"


def allowed(question: CapacityQuestion) -> str:
    """The allowed average load of a link, in words."""
    text = f"a link may carry {bit_rate(question.allowed_bps)}"
    parts = []
    if question.utilisation != 1:
        parts.append(f"{float(question.utilisation):.4g} of {bit_rate(question.link_bps)}")
    if question.burst != 1:
        parts.append(f"bursts of {float(question.burst):.4g} times the average")
    return f"{text} ({', '.join(parts)})" if parts else text


def share_of_link(question: CapacityQuestion, plan: Plan) -> float:
    """The busiest link's average load after the losses, as a share of the link."""
    return float(plan.worst_after_bps / question.link_bps)


def is_full(question: CapacityQuestion, plan: Plan) -> bool:
    """Whether the busiest link's bursts fill it after the losses."""
    return share_of_link(question, plan) * float(question.burst) >= FULL


def bit_rate(bps: Fraction) -> str:
    """A bit rate to four digits: ``750 Mbit/s``."""
    value = float(bps)
    for size, unit in _UNITS:
        if value >= size:
            return f"{value / size:.4g} {unit}"
    return f"{value:.4g} bit/s"


def losses(failures: int) -> str:
    """``1 loss``, ``2 losses``."""
    return count(failures, "loss", "losses")


def count(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def _those_left(left: int) -> str:
    return "the one left" if left == 1 else f"each of the {left} left"
