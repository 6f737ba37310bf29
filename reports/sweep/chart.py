"""The chart of a sweep: measured points on the model's curves, against tcpfin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from analyzer.sweep.points import model_at
from reports.charts.panels import GAP_PX, HEAD_PX, Panel, axis_name, stacked
from reports.charts.theme import DASHES, HUES, INK, MARKERS, MUTED, PALETTE, PAPER
from reports.document.figures import legend_above, line, marks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import plotly.graph_objects as go

    from analyzer.forecast.model import Forecast
    from analyzer.results import Analysis
    from analyzer.sweep.results import Beside, Point, Sweep

TALL_PX, FOOT_PX, LEGEND_PX = 170, 56, 64
CURVE_POINTS = 60
AT = ": %{y:.4g} at %{x:.4g} s"
LIFETIMES = "Lifetime of entries, seconds: mean, shortest to longest; the line is tcpfin"
PORTS = "Connections a second before a source port returns to a living entry"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """One way of forwarding, as it is drawn.

    Attributes:
        name: before "model" and "measured"; empty where it is the only one.
        points: its own.
        model: the model's answers over the whole range.
        marks: the colour, shape and size of what was measured.
        line: the colour and dash of the model.
    """

    name: str
    points: Sequence[Point]
    model: Sequence[tuple[float, Forecast]]
    marks: tuple[str, str, int]
    line: tuple[str, str]


def points_on_curves(sweep: Sweep, runs: Sequence[tuple[float, Analysis]]) -> go.Figure | None:
    """Measured points on the model's curves; each way of forwarding has its own."""
    ways = [_way(sweep, runs, rank) for rank in range(len(sweep.ways))]
    top_s = max(point.tcpfin_s for point in sweep.points)
    panels = _panels(sweep, ways, top_s)
    if not panels:
        return None
    several = len(ways) > 1
    figure = stacked(panels, foot_px=FOOT_PX, head_px=LEGEND_PX if several else HEAD_PX)
    title = {"text": "tcpfin, seconds", "standoff": 8}
    figure.update_layout(xaxis={"title": title, "range": [0, 1.06 * top_s]})
    if several:
        plot_px = TALL_PX * len(panels) + GAP_PX * (len(panels) - 1)
        figure.update_layout(showlegend=True, legend=legend_above(plot_px))
        figure.update_traces(showlegend=True, selector={"yaxis": "y"})  # once for all panels
    if sweep.knee.tcpfin_s is not None:
        _mark_knee(figure, sweep.knee.tcpfin_s, top_s, len(panels))
    return figure


def _panels(sweep: Sweep, ways: Sequence[_Way], top_s: float) -> list[Panel]:
    """Those of which anything was measured."""
    from_zero = {"rangemode": "tozero", "tickformat": "~s"}
    limits = [point.ports.entry_limit_per_s for point in sweep.points if point.ports]
    of_ports = {"range": [0, 1.15 * max(limits, default=1.0)], "tickformat": "~s"}
    tcpfin = [_tcpfin_line(top_s)]
    shown: tuple[tuple[str, Callable[[_Way], list[go.Scatter]], Any, list[go.Scatter]], ...] = (
        ("InActConn at its peak", _peaks, from_zero, []),
        ("InActConn, steady", _steadies, from_zero, []),
        (LIFETIMES, _lifetimes, from_zero, tcpfin),
        (PORTS, _ports, of_ports, []),
    )
    return [
        Panel(title=title, height_px=TALL_PX, traces=[*behind, *drawn], axis=axis)
        for title, draw, axis, behind in shown
        if (drawn := [trace for way in ways for trace in draw(way)])
    ]


