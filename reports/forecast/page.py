"""A Forecast as one HTML page: ActiveConn and InActConn over time, and what they cost."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from analyzer.forecast.document import count, findings, number, to_json, verdict
from reports.charts.panels import Panel, stacked, time_axis, whole_numbers
from reports.charts.theme import BAND, INK, MUTED, PALETTE, PAPER
from reports.charts.wording import Headline
from reports.forecast import text as words
from reports.run.page import render, script_json
from reports.run.section import Chart

if TYPE_CHECKING:
    from analyzer.forecast.lives import Question
    from analyzer.forecast.model import Band, Forecast
    from analyzer.forecast.occupancy import Floats

TITLES = {
    "active": "ActiveConn: open, or not known to be closed",
    "inactive": "InActConn: closed, not yet forgotten",
}
HUES = {"active": "orange", "inactive": "blue"}
UNITS = ((3 * 3600, 3600, "hours", "h"), (1800, 60, "minutes", "min"), (0, 1, "seconds", "s"))
SIGMAS = 2  # drawn to either side: 95 of 100 random courses at any instant
TALL_PX, FLAT_PX = 260, 40


def render_forecast(forecast: Forecast) -> str:
    """One HTML document that needs nothing else."""
    chart = Chart(id="course", figure=course(forecast), caption=caption(forecast))
    context = {
        "forecast": forecast,
        "verdict": verdict(forecast),
        "asked": words.asked(forecast),
        "hz_note": words.hz_note(forecast),
        "headlines": headlines(forecast),
        "findings": findings(forecast),
        "chart": chart,
        "words": words,
        "question": question_facts(forecast.question),
        "document": script_json(to_json(forecast)),
    }
    return render("forecast.html", context)


def headlines(forecast: Forecast) -> tuple[Headline, ...]:
    """The table's two counters, its memory, and when it is empty again."""
    memory = forecast.memory
    return (
        _counter("InActConn", forecast.steady.inactive, forecast.peak.inactive, forecast),
        _counter("ActiveConn", forecast.steady.active, forecast.peak.active, forecast),
        Headline(
            label="Memory at the peak",
            value=words.size(memory.slab_bytes),
            detail=f"{memory.entries:,} entries; chains of {words.chains(memory)} in "
            f"{memory.buckets:,} buckets",
        ),
        Headline(
            label="Empty again",
            value=words.duration(forecast.empty_after_s - forecast.duration_s),
            detail="after the load ends",
        ),
    )


def _counter(name: str, band: Band, peak: float, forecast: Forecast) -> Headline:
    if not forecast.reaches_steady:
        detail = (
            f"the load ends after {words.duration(forecast.duration_s)}; steady it would be "
            f"{count(band.mean)} after {words.duration(forecast.steady_after_s)}"
        )
        return Headline(label=f"{name} at its peak", value=count(peak), detail=detail)
    label = f"{name}, steady"
    if not band.max:
        return Headline(label=label, value="0", detail="no entry is counted here at any time")
    detail = "without stairs"
    if count(band.min) != count(band.max):
        detail = f"on average; between {count(band.min)} and {count(band.max)}, in stairs"
    if band.sigma:
        detail += f"; random arrivals add ± {count(band.sigma)}"
    return Headline(label=label, value=count(band.mean), detail=detail)


def caption(forecast: Forecast) -> str:
    """What the chart shows, with its numbers."""
    parts = [
        f"The load lasts {words.duration(forecast.duration_s)}. {words.when_steady(forecast)}",
        "The stairs are the kernel's timer wheel: entries that fall due within one granule go at "
        "once.",
    ]
    if forecast.reaches_steady:
        parts.append("Above the plateau stand the foot and the top of its stairs.")
    if forecast.question.arrivals == "poisson":
        parts.append(
            "Line: the expected number. Shaded: where 95 of 100 random courses are at any instant."
        )
    return " ".join(parts)


def question_facts(question: Question) -> dict[str, Any]:
    """What was asked, as a list of facts."""
    timeouts = question.timeouts
    facts = {
        "rate": f"{number(question.rate_per_s)} connections/s, {question.arrivals}",
        "forwarding": question.forwarding,
        "timeouts": f"tcp {number(timeouts.tcp_s)} s, tcpfin {number(timeouts.tcpfin_s)} s, "
        f"udp {number(timeouts.udp_s)} s",
        "held open": f"{number(question.hold_s)} s between response and close",
        "HZ": question.hz,
        "clients": f"{question.sources:,} x {question.ports:,} ports, their own TIME_WAIT "
        f"{number(question.client_time_wait_s)} s",
        "conn_tab_bits": question.conn_tab_bits,
    }
    if question.protocol == "udp":
        facts["held open"] = "udp: one packet"
    return facts


