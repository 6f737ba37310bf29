"""A Proof as one HTML page: measured bars beside computed ones against the link, per loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from analyzer.capacity.proof import TOLERANCE
from analyzer.capacity.proof_results import to_json
from analyzer.capacity.proof_wording import rate, share, verdict
from reports.capacity import proof_text as words
from reports.charts.panels import LEGEND_BELOW, Panel, axis_name, stacked
from reports.charts.theme import BAD, CALM, PALETTE, plain
from reports.charts.wording import Headline
from reports.run.page import render, script_json
from reports.run.section import Chart, DataTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.capacity.proof import Carried, Proof, ProofState, ProvenLoss

TALL_PX, FOOT_PX = 150, 90
BARS = (("computed", CALM, "/"), ("measured", PALETTE["blue"][0], ""))
"""Name, colour and pattern of the two bars of each director."""


def render_proof(proof: Proof) -> str:
    """One HTML document that needs nothing else."""
    context = {
        "proof": proof,
        "verdict": verdict(proof),
        "headlines": headlines(proof),
        "chart": chart(proof),
        "words": words,
        "rate": rate,
        "document": script_json(to_json(proof)),
    }
    return render("capacity_proof.html", context)


def headlines(proof: Proof) -> tuple[Headline, ...]:
    """The farthest share, the busiest link and the losses after a take-over."""
    worst = proof.worst_difference
    after = [loss.after for loss in proof.losses if loss.after]
    return (
        Headline(
            label="Farthest from computed",
            value=None if worst is None else f"{worst:+.1%}",
            detail=f"of a director's share; {TOLERANCE:.0%} is allowed",
            alarming=worst is not None and abs(worst) > TOLERANCE,
        ),
        _busiest(after),
        _lost(after),
    )


def _busiest(states: Sequence[ProofState]) -> Headline:
    carried = [each for state in states for each in state.carried if each.measured_bps is not None]
    worst = max(carried, key=lambda each: each.measured_bps or 0.0, default=None)
    if worst is None or worst.measured_bps is None:
        return Headline(label="Busiest link after a loss", value=None, detail="")
    return Headline(
        label="Busiest link after a loss",
        value=f"{worst.measured_bps / worst.link_bps:.0%}",
        detail=f"{rate(worst.measured_bps)} on {worst.director}",
    )


def _lost(states: Sequence[ProofState]) -> Headline:
    known = [state for state in states if state.lost_share is not None]
    worst = max(known, key=lambda state: state.lost_share or 0.0, default=None)
    if worst is None or worst.lost_share is None:
        return Headline(label="Lost after a take-over", value=None, detail="")
    return Headline(
        label="Lost after a take-over",
        value=share(worst.lost_share),
        detail=f"{worst.lost:,} of {worst.sent:,}; computed {share(worst.computed_lost_share)}",
        alarming=worst.lost_share > TOLERANCE,
    )


def chart(proof: Proof) -> Chart | None:
    """A panel per loss: each director before and after, computed beside measured."""
    shown = [loss for loss in proof.losses if loss.before]
    if not shown:
        return None
    panels = [_panel(loss, legend=number == 0) for number, loss in enumerate(shown)]
    figure = stacked(panels, foot_px=FOOT_PX)
    figure.update_layout(showlegend=True, legend=LEGEND_BELOW, barmode="group", bargap=0.3)
    figure.update_layout(xaxis={"showgrid": False, "fixedrange": True, "type": "category"})
    for number in range(len(shown)):
        _mark_link(figure, axis_name("y", number), float(proof.experiment.question.link_bps))
    return Chart(id="proof-chart", figure=figure, caption=caption(proof), table=_data(shown))


def caption(proof: Proof) -> str:
    """What the chart shows, with its numbers."""
    worst = proof.worst_difference
    far = "unknown" if worst is None else f"{worst:+.1%}"
    text = (
        f"Averages over {_window_s(proof):g} s before and after each loss; the line is the link. "
        f"The farthest measured bar from its computed one: {far}."
    )
    if proof.experiment.question.burst != 1:
        text += " Computed is what a link with such a queue lets through of the bursts."
    return text


def _window_s(proof: Proof) -> float:
    return max(state.seconds for state in proof.states)


def _panel(loss: ProvenLoss, *, legend: bool) -> Panel:
    rows = _rows(loss)
    top = max(max(each.computed_bps, each.link_bps) for _, each in rows) / 1e9
    return Panel(
        title=f"{plain(' and '.join(loss.down))} dies: each link before and after, Gbit/s",
        height_px=TALL_PX,
        traces=[
            go.Bar(
                name=name,
                legendgroup=name,
                showlegend=legend,
                x=[label for label, _ in rows],
                y=[_gbps(each, name) for _, each in rows],
                marker={"color": colour, "pattern": {"shape": pattern, "solidity": 0.3}},
                hovertemplate=f"%{{x}}: %{{y:.4g}} Gbit/s {name}<extra></extra>",
                cliponaxis=False,
            )
            for name, colour, pattern in BARS
        ],
        axis={"range": [0, 1.15 * top], "tickformat": "~g"},
    )


def _gbps(each: Carried, name: str) -> float | None:
    bps = each.measured_bps if name == "measured" else each.computed_bps
    return None if bps is None else bps / 1e9


def _rows(loss: ProvenLoss) -> list[tuple[str, Carried]]:
    """Label and director, those of before first."""
    return [
        (f"{plain(each.director)}<br>{when}", each)
        for when, state in (("before", loss.before), ("after", loss.after))
        if state
        for each in state.carried
    ]


def _mark_link(figure: go.Figure, axis: str, link_bps: float) -> None:
    at = link_bps / 1e9
    line = {"width": 1.5, "color": BAD}
    figure.add_shape(type="line", x0=0, x1=1, xref="paper", y0=at, y1=at, yref=axis, line=line)
    figure.add_annotation(
        x=1,
        xref="paper",
        xanchor="right",
        y=at,
        yref=axis,
        yanchor="bottom",
        text="link",
        showarrow=False,
        font={"size": 11, "color": BAD},
    )


def _data(shown: Sequence[ProvenLoss]) -> DataTable:
    rows: list[tuple[Any, ...]] = [
        (
            f"{each.director}, {words.state_title(state)}, {' and '.join(loss.down)} dies",
            each.offered_bps / 1e9,
            each.computed_bps / 1e9,
            None if each.measured_bps is None else each.measured_bps / 1e9,
            None if each.difference is None else each.difference * 100,
        )
        for loss in shown
        for state in (loss.before, loss.after)
        if state
        for each in state.carried
    ]
    columns = ("link", "offered, Gbit/s", "computed, Gbit/s", "measured, Gbit/s", "difference, %")
    return DataTable(columns=columns, rows=rows)
