"""Fail-overs repeated, as one HTML page: their outages on the curve that the theory draws."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from analyzer.failover.repeats import FITS_S, UNLIKELY
from reports.charts.panels import Panel, stacked
from reports.charts.theme import BAD, BAND, INK, PALETTE
from reports.charts.wording import Headline, seconds
from reports.failover import repeats_text as words
from reports.run.page import render, script_json
from reports.run.section import Chart

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analyzer.failover.repeats import Repeats
    from analyzer.failover.results import Failover

SHARES_PX, APART_PX, FOOT_PX = 260, 130, 56
EDGE = 0.15
"""Of the range, drawn beyond each of its ends."""

BLUE, ORANGE = PALETTE["blue"][0], PALETTE["orange"][0]


def render_repeats(
    told: Repeats, runs: Sequence[Failover], *, where: str, pages: Mapping[int, str]
) -> str:
    """One HTML document that needs nothing else; only its links lead elsewhere.

    Args:
        told: what the runs come to.
        runs: in their order.
        where: their folder.
        pages: the page of a run by its number, from 1, as a link from this one.
    """
    remarks = words.remarks(told, runs)
    context = {
        "where": where,
        "verdict": words.verdict(told),
        "headlines": headlines(told, runs),
        "chart": chart(told, runs),
        "columns": words.COLUMNS,
        "rows": list(zip(words.rows(runs), remarks, strict=True)),
        "odd": any(remarks),
        "pages": pages,
        "document": script_json(asdict(told)),
    }
    return render("repeats.html", context)


def headlines(told: Repeats, runs: Sequence[Failover]) -> tuple[Headline, ...]:
    """How long clients were out, how far from the prediction, and whether the ages fit."""
    seen = [run.outage_s for run in runs if run.valid and run.outage_s is not None]
    worst = told.worst_error_s
    return (
        Headline(
            label="Clients were out for",
            value=None if told.outage_mean_s is None else seconds(told.outage_mean_s),
            detail=f"on average; {words.between(min(seen), max(seen))}" if seen else "",
        ),
        Headline(
            label="Farthest from its own prediction",
            value=None if worst is None else f"{worst:+.3f} s".replace("-", "\N{MINUS SIGN}"),
            detail=f"seen less predicted; ±{FITS_S:g} s is a fit",
            alarming=bool(told.misjudged),
        ),
        Headline(
            label="Off the uniform age by at most",
            value=None if told.apart is None else f"{told.apart:.0%}",
            detail=words.test(told),
            alarming=told.p_value is not None and told.p_value < UNLIKELY,
        ),
    )


def chart(told: Repeats, runs: Sequence[Failover]) -> Chart:
    """The share of runs that were out for so long or less, and each less its own prediction."""
    points = words.points(runs)
    if not points:
        return Chart(id="repeats-chart", figure=None, caption="No run can be judged.")
    shares = Panel(
        title="Share of runs that were out for so long or less",
        height_px=SHARES_PX,
        traces=[*_theory(told, _span(told, points)), *_steps(told, points)],
        axis={"range": [-0.02, 1.04], "tickformat": ".0%", "dtick": 0.25},
    )
    apart = _apart(told, points)
    figure = stacked([shares, *([apart] if apart else [])], foot_px=FOOT_PX)
    figure.update_layout(
        xaxis={"title": {"text": "outage, seconds", "standoff": 8}, "range": _span(told, points)}
    )
    return Chart(id="repeats-chart", figure=figure, caption=words.caption(told))


Points = list[tuple[int, float, float | None]]


def _span(told: Repeats, points: Points) -> list[float]:
    """From the first to the last of theory and runs, with some room."""
    values = [outage_s for _, outage_s, _ in points] + list(told.range_s or ())
    room = max(EDGE * (max(values) - min(values)), FITS_S)
    return [min(values) - room, max(values) + room]


def _theory(told: Repeats, span: Sequence[float]) -> list[Any]:
    """The curve, and how far runs may be off it for the test to let them pass."""
    if told.range_s is None:
        return []
    low, high = told.range_s
    line = go.Scatter(
        x=[span[0], low, high, span[1]],
        y=[0, 0, 1, 1],
        name="theory",
        mode="lines",
        line={"color": ORANGE, "width": 1.6, "dash": "8px,4px"},
        hovertemplate="theory: %{y:.0%} at %{x:.3f} s<extra></extra>",
    )
    if told.apart_most is None:
        return [line]
    x = np.linspace(span[0], span[1], 201)
    curve = np.clip((x - low) / (high - low), 0, 1)
    edges = (np.clip(curve + sign * told.apart_most, 0, 1) for sign in (-1, 1))
    return [*_band(x, *edges), line]


def _band(x: np.ndarray, below: np.ndarray, above: np.ndarray) -> list[Any]:
    shared = {"x": x, "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
    return [
        go.Scatter(y=below, name="allowed", **shared),
        go.Scatter(y=above, name="allowed", fill="tonexty", fillcolor=BAND, **shared),
    ]


def _steps(told: Repeats, points: Points) -> list[Any]:
    """Each run a mark, on the stairs that they make."""
    ordered = sorted(points, key=lambda point: point[1])
    outages = [outage_s for _, outage_s, _ in ordered]
    shares = [(place + 1) / len(ordered) for place in range(len(ordered))]
    stairs = go.Scatter(
        x=[outages[0], *outages],
        y=[0, *shares],
        name="runs",
        mode="lines",
        line={"color": BLUE, "width": 1.4, "shape": "hv"},
        hoverinfo="skip",
    )
    marks = go.Scatter(
        x=outages,
        y=shares,
        mode="markers",
        name="run",
        customdata=[number for number, _, _ in ordered],
        marker=_marker(told, ordered),
        cliponaxis=False,
        hovertemplate="run %{customdata}: out for %{x:.3f} s<extra></extra>",
    )
    return [stairs, marks]


def _apart(told: Repeats, points: Points) -> Panel | None:
    known = [(number, out_s, apart_s) for number, out_s, apart_s in points if apart_s is not None]
    if not known:
        return None
    top = 1.15 * max(FITS_S, *(abs(apart_s) for _, _, apart_s in known))
    marks = go.Scatter(
        x=[out_s for _, out_s, _ in known],
        y=[apart_s for _, _, apart_s in known],
        mode="markers",
        name="apart",
        customdata=[number for number, _, _ in known],
        marker=_marker(told, known),
        cliponaxis=False,
        hovertemplate="run %{customdata}: %{y:+.3f} s from its prediction<extra></extra>",
    )
    limits = [_level(told, points, at_s) for at_s in (-FITS_S, FITS_S)]
    return Panel(
        title="Seen less its own prediction, seconds; a fit is between the lines",
        height_px=APART_PX,
        traces=[*limits, marks],
        axis={"range": [-top, top], "zeroline": True, "zerolinecolor": INK, "tickformat": "+~g"},
    )


def _level(told: Repeats, points: Points, at_s: float) -> go.Scatter:
    return go.Scatter(
        x=_span(told, points),
        y=[at_s, at_s],
        mode="lines",
        line={"color": BAD, "width": 1, "dash": "2px,3px"},
        hoverinfo="skip",
    )


def _marker(told: Repeats, points: Sequence[tuple[int, float, float | None]]) -> dict[str, Any]:
    """What fits neither stands out by colour and shape."""
    odd = [number in told.fit_neither for number, _, _ in points]
    return {
        "color": [BAD if one else BLUE for one in odd],
        "symbol": ["x" if one else "circle" for one in odd],
        "size": [11 if one else 8 for one in odd],
    }
