"""The chart of a sweep: measured points on the model's curves, against tcpfin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from analyzer.sweep.points import model_at
from reports.charts.figure import add_annotations, add_shapes
from reports.charts.panels import GAP_PX, HEAD_PX, Panel, axis_name, stacked
from reports.charts.theme import DASHES, HUES, INK, MARKERS, MUTED, PALETTE, PAPER
from reports.document.figures import legend_above, line, marks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from analyzer.forecast.model import Forecast
    from analyzer.report import Analysis
    from analyzer.sweep.results import Beside, Point, Sweep
    from reports.charts.figure import Figure, Trace

TALL_PX, FOOT_PX, LEGEND_PX = 170, 56, 64
CURVE_POINTS = 60
AT = ": %{y:.4g} at %{x:.4g} s"


@dataclass(frozen=True, slots=True)
class _Quantity:
    """What a panel shows: how points measured it (value, less and more than it), and the model."""

    title: str
    measured: Callable[[Point], tuple[float, float, float] | None]
    model: Callable[[Forecast], float] | None
    name: str = "measured"


@dataclass(frozen=True, slots=True)
class _Way:
    """One way of forwarding, as it is drawn; its name is empty where it is the only one."""

    name: str
    points: Sequence[Point]
    model: Sequence[tuple[float, Forecast]]
    hue: str
    symbol: tuple[str, int]
    line: tuple[str, str]


def _count(beside: Beside | None) -> tuple[float, float, float] | None:
    if beside is None or beside.measured is None:
        return None
    return beside.measured, beside.uncertainty, beside.uncertainty


def _lifetime(point: Point) -> tuple[float, float, float] | None:
    spread = point.lifetime_s
    if spread is None:
        return None
    less, more = spread.mean - spread.min, spread.max - spread.mean
    return spread.mean, less + spread.uncertainty, more + spread.uncertainty


PEAK = _Quantity(
    "InActConn at its peak",
    lambda point: _count(point.peak_inactive),
    lambda answer: answer.peak.inactive,
)
STEADY = _Quantity(
    "InActConn, steady",
    lambda point: _count(point.steady_inactive),
    lambda answer: answer.steady.inactive.mean,
)
LIFETIME = _Quantity(
    "Lifetime of entries, seconds: mean, shortest to longest; the line is tcpfin",
    _lifetime,
    None,
    "mean lifetime",
)
PORTS = _Quantity(
    "Connections a second before a source port returns to a living entry",
    lambda point: (point.ports.entry_limit_per_s, 0, 0) if point.ports else None,
    lambda answer: answer.ports.entry_limit_per_s,
)


def points_on_curves(sweep: Sweep, runs: Sequence[tuple[float, Analysis]]) -> Figure | None:
    """Measured points on the model's curves; each way of forwarding has its own."""
    ways = [_way(sweep, runs, rank) for rank in range(len(sweep.ways))]
    top_s = max(point.tcpfin_s for point in sweep.points)
    quantities = (PEAK, STEADY, LIFETIME, PORTS)
    panels = [panel for one in quantities for panel in _panel(one, ways, top_s)]
    if not panels:
        return None
    several = len(ways) > 1
    axis = {"title": {"text": "tcpfin, seconds", "standoff": 8}, "range": [0, 1.06 * top_s]}
    figure = stacked(panels, axis, foot_px=FOOT_PX, head_px=LEGEND_PX if several else HEAD_PX)
    if several:
        plot_px = TALL_PX * len(panels) + GAP_PX * (len(panels) - 1)
        figure["layout"] |= {"showlegend": True, "legend": legend_above(plot_px)}
        for trace in figure["data"][: len(panels[0].traces)]:  # once for all panels
            trace["showlegend"] = True
    if sweep.knee.tcpfin_s is not None:
        _mark_knee(figure, sweep.knee.tcpfin_s, top_s, len(panels))
    return figure


