"""A Capacity as one HTML page: who carries what, healthy and after each loss, against the link."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from math import comb
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from analyzer.capacity.lattice import loads
from analyzer.capacity.question import PLAN_NAMES
from analyzer.capacity.results import to_json
from analyzer.capacity.wording import bit_rate, count, share_of_link, verdict
from reports.capacity import text as words
from reports.charts.panels import LEGEND_BELOW, Panel, axis_name, stacked
from reports.charts.theme import BAD, MUTED, PALETTE
from reports.charts.wording import Headline
from reports.run.page import render, script_json
from reports.run.section import Chart, DataTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.capacity.question import Capacity, CapacityQuestion, Plan

TALL_PX, FOOT_PX = 210, 84
MAX_LOSSES = 8  # shown one by one; of more, the worst of each number of losses
BARS = (("blue", ""), ("orange", "/"), ("green", "."), ("pink", "\\"), ("sky", "x"))
"""Colour and pattern of each director's bar; they come round again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """A state of the directors, and what each then carries on average, bits a second."""

    label: str
    down: frozenset[int]
    carried_bps: tuple[Fraction, ...]


def render_capacity(capacity: Capacity) -> str:
    """One HTML document that needs nothing else."""
    context = {
        "capacity": capacity,
        "question": capacity.question,
        "verdict": verdict(capacity),
        "headlines": headlines(capacity),
        "chart": chart(capacity),
        "words": words,
        "plan_names": PLAN_NAMES,
        "bit_rate": bit_rate,
        "share_of_link": share_of_link,
        "document": script_json(to_json(capacity)),
    }
    return render("capacity.html", context)


def headlines(capacity: Capacity) -> tuple[Headline, ...]:
    """How many VIPs, and the busiest link before and after."""
    plan = capacity.plans[capacity.recommended] if capacity.recommended else None
    if plan is None:
        return ()
    question = capacity.question
    before = float(plan.worst_before_bps / question.link_bps)
    return (
        Headline(
            label="Virtual IPs",
            value=str(plan.vips),
            detail=f"over {count(question.hosts, 'director')}; "
            f"{words.PLAN_TITLES[capacity.recommended or 'balanced']}",
        ),
        Headline(
            label="Busiest link, all well",
            value=f"{before:.0%}",
            detail=bit_rate(plan.worst_before_bps),
        ),
        Headline(
            label=f"Busiest link, {question.failures} down",
            value=f"{share_of_link(question, plan):.0%}",
            detail=f"{bit_rate(plan.worst_after_bps)}; {bit_rate(question.allowed_bps)} allowed",
        ),
    )


def chart(capacity: Capacity) -> Chart | None:
    """Loads per director against the link: one VIP each, and what is recommended."""
    plans = compared(capacity)
    if not plans:
        return None
    question = capacity.question
    shown = [(plan, losses(question, plan)) for plan in plans]
    panels = [
        _panel(question, plan, states, legend=number == 0)
        for number, (plan, states) in enumerate(shown)
    ]
    figure = stacked(panels, foot_px=FOOT_PX)
    figure.update_layout(showlegend=True, legend=LEGEND_BELOW)
    figure.update_layout(barmode="group", bargap=0.25, bargroupgap=0.08)
    figure.update_layout(xaxis={"showgrid": False, "fixedrange": True, "type": "category"})
    for number in range(len(shown)):
        _mark_link(figure, axis_name("y", number), question)
    return Chart(
        id="loads-chart",
        figure=figure,
        caption=caption(question, plans),
        table=_data(question, shown),
    )


def compared(capacity: Capacity) -> list[Plan]:
    """The plan that comes to mind first, one VIP a director, above the recommended one."""
    by_vips = {row.plan.vips: row.plan for row in capacity.table}
    best = capacity.plans[capacity.recommended] if capacity.recommended else None
    if best is None:
        return []
    naive = by_vips.get(capacity.question.hosts)
    return [naive, best] if naive and naive.vips != best.vips else [best]


