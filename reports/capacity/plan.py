"""A Capacity as a Document: how many VIPs, who holds which, and why not fewer."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from analyzer.capacity.document import to_json
from analyzer.capacity.question import PLAN_NAMES
from analyzer.capacity.wording import (
    bit_rate,
    count,
    director_name,
    losses,
    share_of_link,
    verdict,
)
from reports.charts.wording import Headline
from reports.document.model import Column, Document, Labelled, Section, Table, Text, columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.capacity.question import Capacity, CapacityQuestion, Plan, PlanName
    from reports.document.model import Block
    from reports.run.section import Chart

MAX_LISTS = 24  # shown in a terminal
PLAN_TITLES = {
    "minimum": "fewest VIPs",
    "all_active": "fewest with every director at work",
    "balanced": "loads alike at every time",
}
ECMP = (
    "Without VIPs that move: a router that spreads flows over all directors (ECMP), with a "
    "consistent hash there and in IPVS (mh, sloppy_tcp), loads all alike at any number of them: "
)
TABLE_COLUMNS = (
    Column("VIPs", right=True),
    Column("Held by each director", "held"),
    Column("Busiest before", "before", right=True),
    Column("Busiest after", "after", right=True),
    Column("Of the link", "of link", right=True),
    Column("Does it fit?", "fits"),
)


def capacity_document(capacity: Capacity) -> Document:
    """The answer, the chart, the three plans and who holds which VIP."""
    best = capacity.plans[capacity.recommended] if capacity.recommended else None
    chart: list[Block] = [partial(_chart, capacity)] if best else []
    sections = (
        Section("loads", "Who carries what, and after whose loss", chart),
        Section("plans", "Three answers to “how few”", [_plans(capacity), *_ecmp(capacity)]),
        Section("table", "One VIP more, one VIP fewer", [_table(capacity)]),
        Section("shares", "VIPs of the shares given", _shares(capacity)),
        Section("lists", "Who holds which VIP", _lists(capacity, best) if best else []),
    )
    return Document(
        kind="capacity",
        origin="Computed; nothing was sent",
        verdict=verdict(capacity),
        json=to_json(capacity),
        headlines=_headlines(capacity, best) if best else (),
        asked=_asked(capacity.question),
        sections=sections if capacity.feasible else (),
    )


def _headlines(capacity: Capacity, plan: Plan) -> tuple[Headline, ...]:
    """How many VIPs, and the busiest link before and after."""
    question = capacity.question
    title = PLAN_TITLES[capacity.recommended or "balanced"]
    return (
        Headline(
            "Virtual IPs",
            str(plan.vips),
            f"over {count(question.hosts, 'director')}; {title}",
        ),
        Headline(
            "Busiest link, all well",
            f"{float(plan.worst_before_bps / question.link_bps):.0%}",
            bit_rate(plan.worst_before_bps),
        ),
        Headline(
            f"Busiest link, after {losses(question.failures)}",
            f"{share_of_link(question, plan):.0%}",
            f"{bit_rate(plan.worst_after_bps)}; {bit_rate(question.allowed_bps)} allowed",
        ),
    )


def _asked(question: CapacityQuestion) -> str:
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


def _chart(capacity: Capacity) -> Chart | None:
    from reports.capacity.plan_chart import chart

    return chart(capacity)


def _plans(capacity: Capacity) -> Table:
    rows = [
        (
            name,
            Labelled(PLAN_TITLES[name], "recommended" if name == capacity.recommended else ""),
            _plan_line(capacity, name),
        )
        for name in PLAN_NAMES
    ]
    shown = (Column("", "plan"), *columns("answer", "loads"))
    return Table(columns=shown, rows=rows, style="narrow", head=False)


def _plan_line(capacity: Capacity, name: PlanName) -> str:
    plan = capacity.plans[name]
    if plan is None:
        return f"none: {capacity.without_plan[name]}"
    return (
        f"{plan.vips} VIPs; at most {bit_rate(plan.worst_before_bps)} before, "
        f"{bit_rate(plan.worst_after_bps)} after "
        f"({share_of_link(capacity.question, plan):.0%} of the link){_unproven(plan)}"
    )


def _ecmp(capacity: Capacity) -> list[Block]:
    """The alternative, in a line to compare; none where nothing helps."""
    if capacity.even_before_bps is None or capacity.even_after_bps is None:
        return []
    before, after = bit_rate(capacity.even_before_bps), bit_rate(capacity.even_after_bps)
    return [Text(f"{ECMP}{before} before, {after} after.")]


def _unproven(plan: Plan) -> str:
    """What was not proven in the time given."""
    parts = []
    if not plan.fewest:
        parts.append("fewer may do")
    if not plan.proven:
        parts.append(f"within {float(plan.gap):.1%} of the best after the losses")
    return f"; not proven in the time given: {', '.join(parts)}" if parts else ""


def _table(capacity: Capacity) -> Table:
    rows = [
        (
            row.plan.vips,
            " ".join(map(str, row.plan.held)),
            bit_rate(row.plan.worst_before_bps),
            bit_rate(row.plan.worst_after_bps),
            f"{share_of_link(capacity.question, row.plan):.0%}",
            Labelled("yes" if row.fits else "no", row.why + _unproven(row.plan)),
        )
        for row in capacity.table
    ]
    return Table(columns=TABLE_COLUMNS, rows=rows, style="wide")


def _shares(capacity: Capacity) -> list[Block]:
    row, shares = capacity.by_shares, capacity.question.shares
    if row is None:
        return []
    title = f"VIPs of the shares given: {row.why}{_unproven(row.plan)}"
    rows = [
        (f"{float(share / sum(shares)):.1%}", _in_order(order))
        for share, order in zip(shares, row.plan.lists, strict=True)
    ]
    return [_narrow(title, columns("share", "directors"), rows)]


def _lists(capacity: Capacity, plan: Plan) -> list[Block]:
    title = f"Directors of each VIP, first choice first ({capacity.recommended})"
    rows = [(f"VIP {n}", _in_order(order)) for n, order in enumerate(plan.lists, start=1)]
    return [_narrow(title, columns("VIP", "directors"), rows)]


def _narrow(title: str, names: Sequence[Column], rows: Sequence[tuple[str, str]]) -> Table:
    return Table(title=title, columns=names, rows=rows, style="narrow", head=False, most=MAX_LISTS)


def _in_order(directors: Sequence[int]) -> str:
    return " ".join(map(director_name, directors))