def _panel(quantity: _Quantity, ways: Sequence[_Way], top_s: float) -> list[Panel]:
    """None of what no point measured."""
    drawn = [trace for way in ways for trace in _traces(quantity, way)]
    if not drawn:
        return []
    axis: dict[str, Any] = {"rangemode": "tozero", "tickformat": "~s"}
    if quantity is LIFETIME:
        dash, hover = {"width": 1.2, "dash": DASHES[1]}, "tcpfin: %{y:.4g} s"
        ends = [0, top_s]
        drawn.insert(0, line(ends, ends, "tcpfin", MUTED, hover, line=dash, showlegend=False))
    if quantity is PORTS:  # its curve would be many times higher at 1 s
        limits = [max(trace["y"]) for trace in drawn if trace["mode"] == "markers"]
        axis = {"range": [0, 1.15 * max(limits)], "tickformat": "~s"}
    return [Panel(title=quantity.title, height_px=TALL_PX, traces=drawn, axis=axis)]


def _way(sweep: Sweep, runs: Sequence[tuple[float, Analysis]], rank: int) -> _Way:
    way, several = sweep.ways[rank], len(sweep.ways) > 1
    points = [point for point in sweep.points if point.forwarding == way]
    hue = PALETTE[HUES[rank % len(HUES)]][0]
    top_s = max(point.tcpfin_s for point in sweep.points)
    return _Way(
        f"{way or 'unknown'}, " if several else "",
        points,
        _curve(points, runs, top_s),
        hue,
        MARKERS[rank % len(MARKERS)] if several else ("circle", 8),
        (hue, DASHES[rank % len(DASHES)]) if several else (PALETTE["orange"][0], DASHES[1]),
    )


def _curve(
    points: Sequence[Point], runs: Sequence[tuple[float, Analysis]], top_s: float
) -> list[tuple[float, Forecast]]:
    """The model over the whole range, for the load of the run with the middle rate."""
    known = [point for point in points if point.peak_inactive]
    if not known:
        return []
    point = sorted(known, key=lambda one: one.rate_per_s or 0)[len(known) // 2]
    analysis = next(
        found for _, found in runs if found.run.rstrip("/").rpartition("/")[2] == point.run
    )
    values_s = np.linspace(1, 1.05 * top_s, CURVE_POINTS)
    answers = [(float(s), model_at(point, analysis, float(s))) for s in values_s]
    return [(value_s, answer) for value_s, answer in answers if answer]


def _traces(quantity: _Quantity, way: _Way) -> list[Trace]:
    """The model's curve, and on it marks with bars of what they may be off by."""
    known = [(point.tcpfin_s, *at) for point in way.points if (at := quantity.measured(point))]
    if not known:
        return []
    x, y, less, more = zip(*known, strict=True)
    bars = {"type": "data", "array": more, "arrayminus": less, "symmetric": False}
    bars |= {"color": way.hue, "thickness": 1.4, "visible": any(more)}
    (symbol, size), edge = way.symbol, {"width": 1.5, "color": way.hue}
    marker = {"color": way.hue, "size": size, "symbol": symbol, "line": edge}
    name = f"{way.name}{quantity.name}"
    mark = marks(x, y, name, marker, f"{name}{AT}", error_y=bars, showlegend=False)
    if quantity.model is None:
        return [mark]
    at_s, values = [s for s, _ in way.model], [quantity.model(answer) for _, answer in way.model]
    (colour, dash), name = way.line, f"{way.name}model"
    hover, style = f"{name}{AT}", {"dash": dash}
    return [line(at_s, values, name, colour, hover, line=style, showlegend=False), mark]


def _mark_knee(figure: Figure, at_s: float, top_s: float, panels: int) -> None:
    side = 1 if at_s < top_s / 2 else -1  # where there is room for the words
    style = {"width": 1.5, "dash": "4px,3px", "color": MUTED}
    ends = {"x0": at_s, "x1": at_s, "y0": 0, "y1": 1, "yref": "paper"}
    add_shapes(figure, {"type": "line", **ends, "line": style})
    knee = {
        "x": at_s,
        "y": 0,
        "yref": f"{axis_name('y', panels - 1)} domain",
        "text": f"knee {at_s:g} s",
        "showarrow": False,
        "xanchor": "left" if side > 0 else "right",
        "yanchor": "bottom",
        "xshift": 4 * side,
        "font": {"size": 11, "color": INK},
        "bgcolor": PAPER,
    }
    add_annotations(figure, knee)