def losses(question: CapacityQuestion, plan: Plan) -> list[Loss]:
    """All well, then each loss; or the worst of each number of losses where they are many."""
    states = [_loss(question, plan, frozenset(), "all well")]
    hosts = range(question.hosts)
    if question.failures and comb(question.hosts, question.failures) <= MAX_LOSSES:
        sets = [frozenset(down) for down in combinations(hosts, question.failures)]
        return states + [_loss(question, plan, down, _names(down)) for down in sets]
    for number in range(1, question.failures + 1):
        each = [
            _loss(question, plan, frozenset(down), f"worst {count(number, 'loss', 'losses')}")
            for down in combinations(hosts, number)
        ]
        states.append(max(each, key=lambda loss: max(loss.carried_bps)))
    return states


def caption(question: CapacityQuestion, plans: Sequence[Plan]) -> str:
    """What the chart shows, with its numbers."""
    parts = [
        f"With {count(plan.vips, 'VIP')} the busiest director carries "
        f"{bit_rate(plan.worst_before_bps)} while all are well and "
        f"{bit_rate(plan.worst_after_bps)} after the losses, "
        f"{share_of_link(question, plan):.0%} of its link."
        for plan in plans
    ]
    return " ".join([*parts, "Bars are averages; the line is the link."])


def _loss(question: CapacityQuestion, plan: Plan, down: frozenset[int], label: str) -> Loss:
    shares = (Fraction(1, plan.vips),) * plan.vips
    carried = loads(plan.lists, shares, question.hosts, down)
    return Loss(
        label=label,
        down=down,
        carried_bps=tuple(share * question.traffic_bps for share in carried),
    )


def _names(down: frozenset[int]) -> str:
    return f"{', '.join(map(str, sorted(down)))} down"


def _panel(
    question: CapacityQuestion, plan: Plan, states: Sequence[Loss], *, legend: bool
) -> Panel:
    top = max(*(max(loss.carried_bps) for loss in states), question.link_bps)
    return Panel(
        title=f"{count(plan.vips, 'VIP')}: average load of each director, Gbit/s",
        height_px=TALL_PX,
        traces=[_bars(director, states, legend=legend) for director in range(question.hosts)],
        axis={"range": [0, 1.12 * float(top / 10**9)], "tickformat": "~g"},
    )


def _bars(director: int, states: Sequence[Loss], *, legend: bool) -> go.Bar:
    hue, pattern = BARS[director % len(BARS)]
    return go.Bar(
        name=f"director {director}",
        legendgroup=f"director {director}",
        showlegend=legend,
        x=[loss.label for loss in states],
        y=[float(loss.carried_bps[director] / 10**9) for loss in states],
        marker={
            "color": PALETTE[hue][0],
            "pattern": {"shape": pattern, "fillmode": "overlay", "solidity": 0.25},
        },
        hovertemplate=f"director {director}: %{{y:.4g}} Gbit/s, %{{x}}<extra></extra>",
        cliponaxis=False,
    )


def _mark_link(figure: go.Figure, axis: str, question: CapacityQuestion) -> None:
    """The link, and below it what may be used of it."""
    lines = [(question.link_bps, "solid", "link", BAD)]
    if question.allowed_bps != question.link_bps:
        lines.append((question.allowed_bps, "4px,3px", "allowed", MUTED))
    for bps, dash, text, colour in lines:
        at = float(bps / 10**9)
        figure.add_shape(
            type="line",
            x0=0,
            x1=1,
            xref="paper",
            y0=at,
            y1=at,
            yref=axis,
            line={"width": 1.5, "dash": dash, "color": colour},
        )
        figure.add_annotation(
            x=1,
            xref="paper",
            xanchor="right",
            y=at,
            yref=axis,
            yanchor="bottom",
            text=text,
            showarrow=False,
            font={"size": 11, "color": colour},
        )


def _data(question: CapacityQuestion, shown: Sequence[tuple[Plan, Sequence[Loss]]]) -> DataTable:
    columns = ("VIPs, state", *(f"director {n}, Gbit/s" for n in range(question.hosts)))
    rows: list[tuple[Any, ...]] = [
        (f"{plan.vips}, {loss.label}", *(float(bps / 10**9) for bps in loss.carried_bps))
        for plan, states in shown
        for loss in states
    ]
    return DataTable(columns=columns, rows=rows)
