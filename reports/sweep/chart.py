"""The chart of a sweep: measured points on the model's curves, against tcpfin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from analyzer.sweep.points import model_at
from reports.charts.panels import GAP_PX, Panel, axis_name, stacked
from reports.charts.theme import DASHES, HUES, INK, MARKERS, MUTED, PALETTE, PAPER
from reports.run.section import Chart
from reports.sweep import text as words

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from analyzer.forecast.model import Forecast
    from analyzer.results import Analysis
    from analyzer.sweep.results import Beside, Point, Sweep

TALL_PX, FOOT_PX, LEGEND_PX = 170, 56, 64
CURVE_POINTS = 60


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


def chart(sweep: Sweep, runs: Sequence[tuple[float, Analysis]]) -> Chart:
    """Measured points on the model's curves; each way of forwarding has its own."""
    ways = [_way(sweep, runs, rank) for rank in range(len(sweep.ways))]
    panels = [
        panel
        for panel in (
            _panel("InActConn at its peak", ways, _peaks, _from_zero()),
            _panel("InActConn, steady", ways, _steadies, _from_zero()),
            _panel(LIFETIMES, ways, _lifetimes, _from_zero(), [_tcpfin_line(sweep)]),
            _panel(PORTS, ways, _ports, _ports_axis(sweep)),
        )
        if panel
    ]
    if not panels:
        return Chart(id="sweep-chart", figure=None, caption="No director was polled.")
    figure = stacked(panels, foot_px=FOOT_PX, **({"head_px": LEGEND_PX} if len(ways) > 1 else {}))
    figure.update_layout(
        xaxis={
            "title": {"text": "tcpfin, seconds", "standoff": 8},
            "range": [0, 1.06 * max(point.tcpfin_s for point in sweep.points)],
        }
    )
    if len(ways) > 1:
        plot_px = TALL_PX * len(panels) + GAP_PX * (len(panels) - 1)
        legend = {"orientation": "h", "x": 0, "y": 1 + 24 / plot_px, "yanchor": "bottom"}
        figure.update_layout(showlegend=True, legend=legend)
        figure.update_traces(showlegend=True, selector={"yaxis": "y"})  # once for all panels
    if sweep.knee.tcpfin_s is not None:
        top_s = max(point.tcpfin_s for point in sweep.points)
        _mark_knee(figure, sweep.knee.tcpfin_s, top_s, len(panels))
    return Chart(id="sweep-chart", figure=figure, caption=caption(sweep))


LIFETIMES = "Lifetime of entries, seconds: mean, shortest to longest; the line is tcpfin"
PORTS = "Connections a second before a source port returns to a living entry"


def caption(sweep: Sweep) -> str:
    """What the chart shows."""
    values = ", ".join(dict.fromkeys(f"{point.tcpfin_s:g}" for point in sweep.points))
    ways = f" in {words.listed(sweep.ways)}" if len(sweep.ways) > 1 else ""
    return (
        f"Measured at tcpfin {values} s{ways} (marks, with what they may be off by) on the curves "
        f"that the model gives for the same load (lines). {words.knee_line(sweep)}"
    )


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


def _panel(
    title: str,
    ways: Sequence[_Way],
    traces: Callable[[_Way], list[go.Scatter]],
    axis: dict[str, Any],
    behind: Sequence[go.Scatter] = (),
) -> Panel | None:
    drawn = [trace for way in ways for trace in traces(way)]
    if not drawn:
        return None
    return Panel(title=title, height_px=TALL_PX, traces=[*behind, *drawn], axis=axis)


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
    line = _line(way, [(at_s, value(answer)) for at_s, answer in way.model], "model")
    at_s, values = [at for at, _ in measured], [one.measured or 0.0 for _, one in measured]
    bars = [one.uncertainty for _, one in measured]
    return [line, _marks(way, at_s, values, "measured", bars)]


def _lifetimes(way: _Way) -> list[go.Scatter]:
    lived = [(point, point.lifetime_s) for point in way.points if point.lifetime_s]
    if not lived:
        return []
    marks = _marks(
        way,
        [point.tcpfin_s for point, _ in lived],
        [spread.mean for _, spread in lived],
        "lived, mean",
        [spread.max - spread.mean + spread.uncertainty for _, spread in lived],
        minus=[spread.mean - spread.min + spread.uncertainty for _, spread in lived],
    )
    return [marks]


def _tcpfin_line(sweep: Sweep) -> go.Scatter:
    top_s = max(point.tcpfin_s for point in sweep.points)
    return go.Scatter(
        x=[0, top_s],
        y=[0, top_s],
        name="tcpfin",
        showlegend=False,
        mode="lines",
        line={"color": MUTED, "width": 1.2, "dash": DASHES[1]},
        hovertemplate="tcpfin: %{y:.4g} s<extra></extra>",
    )


def _ports(way: _Way) -> list[go.Scatter]:
    known = [(point.tcpfin_s, point.ports) for point in way.points if point.ports]
    if not known:
        return []
    line = [(at_s, answer.ports.entry_limit_per_s) for at_s, answer in way.model]
    at_s = [at for at, _ in known]
    limits = [ports.entry_limit_per_s for _, ports in known]
    return [_line(way, line, "model"), _marks(way, at_s, limits, "measured", None)]


def _ports_axis(sweep: Sweep) -> dict[str, Any]:
    limits = [point.ports.entry_limit_per_s for point in sweep.points if point.ports]
    return {"range": [0, 1.15 * max(limits, default=1.0)], "tickformat": "~s"}


def _line(way: _Way, points: Sequence[tuple[float, float]], name: str) -> go.Scatter:
    colour, dash = way.line
    return go.Scatter(
        x=[x for x, _ in points],
        y=[y for _, y in points],
        name=f"{way.name}{name}",
        showlegend=False,
        mode="lines",
        line={"color": colour, "width": 1.6, "dash": dash},
        hovertemplate=f"{way.name}{name}: %{{y:.4g}} at %{{x:.4g}} s<extra></extra>",
    )


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
    return go.Scatter(
        x=list(x),
        y=list(y),
        error_y=bars if plus is not None else None,
        name=f"{way.name}{name}",
        showlegend=False,
        mode="markers",
        marker={
            "color": colour,
            "size": size,
            "symbol": symbol,
            "line": {"width": 1.5, "color": colour},
        },
        cliponaxis=False,
        hovertemplate=f"{way.name}{name}: %{{y:.4g}} at %{{x:.4g}} s<extra></extra>",
    )


def _from_zero() -> dict[str, Any]:
    return {"rangemode": "tozero", "tickformat": "~s"}


def _mark_knee(figure: go.Figure, at_s: float, top_s: float, panels: int) -> None:
    side = 1 if at_s < top_s / 2 else -1  # where there is room for the words
    line = {"width": 1.5, "dash": "4px,3px", "color": MUTED}
    figure.add_shape(type="line", x0=at_s, x1=at_s, y0=0, y1=1, yref="paper", line=line)
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
