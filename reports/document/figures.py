"""Traces and marks that the charts of several documents share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reports.charts.figure import add_annotations, add_shapes, bar, scatter
from reports.charts.panels import LEGEND_BELOW, stacked
from reports.charts.theme import BAD, PAPER

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from reports.charts.figure import Figure, Trace
    from reports.charts.panels import Panel

    Values = Sequence[Any] | np.ndarray[Any, Any]

CATEGORIES = {"showgrid": False, "fixedrange": True, "type": "category"}
"""An x axis of names."""


def line(x: Values, y: Values, name: str, colour: str, hover: str = "", **more: Any) -> Trace:
    """A line; ``hover`` is its hover text, none where it is empty; ``more`` is plotly's.

    Args:
        x: as plotly takes it.
        y: as many.
        name: of the trace.
        colour: of the line; ``line`` in ``more`` adds to it.
        hover: a template without its ``<extra>``.
        **more: other attributes of the trace.
    """
    style = {"width": 1.6, "color": colour} | more.pop("line", {})
    said = {"hovertemplate": f"{hover}<extra></extra>"} if hover else {"hoverinfo": "skip"}
    return scatter(x=x, y=y, name=name, mode="lines", line=style, **said, **more)


def marks(
    x: Values, y: Values, name: str, marker: dict[str, Any], hover: str, **more: Any
) -> Trace:
    """Marks that the edge of the chart does not cut."""
    return scatter(
        x=x,
        y=y,
        name=name,
        mode="markers",
        marker=marker,
        cliponaxis=False,
        hovertemplate=f"{hover}<extra></extra>",
        **more,
    )


def bars(
    x: Values, y: Values, name: str, marker: dict[str, Any], hover: str, *, legend: bool
) -> Trace:
    """Bars of one name in every panel; only the first panel's are in the legend."""
    return bar(
        x=x,
        y=y,
        name=name,
        legendgroup=name,
        showlegend=legend,
        marker=marker,
        cliponaxis=False,
        hovertemplate=f"{hover}<extra></extra>",
    )


def grouped_bars(panels: Sequence[Panel], *, foot_px: int, **gaps: Any) -> Figure:
    """Panels of bars side by side over names, with one legend; ``gaps`` are plotly's."""
    return stacked(
        panels,
        CATEGORIES,
        foot_px=foot_px,
        showlegend=True,
        legend=LEGEND_BELOW,
        barmode="group",
        **gaps,
    )


def mark_level(
    figure: Figure, axis: str, at: float, text: str, colour: str = BAD, dash: str = "solid"
) -> None:
    """A line across a panel, with a word at its right end."""
    style = {"width": 1.5, "dash": dash, "color": colour}
    across = {"xref": "paper", "yref": axis}
    ends = {"x0": 0, "x1": 1, "y0": at, "y1": at}
    add_shapes(figure, {"type": "line", "line": style, **ends, **across})
    font = {"size": 11, "color": colour}
    place = {"x": 1, "y": at, "xanchor": "right", "yanchor": "bottom", "showarrow": False}
    behind = {"bgcolor": PAPER, "borderpad": 1, "yshift": 2}  # a bar may reach as high
    add_annotations(figure, {"text": text, "font": font, **behind, **place, **across})


def legend_above(plot_px: float) -> dict[str, Any]:
    """Over the title of the first panel."""
    return {"orientation": "h", "x": 0, "y": 1 + 24 / plot_px, "yanchor": "bottom"}
