"""Measured bars beside computed ones against the link, before and after each loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

import plotly.graph_objects as go

from reports.charts.panels import LEGEND_BELOW, Panel, axis_name, stacked
from reports.charts.theme import CALM, PALETTE, plain
from reports.document.figures import CATEGORIES, mark_level

if TYPE_CHECKING:
    from analyzer.capacity.proof import Carried, Proof, ProvenLoss

TALL_PX, FOOT_PX = 150, 90
BARS = (("computed", CALM, "/"), ("measured", PALETTE["blue"][0], ""))
"""Name, colour and pattern of the two bars of each director."""


def bars(proof: Proof) -> go.Figure:
    """A panel per loss: each director before and after, computed beside measured."""
    shown = [loss for loss in proof.losses if loss.before]
    panels = [_panel(loss, legend=number == 0) for number, loss in enumerate(shown)]
    figure = stacked(panels, foot_px=FOOT_PX)
    figure.update_layout(showlegend=True, legend=LEGEND_BELOW, xaxis=CATEGORIES)
    figure.update_layout(barmode="group", bargap=0.3)
    for number in range(len(shown)):
        link_gbps = float(proof.experiment.question.link_bps) / 1e9
        mark_level(figure, axis_name("y", number), link_gbps, "link")
    return figure


def _panel(loss: ProvenLoss, *, legend: bool) -> Panel:
    rows = [
        (f"{plain(each.director)}<br>{when}", each)
        for when, state in (("before", loss.before), ("after", loss.after))
        if state
        for each in state.carried
    ]
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
                y=[_gbps(each)[name] for _, each in rows],
                marker={"color": colour, "pattern": {"shape": pattern, "solidity": 0.3}},
                hovertemplate=f"%{{x}}: %{{y:.4g}} Gbit/s {name}<extra></extra>",
                cliponaxis=False,
            )
            for name, colour, pattern in BARS
        ],
        axis={"range": [0, 1.15 * top], "tickformat": "~g"},
    )


def _gbps(each: Carried) -> dict[str, float | None]:
    measured = None if each.measured_bps is None else each.measured_bps / 1e9
    return {"computed": each.computed_bps / 1e9, "measured": measured}
