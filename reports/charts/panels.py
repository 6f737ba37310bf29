"""Panels below one another over a single x axis: the frame of every chart."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from reports.charts.theme import BAND, FONT, GRID, INK, MUTED, PAPER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reports.charts.figure import Figure, Trace

GAP_PX, HEAD_PX, FOOT_PX = 46, 44, 46  # between panels; for title and events; for the x axis

LEGEND_BELOW = {
    "orientation": "h",
    "x": 0,
    "yref": "container",
    "y": 0,
    "yanchor": "bottom",
    "font": {"size": 12, "color": INK},
}
"""A legend below the x axis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One row of a stacked chart; its traces have no axes yet."""

    title: str
    height_px: int
    traces: Sequence[Trace]
    axis: Mapping[str, Any] = field(default_factory=dict)


def axis_name(letter: str, number: int) -> str:
    """Plotly's name of a panel's axis: ``y``, ``y2``, ``y3``, from number 0 on."""
    return letter if number == 0 else f"{letter}{number + 1}"


def stacked(
    panels: Sequence[Panel],
    xaxis: Mapping[str, Any],
    *,
    head_px: int = HEAD_PX,
    foot_px: int = FOOT_PX,
    **more: Any,
) -> Figure:
    """Panels below one another over a single x axis, each with its title above it.

    Args:
        panels: from the top down.
        xaxis: what the axis has beyond its looks, such as ``time_axis``.
        head_px: above the first panel.
        foot_px: below the last.
        **more: other attributes of the layout.
    """
    plot_px = sum(panel.height_px for panel in panels) + GAP_PX * (len(panels) - 1)
    layout = _layout(plot_px, head_px, foot_px)
    data: list[Trace] = []
    top_px = float(plot_px)
    for number, panel in enumerate(panels):
        axis, bottom_px = axis_name("y", number), top_px - panel.height_px
        data += [{**trace, "xaxis": "x", "yaxis": axis} for trace in panel.traces]
        domain = [max(bottom_px, 0) / plot_px, top_px / plot_px]
        name = axis.replace("y", "yaxis")
        layout[name] = _y_axis() | {"domain": domain} | dict(panel.axis)
        layout["annotations"].append(_title(panel.title, domain[1]))
        top_px = bottom_px - GAP_PX
    layout["xaxis"] |= {"anchor": axis_name("y", len(panels) - 1), **xaxis}
    return {"data": data, "layout": layout | more}


def _layout(plot_px: int, head_px: int, foot_px: int) -> dict[str, Any]:
    return {
        "template": {"data": {"scatter": [{"type": "scatter"}]}},  # as plotly writes an empty one
        "height": plot_px + head_px + foot_px,
        "margin": {"l": 46, "r": 14, "t": head_px, "b": foot_px},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": FONT, "size": 12, "color": MUTED},
        "hoverlabel": {"bgcolor": BAND, "bordercolor": MUTED, "font": {"color": INK}},
        "hovermode": "closest",
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": MUTED, "activecolor": INK},
        "showlegend": False,
        "barmode": "stack",
        "dragmode": "zoom",
        "annotations": [],
        "xaxis": {
            "showgrid": True,
            "gridcolor": GRID,
            "zeroline": False,
            "showline": True,
            "linecolor": MUTED,
            "ticks": "outside",
            "tickcolor": MUTED,
            "ticklen": 4,
        },
    }


def _y_axis() -> dict[str, Any]:
    return {
        "anchor": "x",
        "fixedrange": True,
        "gridcolor": GRID,
        "zeroline": False,
        "showline": False,
        "automargin": True,
    }


def _title(text: str, y: float) -> dict[str, Any]:
    return {
        "text": text,
        "x": 0,
        "y": y,
        "xref": "paper",
        "yref": "paper",
        "xanchor": "left",
        "yanchor": "bottom",
        "yshift": 5,
        "showarrow": False,
        "font": {"size": 12.5, "color": INK},
        "bgcolor": PAPER,  # nothing drawn behind a title may strike it through
        "borderpad": 0,
    }


def time_axis(low: float, high: float, title: str) -> dict[str, Any]:
    """An x axis of time, with a line through all panels where the pointer is."""
    return {
        "range": [low, high],
        "title": {"text": title, "standoff": 8},
        "showspikes": True,
        "spikemode": "across",
        "spikesnap": "cursor",
        "spikethickness": 1,
        "spikedash": "1px,3px",
        "spikecolor": MUTED,
    }


def whole_numbers(top: int) -> dict[str, Any]:
    """An axis for counts from zero: about four whole ticks, and room for a mark at each end."""
    top = max(top, 1)
    step = max(1, int(nice(top / 4)))
    return {"range": [-0.07 * top, 1.1 * top], "dtick": step, "tick0": 0, "tickformat": "~s"}


def nice(value: float) -> float:
    """The next 1, 2 or 5 times a power of ten."""
    if not np.isfinite(value) or value <= 0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(value))
    return float(next(m * power for m in (1, 2, 5, 10) if value <= m * power * 1.0001))