def _way(sweep: Sweep, runs: Sequence[tuple[float, Analysis]], rank: int) -> _Way:
    way, several = sweep.ways[rank], len(sweep.ways) > 1
    points = [point for point in sweep.points if point.forwarding == way]
    hue = PALETTE[HUES[rank % len(HUES)]][0]
    top_s = max(point.tcpfin_s for point in sweep.points)
    return _Way(
        name=f"{way or 'unknown'}, " if several else "",
        points=points,
        model=_curve(points, runs, top_s),
        marks=(hue, *(MARKERS[rank % len(MARKERS)] if several else ("circle", 8))),
        line=(hue, DASHES[rank % len(DASHES)]) if several else (PALETTE["orange"][0], DASHES[1]),
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


def _peaks(way: _Way) -> list[go.Scatter]:
    beside = [(point.tcpfin_s, point.peak_inactive) for point in way.points]
    return _counts(way, beside, lambda answer: answer.peak.inactive)


def _steadies(way: _Way) -> list[go.Scatter]:
    beside = [(point.tcpfin_s, point.steady_inactive) for point in way.points]
    return _counts(way, beside, lambda answer: answer.steady.inactive.mean)


def _counts(
    way: _Way,
    beside: Sequence[tuple[float, Beside | None]],
    value: Callable[[Forecast], float],
) -> list[go.Scatter]:
    measured = [(at_s, one) for at_s, one in beside if one and one.measured is not None]
    if not measured:
        return []
    model = _line(way, [(at_s, value(answer)) for at_s, answer in way.model], "model")
    at_s, values = [at for at, _ in measured], [one.measured or 0.0 for _, one in measured]
    bars = [one.uncertainty for _, one in measured]
    return [model, _marks(way, at_s, values, "measured", bars)]


def _lifetimes(way: _Way) -> list[go.Scatter]:
    lived = [(point, point.lifetime_s) for point in way.points if point.lifetime_s]
    if not lived:
        return []
    mark = _marks(
        way,
        [point.tcpfin_s for point, _ in lived],
        [spread.mean for _, spread in lived],
        "lived, mean",
        [spread.max - spread.mean + spread.uncertainty for _, spread in lived],
        minus=[spread.mean - spread.min + spread.uncertainty for _, spread in lived],
    )
    return [mark]


def _tcpfin_line(top_s: float) -> go.Scatter:
    ends, dash = [0, top_s], {"width": 1.2, "dash": DASHES[1]}
    return line(ends, ends, "tcpfin", MUTED, "tcpfin: %{y:.4g} s", line=dash, showlegend=False)


def _ports(way: _Way) -> list[go.Scatter]:
    known = [(point.tcpfin_s, point.ports) for point in way.points if point.ports]
    if not known:
        return []
    model = [(at_s, answer.ports.entry_limit_per_s) for at_s, answer in way.model]
    at_s = [at for at, _ in known]
    limits = [ports.entry_limit_per_s for _, ports in known]
    return [_line(way, model, "model"), _marks(way, at_s, limits, "measured", None)]


def _line(way: _Way, points: Sequence[tuple[float, float]], name: str) -> go.Scatter:
    colour, dash = way.line
    x, y = [x for x, _ in points], [y for _, y in points]
    named, style = f"{way.name}{name}", {"dash": dash}
    return line(x, y, named, colour, f"{named}{AT}", line=style, showlegend=False)


def _marks(
    way: _Way,
    x: Sequence[float],
    y: Sequence[float],
    name: str,
    plus: Sequence[float] | None,
    *,
    minus: Sequence[float] | None = None,
) -> go.Scatter:
    colour, symbol, size = way.marks
    bars: dict[str, Any] = {"type": "data", "array": plus, "color": colour, "thickness": 1.4}
    if minus is not None:
        bars |= {"symmetric": False, "arrayminus": minus}
    edge = {"width": 1.5, "color": colour}
    marker = {"color": colour, "size": size, "symbol": symbol, "line": edge}
    named, error = f"{way.name}{name}", None if plus is None else bars
    return marks(x, y, named, marker, f"{named}{AT}", error_y=error, showlegend=False)


def _mark_knee(figure: go.Figure, at_s: float, top_s: float, panels: int) -> None:
    side = 1 if at_s < top_s / 2 else -1  # where there is room for the words
    style = {"width": 1.5, "dash": "4px,3px", "color": MUTED}
    figure.add_shape(type="line", x0=at_s, x1=at_s, y0=0, y1=1, yref="paper", line=style)
    figure.add_annotation(
        x=at_s,
        y=0,
        yref=f"{axis_name('y', panels - 1)} domain",
        text=f"knee {at_s:g} s",
        showarrow=False,
        xanchor="left" if side > 0 else "right",
        yanchor="bottom",
        xshift=4 * side,
        font={"size": 11, "color": INK},
        bgcolor=PAPER,
    )
