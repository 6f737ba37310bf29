"""A Sweep as one HTML page: what each tcpfin costs, on the model's curve, and where the knee is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from analyzer.sweep.points import model_at
from analyzer.sweep.results import to_json
from reports import sweep_text as words
from reports.page import render, script_json
from reports.panels import Panel, axis_name, stacked
from reports.section import Chart
from reports.theme import INK, MUTED, PALETTE
from reports.wording import Headline

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from analyzer.model import Forecast
    from analyzer.results import Analysis
    from analyzer.sweep.results import Beside, Point, Sweep

    Run = tuple[float, Analysis]

TALL_PX, FOOT_PX = 170, 56
CURVE_POINTS = 60
BLUE, ORANGE = PALETTE["blue"][0], PALETTE["orange"][0]


def render_sweep(sweep: Sweep, runs: Sequence[Run]) -> str:
    """One HTML document that needs nothing else.

    Args:
        sweep: the answer.
        runs: its runs, from which the model's curve is asked.
    """
    context = {
        "sweep": sweep,
        "headlines": headlines(sweep),
        "chart": chart(sweep, runs),
        "table": words.table(sweep),
        "knee": words.knee_line(sweep),
        "not_steady": words.why_not_steady(sweep.points),
        "document": script_json(to_json(sweep)),
    }
    return render("sweep.html", context)


def headlines(sweep: Sweep) -> tuple[Headline, ...]:
    """The knee, what it saves, and whether the model holds."""
    knee, first, last = sweep.knee, sweep.points[0], sweep.points[-1]
    agreeing = [agrees for point in sweep.points for agrees in _agreements(point)]
    return (
        Headline(
            label="Smallest tcpfin that does",
            value=None if knee.tcpfin_s is None else f"{knee.tcpfin_s:g} s",
            detail=f"of those tried; the longest silence among {knee.connections:,} connections",
        ),
        Headline(
            label="InActConn at its peak",
            value=_span(first.peak_inactive, last.peak_inactive),
            detail=f"at {first.tcpfin_s:g} s and at {last.tcpfin_s:g} s",
        ),
        Headline(
            label="On the curve of the model",
            value=f"{sum(agreeing)} of {len(agreeing)}" if agreeing else None,
            detail="measured values, within their doubt",
            alarming=not all(agreeing),
        ),
    )


def _agreements(point: Point) -> list[bool]:
    found = [
        point.timeout_agrees,
        point.peak_inactive.agrees if point.peak_inactive else None,
        point.steady_inactive.agrees if point.steady_inactive else None,
    ]
    return [one for one in found if one is not None]


def _span(first: Beside | None, last: Beside | None) -> str | None:
    values = [one.measured for one in (first, last) if one and one.measured is not None]
    return f"{values[0]:,.0f} and {values[1]:,.0f}" if len(values) == 2 else None


def chart(sweep: Sweep, runs: Sequence[Run]) -> Chart:
    """Measured points on the model's curves, against tcpfin."""
    model = _curve(sweep, runs)
    panels = [
        panel
        for panel in (
            _counts("InActConn at its peak", sweep, "peak_inactive", model, _peak),
            _counts("InActConn, steady", sweep, "steady_inactive", model, _steady),
            _lifetimes(sweep),
            _ports(sweep, model),
        )
        if panel
    ]
    if not panels:
        return Chart(id="sweep-chart", figure=None, caption="No director was polled.")
    figure = stacked(panels, foot_px=FOOT_PX)
    high = max(point.tcpfin_s for point in sweep.points)
    figure.update_layout(
        xaxis={"title": {"text": "tcpfin, seconds", "standoff": 8}, "range": [0, 1.06 * high]}
    )
    if sweep.knee.tcpfin_s is not None:
        _mark_knee(figure, sweep.knee.tcpfin_s, len(panels))
    return Chart(id="sweep-chart", figure=figure, caption=caption(sweep))


def caption(sweep: Sweep) -> str:
    """What the chart shows."""
    values = ", ".join(f"{point.tcpfin_s:g}" for point in sweep.points)
    return (
        f"Measured at tcpfin {values} s (marks, with what they may be off by) on the curves that "
        f"the model gives for the same load (lines). {words.knee_line(sweep)}"
    )


