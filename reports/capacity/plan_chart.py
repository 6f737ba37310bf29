"""Average load of each director against its link, all well and after each loss."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations
from math import comb
from typing import TYPE_CHECKING

from analyzer.capacity.lattice import loads
from analyzer.capacity.wording import bit_rate, count, director_name, share_of_link
from reports.charts.panels import Panel, axis_name
from reports.charts.theme import MUTED, PALETTE
from reports.charts.wording import listed
from reports.document.figures import bars, grouped_bars, mark_level
from reports.run.section import Chart, DataTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.capacity.question import Capacity, CapacityQuestion, Plan
    from reports.charts.figure import Trace

TALL_PX, FOOT_PX = 210, 84
MAX_LOSSES = 8  # shown one by one; of more, the worst of each number of losses
BARS = (("blue", ""), ("orange", "/"), ("green", "."), ("pink", "\\"), ("sky", "x"))
"""Colour and pattern of each director's bar; colours come round again, with other patterns."""


Loss = tuple[str, tuple[float, ...]]
"""A state of the directors, and what each then carries on average, Gbit/s."""


def chart(capacity: Capacity) -> Chart | None:
    """Loads per director against the link: one VIP each, and what is recommended."""
    plans = _compared(capacity)
    if not plans:
        return None
    question = capacity.question
    shown = [(plan, _losses(question, plan)) for plan in plans]
    panels = [_panel(question, *each, legend=n == 0) for n, each in enumerate(shown)]
    figure = grouped_bars(panels, foot_px=FOOT_PX, bargap=0.25, bargroupgap=0.08)
    for axis in (axis_name("y", n) for n in range(len(shown))):
        mark_level(figure, axis, _gbps(question.link_bps), "link")
        if question.allowed_bps != question.link_bps:
            mark_level(figure, axis, _gbps(question.allowed_bps), "allowed", MUTED, "4px,3px")
    table = DataTable(
        columns=("VIPs, state", *(f"{director_name(n)}, Gbit/s" for n in range(question.hosts))),
        rows=[
            (f"{plan.vips}, {label}", *carried)
            for plan, states in shown
            for label, carried in states
        ],
    )
    return Chart(id="loads-chart", figure=figure, caption=_caption(question, plans), table=table)


def _compared(capacity: Capacity) -> list[Plan]:
    """The plan that comes to mind first, one VIP a director, above the recommended one."""
    best = capacity.plans[capacity.recommended] if capacity.recommended else None
    if best is None:
        return []
    naive = {row.plan.vips: row.plan for row in capacity.table}.get(capacity.question.hosts)
    return [naive, best] if naive and naive.vips != best.vips else [best]


def _losses(question: CapacityQuestion, plan: Plan) -> list[Loss]:
    """All well, then each loss; or the worst of each number of losses where they are many."""
    states = [_loss(question, plan, (), "all well")]
    hosts = range(question.hosts)
    if question.failures and comb(question.hosts, question.failures) <= MAX_LOSSES:
        sets = combinations(hosts, question.failures)
        return states + [_loss(question, plan, down, _down(down)) for down in sets]
    for number in range(1, question.failures + 1):
        label = f"worst {count(number, 'loss', 'losses')}"
        each = [_loss(question, plan, down, label) for down in combinations(hosts, number)]
        states.append(max(each, key=lambda loss: max(loss[1])))
    return states


def _down(directors: Sequence[int]) -> str:
    return f"{listed([*map(director_name, directors)])} down"


def _loss(question: CapacityQuestion, plan: Plan, down: Sequence[int], label: str) -> Loss:
    shares = (Fraction(1, plan.vips),) * plan.vips
    carried = loads(plan.lists, shares, question.hosts, frozenset(down))
    return label, tuple(_gbps(share * question.traffic_bps) for share in carried)


def _gbps(bps: Fraction) -> float:
    return float(bps / 10**9)


def _caption(question: CapacityQuestion, plans: Sequence[Plan]) -> str:
    parts = [
        f"With {count(plan.vips, 'VIP')} the busiest director carries "
        f"{bit_rate(plan.worst_before_bps)} while all are well and "
        f"{bit_rate(plan.worst_after_bps)} after the losses, "
        f"{share_of_link(question, plan):.0%} of its link."
        for plan in plans
    ]
    return " ".join([*parts, "Bars are averages; the line is the link."])


def _panel(
    question: CapacityQuestion, plan: Plan, states: Sequence[Loss], *, legend: bool
) -> Panel:
    top = max(*(max(carried) for _, carried in states), _gbps(question.link_bps))
    return Panel(
        title=f"{count(plan.vips, 'VIP')}: average load of each director, Gbit/s",
        height_px=TALL_PX,
        traces=[_bars(director, states, legend=legend) for director in range(question.hosts)],
        axis={"range": [0, 1.12 * top], "tickformat": "~g"},
    )


def _bars(director: int, states: Sequence[Loss], *, legend: bool) -> Trace:
    hue, _ = BARS[director % len(BARS)]
    _, pattern = BARS[(director + director // len(BARS)) % len(BARS)]
    shape = {"shape": pattern, "fillmode": "overlay", "solidity": 0.25}
    marker = {"color": PALETTE[hue][0], "pattern": shape}
    x, y = [label for label, _ in states], [carried[director] for _, carried in states]
    name = director_name(director)
    hover = f"{name}: %{{y:.4g}} Gbit/s, %{{x}}"
    return bars(x, y, name, marker, hover, legend=legend)
