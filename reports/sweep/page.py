"""A Sweep as one HTML page: what each tcpfin costs, on the model's curve, and where the knee is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.sweep.results import to_json
from reports.charts.wording import Headline
from reports.run.page import render, script_json
from reports.sweep import text as words
from reports.sweep.chart import chart

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.results import Analysis
    from analyzer.sweep.results import Beside, Point, Sweep


def render_sweep(sweep: Sweep, runs: Sequence[tuple[float, Analysis]]) -> str:
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
    first_way = [point for point in sweep.points if point.forwarding == sweep.ways[0]]
    knee, first, last = sweep.knee, first_way[0], first_way[-1]
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
            detail=f"at {first.tcpfin_s:g} s and at {last.tcpfin_s:g} s"
            + (f", in {sweep.ways[0]}" if len(sweep.ways) > 1 else ""),
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