# -- the chart -----------------------------------------------------------------------------------


def course(forecast: Forecast) -> go.Figure:
    """ActiveConn above InActConn, from the begin of the load to the last entry's end."""
    end_s = forecast.empty_after_s
    _, factor, name, unit = next(row for row in UNITS if end_s >= row[0])
    figure = stacked([_panel(forecast, counted, factor, unit) for counted in TITLES])
    if forecast.reaches_steady:
        for axis, counted in zip(("y", "y2"), TITLES, strict=True):
            _mark_plateau(figure, axis, counted, forecast, factor)
    low, high = -0.015 * end_s / factor, 1.015 * end_s / factor
    figure.update_layout(xaxis=time_axis(low, high, f"{name} since the load began"))
    _mark_end(figure, forecast.duration_s / factor, (high - low))
    return figure


def _panel(forecast: Forecast, counted: str, factor: float, unit: str) -> Panel:
    t, values = forecast.course.t_s / factor, getattr(forecast.course, counted)
    line = _line(t, values, counted, unit)
    if not values.any():
        axis = {"range": [-0.6, 1], "tickvals": [0]}
        title = f"{words.COUNTED[counted]}: 0 throughout"
        return Panel(title=title, height_px=FLAT_PX, traces=[line], axis=axis)
    spread = _spread(forecast, values)
    top = float((values + spread).max())
    return Panel(
        title=TITLES[counted],
        height_px=TALL_PX,
        traces=[*_ribbon(t, values, spread), line] if spread.any() else [line],
        axis=whole_numbers(math.ceil(top)) | {"range": [-0.07 * top, 1.2 * top]},
    )


def _spread(forecast: Forecast, values: Floats) -> Floats:
    """What random arrivals add to either side."""
    sigmas = SIGMAS if forecast.question.arrivals == "poisson" else 0
    return sigmas * np.sqrt(values)


def _mark_plateau(
    figure: go.Figure, axis: str, counted: str, forecast: Forecast, factor: float
) -> None:
    """The steady state's lowest and highest, written above it."""
    band: Band = getattr(forecast.steady, counted)
    if not band.max:
        return
    low, high = count(band.min), count(band.max)
    figure.add_annotation(
        x=(forecast.steady_after_s + forecast.duration_s) / 2 / factor,
        y=band.max + float(_spread(forecast, np.array([band.max]))[0]),
        yref=axis,
        yanchor="bottom",
        text=low if low == high else f"{low} to {high}",
        showarrow=False,
        font={"size": 12, "color": INK},
        bgcolor=PAPER,
        borderpad=1,
    )


def _line(t: Floats, values: Floats, counted: str, unit: str) -> go.Scatter:
    return go.Scatter(
        name=counted,
        x=t,
        y=values,
        mode="lines",
        line={"width": 1.6, "color": PALETTE[HUES[counted]][0]},
        cliponaxis=False,
        hovertemplate="%{y:,.0f} at %{x:.2f} " + unit + "<extra></extra>",
    )


def _ribbon(t: Floats, values: Floats, spread: Floats) -> list[go.Scatter]:
    edges = (np.maximum(values - spread, 0), values + spread)
    return [
        go.Scatter(
            name=name,
            x=t,
            y=edge,
            mode="lines",
            line={"width": 0, "color": BAND},
            fill=fill,
            fillcolor=BAND,
            hoverinfo="skip",
        )
        for name, edge, fill in zip(("low", "high"), edges, ("none", "tonexty"), strict=True)
    ]


def _mark_end(figure: go.Figure, at: float, width: float) -> None:
    """A dotted line where the load ends."""
    figure.add_shape(
        type="line",
        x0=at,
        x1=at,
        y0=0,
        y1=1,
        yref="paper",
        layer="below",
        line={"width": 1, "dash": "2px,3px", "color": MUTED},
        name="load ends",
    )
    figure.add_annotation(
        x=at,
        y=1,
        yref="paper",
        yanchor="bottom",
        yshift=22,
        xanchor="left" if at < 0.2 * width else "right" if at > 0.8 * width else "center",
        text="load ends",
        showarrow=False,
        font={"size": 11, "color": INK},
        bgcolor=BAND,
        borderpad=2,
    )