def _curve(sweep: Sweep, runs: Sequence[Run]) -> list[tuple[float, Forecast]]:
    """The model over the whole range, for the load of the run with the middle rate."""
    known = [point for point in sweep.points if point.peak_inactive]
    if not known:
        return []
    point = sorted(known, key=lambda one: one.rate_per_s or 0)[len(known) // 2]
    analysis = next(found for value_s, found in runs if value_s == point.tcpfin_s)
    top_s = max(one.tcpfin_s for one in sweep.points)
    values_s = np.linspace(1, 1.05 * top_s, CURVE_POINTS)
    answers = [(float(s), model_at(point, analysis, float(s))) for s in values_s]
    return [(value_s, answer) for value_s, answer in answers if answer]


def _peak(answer: Forecast) -> float:
    return answer.peak.inactive


def _steady(answer: Forecast) -> float:
    return answer.steady.inactive.mean


def _counts(
    title: str,
    sweep: Sweep,
    name: str,
    model: Sequence[tuple[float, Forecast]],
    value: Callable[[Forecast], float],
) -> Panel | None:
    found: list[tuple[float, Beside]] = [
        (point.tcpfin_s, beside) for point in sweep.points if (beside := getattr(point, name))
    ]
    measured = [(at_s, one) for at_s, one in found if one.measured is not None]
    if not measured:
        return None
    line = _line([at_s for at_s, _ in model], [value(answer) for _, answer in model], "model")
    marks = _marks(
        [at_s for at_s, _ in measured],
        [one.measured or 0.0 for _, one in measured],
        [one.uncertainty for _, one in measured],
        "measured",
    )
    return Panel(title=title, height_px=TALL_PX, traces=[line, marks], axis=_from_zero())


def _lifetimes(sweep: Sweep) -> Panel | None:
    lived = [(point, point.lifetime_s) for point in sweep.points if point.lifetime_s]
    if not lived:
        return None
    top_s = max(point.tcpfin_s for point in sweep.points)
    line = _line([0, top_s], [0, top_s], "tcpfin")
    marks = _marks(
        [point.tcpfin_s for point, _ in lived],
        [spread.mean for _, spread in lived],
        [spread.max - spread.mean + spread.uncertainty for _, spread in lived],
        "lived, mean",
        minus=[spread.mean - spread.min + spread.uncertainty for _, spread in lived],
    )
    title = "Lifetime of entries, seconds: mean, shortest to longest; the line is tcpfin"
    return Panel(title=title, height_px=TALL_PX, traces=[line, marks], axis=_from_zero())


def _ports(sweep: Sweep, model: Sequence[tuple[float, Forecast]]) -> Panel | None:
    known = [(point.tcpfin_s, point.ports) for point in sweep.points if point.ports]
    if not known:
        return None
    line = _line(
        [at_s for at_s, _ in model],
        [answer.ports.entry_limit_per_s for _, answer in model],
        "model",
    )
    marks = _marks(
        [at_s for at_s, _ in known],
        [ports.entry_limit_per_s for _, ports in known],
        None,
        "measured",
    )
    top = 1.15 * max(ports.entry_limit_per_s for _, ports in known)
    return Panel(
        title="Connections a second before a source port returns to a living entry",
        height_px=TALL_PX,
        traces=[line, marks],
        axis={"range": [0, top], "tickformat": "~s"},
    )


def _line(x: Sequence[float], y: Sequence[float], name: str) -> go.Scatter:
    return go.Scatter(
        x=list(x),
        y=list(y),
        name=name,
        mode="lines",
        line={"color": ORANGE, "width": 1.6, "dash": "8px,4px"},
        hovertemplate=f"{name}: %{{y:.4g}} at %{{x:.4g}} s<extra></extra>",
    )


def _marks(
    x: Sequence[float],
    y: Sequence[float],
    plus: Sequence[float] | None,
    name: str,
    *,
    minus: Sequence[float] | None = None,
) -> go.Scatter:
    bars: dict[str, Any] = {"type": "data", "array": plus, "color": BLUE, "thickness": 1.4}
    if minus is not None:
        bars |= {"symmetric": False, "arrayminus": minus}
    return go.Scatter(
        x=list(x),
        y=list(y),
        error_y=bars if plus is not None else None,
        name=name,
        mode="markers",
        marker={"color": BLUE, "size": 8},
        cliponaxis=False,
        hovertemplate=f"{name}: %{{y:.4g}} at %{{x:.4g}} s<extra></extra>",
    )


def _from_zero() -> dict[str, Any]:
    return {"rangemode": "tozero", "tickformat": "~s"}


def _mark_knee(figure: go.Figure, at_s: float, panels: int) -> None:
    line = {"width": 1.5, "dash": "4px,3px", "color": MUTED}
    figure.add_shape(type="line", x0=at_s, x1=at_s, y0=0, y1=1, yref="paper", line=line)
    figure.add_annotation(
        x=at_s,
        y=0,
        yref=f"{axis_name('y', panels - 1)} domain",
        text=f"knee {at_s:g} s",
        showarrow=False,
        xanchor="left",
        yanchor="bottom",
        xshift=4,
        font={"size": 11, "color": INK},
    )
