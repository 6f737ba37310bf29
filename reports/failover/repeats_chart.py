"""Outages of repeated fail-overs on the curve that the theory draws."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from analyzer.failover.repeats import FITS_S
from reports.charts.panels import Panel, stacked
from reports.charts.theme import BAD, BAND, INK, PALETTE
from reports.document.figures import line, marks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.failover.repeats import Repeats
    from reports.charts.figure import Figure, Trace

Points = list[tuple[int, float, float | None]]
"""Number, outage and outage less its own prediction of each run, seconds."""

SHARES_PX, APART_PX, FOOT_PX = 260, 130, 56
EDGE = 0.15
"""Of the range, drawn beyond each of its ends."""

BLUE, ORANGE = PALETTE["blue"][0], PALETTE["orange"][0]


def outages(summary: Repeats, points: Points) -> Figure:
    """The share of runs that were out for so long or less, and each less its own prediction."""
    span = _span(summary, points)
    shares = Panel(
        title="Share of runs that were out for so long or less",
        height_px=SHARES_PX,
        traces=[*_theory(summary, span), *_steps(summary, points)],
        axis={"range": [-0.02, 1.04], "tickformat": ".0%", "dtick": 0.25},
    )
    axis = {"title": {"text": "outage, seconds", "standoff": 8}, "range": span}
    return stacked([shares, *_apart(summary, points, span)], axis, foot_px=FOOT_PX)


def _span(summary: Repeats, points: Points) -> list[float]:
    """From the first to the last of theory and runs, with some room."""
    values = [outage_s for _, outage_s, _ in points] + list(summary.range_s or ())
    room = max(EDGE * (max(values) - min(values)), FITS_S)
    return [min(values) - room, max(values) + room]


def _theory(summary: Repeats, span: Sequence[float]) -> list[Trace]:
    """The curve, and how far runs may be off it for the test to let them pass."""
    if summary.range_s is None:
        return []
    low, high = summary.range_s
    x, style = [span[0], low, high, span[1]], {"dash": "8px,4px"}
    hover = "theory: %{y:.0%} at %{x:.3f} s"
    curve = line(x, [0, 0, 1, 1], "theory", ORANGE, hover, line=style)
    if summary.apart_most is None:
        return [curve]
    at = np.linspace(span[0], span[1], 201)
    shares = np.clip((at - low) / (high - low), 0, 1)
    below, above = (np.clip(shares + sign * summary.apart_most, 0, 1) for sign in (-1, 1))
    return [
        line(at, below, "allowed", BAND, line={"width": 0}),
        line(at, above, "allowed", BAND, line={"width": 0}, fill="tonexty", fillcolor=BAND),
        curve,
    ]


def _steps(summary: Repeats, points: Points) -> list[Trace]:
    """Each run a mark, on the stairs that they make."""
    ordered = sorted(points, key=lambda point: point[1])
    lasted = [outage_s for _, outage_s, _ in ordered]
    shares = [(place + 1) / len(ordered) for place in range(len(ordered))]
    style = {"width": 1.4, "shape": "hv"}
    stairs = line([lasted[0], *lasted], [0, *shares], "runs", BLUE, line=style)
    hover = "run %{customdata}: out for %{x:.3f} s"
    return [stairs, _runs(summary, ordered, lasted, shares, "run", hover)]


def _apart(summary: Repeats, points: Points, span: Sequence[float]) -> list[Panel]:
    known = [point for point in points if point[2] is not None]
    if not known:
        return []
    x, y = [out_s for _, out_s, _ in known], [apart_s or 0.0 for _, _, apart_s in known]
    top = 1.15 * max(FITS_S, *map(abs, y))
    style = {"width": 1, "dash": "2px,3px"}
    limits = [line(span, [at_s, at_s], "fit", BAD, line=style) for at_s in (-FITS_S, FITS_S)]
    hover = "run %{customdata}: %{y:+.3f} s from its prediction"
    return [
        Panel(
            title="Seen less its own prediction, seconds; a fit is between the lines",
            height_px=APART_PX,
            traces=[*limits, _runs(summary, known, x, y, "apart", hover)],
            axis={
                "range": [-top, top],
                "zeroline": True,
                "zerolinecolor": INK,
                "tickformat": "+~g",
            },
        )
    ]


def _runs(
    summary: Repeats,
    points: Points,
    x: Sequence[float],
    y: Sequence[float],
    name: str,
    hover: str,
) -> Trace:
    """A mark for each run; what fits neither stands out by colour and shape."""
    odd = [number in summary.fit_neither for number, _, _ in points]
    marker: dict[str, Any] = {
        "color": [BAD if is_odd else BLUE for is_odd in odd],
        "symbol": ["x" if is_odd else "circle" for is_odd in odd],
        "size": [11 if is_odd else 8 for is_odd in odd],
    }
    return marks(x, y, name, marker, hover, customdata=[number for number, _, _ in points])
