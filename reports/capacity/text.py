"""A Capacity in words and lines: what its page and the terminal share."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from analyzer.capacity.question import PLAN_NAMES
from analyzer.capacity.wording import bit_rate, count, share_of_link, verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.capacity.question import Capacity, CapacityQuestion, Plan

WIDTH = 100
MAX_LISTS = 24  # shown in a terminal; all of them are in the JSON
PLAN_TITLES = {
    "minimum": "fewest VIPs",
    "all_active": "fewest with every director at work",
    "balanced": "loads alike at every time",
}
ECMP = (
    "Without VIPs that move: a router that spreads flows over all directors (ECMP), with a "
    "consistent hash there and in IPVS (mh, sloppy_tcp), loads all alike at any number of them: "
)


def asked(question: CapacityQuestion) -> str:
    """The question in one line."""
    traffic = f"{bit_rate(question.ingress_bps)} in"
    if question.egress_bps:
        traffic += f" and {bit_rate(question.egress_bps)} of answers (nat)"
    parts = [
        f"{count(question.hosts, 'director')} with {bit_rate(question.link_bps)} links",
        traffic,
        f"up to {question.failures} down at once",
        f"utilisation up to {float(question.utilisation):.0%}",
    ]
    if question.burst != 1:
        parts.append(f"bursts of {float(question.burst):.4g} times the average")
    return "; ".join(parts) + "."


def ecmp(capacity: Capacity) -> str:
    """The alternative, in a line to compare; "" where nothing helps."""
    if capacity.even_before_bps is None or capacity.even_after_bps is None:
        return ""
    before, after = bit_rate(capacity.even_before_bps), bit_rate(capacity.even_after_bps)
    return f"{ECMP}{before} before, {after} after."


def plan_line(capacity: Capacity, name: str) -> str:
    """A plan's figures, or why there is none."""
    plan = capacity.plans[name]  # type: ignore[index]
    if plan is None:
        return f"none: {capacity.without_plan[name]}"  # type: ignore[index]
    after = share_of_link(capacity.question, plan)
    text = (
        f"{plan.vips} VIPs; at most {bit_rate(plan.worst_before_bps)} before, "
        f"{bit_rate(plan.worst_after_bps)} after ({after:.0%} of the link)"
    )
    return text + doubt(plan)


def doubt(plan: Plan) -> str:
    """What was not proven in the time given."""
    parts = []
    if not plan.fewest:
        parts.append("fewer may do")
    if not plan.proven:
        parts.append(f"within {float(plan.gap):.1%} of the best after the losses")
    return f"; not proven in the time given: {', '.join(parts)}" if parts else ""


def order_of(directors: Sequence[int]) -> str:
    """A VIP's directors, first choice first, from 0 as in the JSON."""
    return " ".join(map(str, directors))


def summary_lines(capacity: Capacity) -> list[str]:
    """The answer as plain lines of at most 100 columns, but for long lists."""
    blocks = [
        textwrap.wrap(verdict(capacity), WIDTH),
        textwrap.wrap(asked(capacity.question), WIDTH),
    ]
    if capacity.feasible:
        blocks += [_plans(capacity), _table(capacity), _shares(capacity), _lists(capacity)]
        blocks.append(textwrap.wrap(ecmp(capacity), WIDTH))
    lines: list[str] = []
    for block in filter(None, blocks):
        lines += [""] * bool(lines) + block
    return lines


def _plans(capacity: Capacity) -> list[str]:
    lines = []
    for name in PLAN_NAMES:
        star = "*" if name == capacity.recommended else " "
        text = f"{star} {name:<11} {PLAN_TITLES[name]}: {plan_line(capacity, name)}"
        lines += textwrap.wrap(text, WIDTH, subsequent_indent=" " * 14)
    return lines


def _table(capacity: Capacity) -> list[str]:
    lines = [f"{'VIPs':>4}  {'held':<24}{'before':>13}{'after':>13}{'of link':>9}  fits"]
    for row in capacity.table:
        plan = row.plan
        held = " ".join(map(str, plan.held))
        share = f"{share_of_link(capacity.question, plan):.0%}"
        fits = "yes" if row.fits else "no"
        lines.append(
            f"{plan.vips:>4}  {held:<24}{bit_rate(plan.worst_before_bps):>13}"
            f"{bit_rate(plan.worst_after_bps):>13}{share:>9}  {fits}: {row.why}{doubt(plan)}"
        )
    return lines


def _shares(capacity: Capacity) -> list[str]:
    row = capacity.by_shares
    if row is None:
        return []
    lines = [f"VIPs of the shares given: {row.why}{doubt(row.plan)}"]
    total = sum(capacity.question.shares)
    for share, order in zip(capacity.question.shares, row.plan.lists, strict=True):
        lines.append(f"  {float(share / total):>6.1%}  {order_of(order)}")
    return lines


def _lists(capacity: Capacity) -> list[str]:
    plan = capacity.plans[capacity.recommended] if capacity.recommended else None
    if plan is None:
        return []
    lines = [f"Directors of each VIP, first choice first ({capacity.recommended}):"]
    lines += [
        f"  VIP {number:>3}  {order_of(order)}"
        for number, order in enumerate(plan.lists[:MAX_LISTS], start=1)
    ]
    more = plan.vips - MAX_LISTS
    return lines + ([f"  … and {more} more: --json has them all"] if more > 0 else [])
