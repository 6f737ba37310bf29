"""ActiveConn above InActConn, from the begin of the load to the last entry's end."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from analyzer.forecast.wording import count
from reports.charts.figure import add_annotations, add_shapes
from reports.charts.panels import Panel, stacked, time_axis, whole_numbers
from reports.charts.theme import BAND, INK, MUTED, PALETTE, PAPER
from reports.document.figures import line

if TYPE_CHECKING:
    from analyzer.arrays import Floats
    from analyzer.forecast.model import Band, Forecast
    from reports.charts.figure import Figure, Trace

TITLES = {
    "active": "ActiveConn: open, or not known to be closed",
    "inactive": "InActConn: closed, not yet forgotten",
}
HUES = {"active": "orange", "inactive": "blue"}
UNITS = ((3 * 3600, 3600, "hours", "h"), (1800, 60, "minutes", "min"), (0, 1, "seconds", "s"))
SIGMAS = 2  # drawn to either side: 95 of 100 random courses at any instant
TALL_PX, FLAT_PX = 260, 40


def occupancy(forecast: Forecast) -> Figure:
    """Both counters over time, with the band of the steady state."""
    end_s = forecast.empty_after_s
    _, factor, name, unit = next(row for row in UNITS if end_s >= row[0])
    low, high = -0.015 * end_s / factor, 1.015 * end_s / factor
    axis = time_axis(low, high, f"{name} since the load began")
    figure = stacked([_panel(forecast, counted, factor, unit) for counted in TITLES], axis)
    if forecast.reaches_steady:
        for yref, counted in zip(("y", "y2"), TITLES, strict=True):
            _mark_plateau(figure, yref, counted, forecast, factor)
    _mark_end(figure, forecast.duration_s / factor, (high - low))
    return figure


def _panel(forecast: Forecast, counted: str, factor: float, unit: str) -> Panel:
    t, values = forecast.series.t_s / factor, getattr(forecast.series, counted)
    hover = "%{y:,.0f} at %{x:.2f} " + unit
    drawn = line(t, values, counted, PALETTE[HUES[counted]][0], hover, cliponaxis=False)
    if not values.any():
        axis = {"range": [-0.6, 1], "tickvals": [0]}
        title = f"{TITLES[counted].partition(':')[0]}: 0 throughout"
        return Panel(title=title, height_px=FLAT_PX, traces=[drawn], axis=axis)
    spread = _spread(forecast, values)
    top = float((values + spread).max())
    return Panel(
        title=TITLES[counted],
        height_px=TALL_PX,
        traces=[*_ribbon(t, values, spread), drawn] if spread.any() else [drawn],
        axis=whole_numbers(math.ceil(top)) | {"range": [-0.07 * top, 1.2 * top]},
    )


def _spread(forecast: Forecast, values: Floats) -> Floats:
    """What random arrivals add to either side."""
    sigmas = SIGMAS if forecast.question.arrivals == "poisson" else 0
    return sigmas * np.sqrt(values)


def _ribbon(t: Floats, values: Floats, spread: Floats) -> list[Trace]:
    edges = {"low": np.maximum(values - spread, 0), "high": values + spread}
    return [
        line(t, edge, name, BAND, line={"width": 0}, fill=fill, fillcolor=BAND)
        for (name, edge), fill in zip(edges.items(), ("none", "tonexty"), strict=True)
    ]


def _mark_plateau(
    figure: Figure, yref: str, counted: str, forecast: Forecast, factor: float
) -> None:
    """The steady state's lowest and highest, written above it."""
    band: Band = getattr(forecast.steady, counted)
    if not band.max:
        return
    low, high = count(band.min), count(band.max)
    plateau = {
        "x": (forecast.steady_after_s + forecast.duration_s) / 2 / factor,
        "y": band.max + float(_spread(forecast, np.array([band.max]))[0]),
        "yref": yref,
        "yanchor": "bottom",
        "text": low if low == high else f"{low} to {high}",
        "showarrow": False,
        "font": {"size": 12, "color": INK},
        "bgcolor": PAPER,
        "borderpad": 1,
    }
    add_annotations(figure, plateau)


def _mark_end(figure: Figure, at: float, width: float) -> None:
    """A dotted line where the load ends."""
    style = {"width": 1, "dash": "2px,3px", "color": MUTED}
    shape = {"type": "line", "x0": at, "x1": at, "y0": 0, "y1": 1, "yref": "paper"}
    add_shapes(figure, {**shape, "layer": "below", "line": style, "name": "load ends"})
    label = {
        "x": at,
        "y": 1,
        "yref": "paper",
        "yanchor": "bottom",
        "yshift": 22,
        "xanchor": "left" if at < 0.2 * width else "right" if at > 0.8 * width else "center",
        "text": "load ends",
        "showarrow": False,
        "font": {"size": 11, "color": INK},
        "bgcolor": BAND,
        "borderpad": 2,
    }
    add_annotations(figure, label)
