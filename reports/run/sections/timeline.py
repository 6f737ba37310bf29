"""The timeline: requests, packets, ActiveConn and InActConn on one time axis.

The legend is drawn by the page, from ``series``: each trace's ``legendgroup`` is the ``key`` of
its Series.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analyzer.charts.thinning import kept
from reports.charts import curves, marks, traffic
from reports.charts.figure import scatter
from reports.charts.panels import Panel, stacked, time_axis, whole_numbers
from reports.charts.series import legend, series
from reports.charts.theme import PALETTE, plain
from reports.charts.windows import span, windows
from reports.charts.wording import timeline_caption
from reports.run.assumptions import on_forwarding
from reports.run.section import Chart, Section
from reports.run.sections.failover import SHOWS as OF_FAILOVERS
from reports.run.sections.workers import SHOWS as OF_WORKERS
from reports.run.time_table import time_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.arrays import Floats
    from analyzer.charts.thinning import Indices
    from analyzer.report import Analysis, Timeline
    from reports.charts.figure import Figure, Trace
    from reports.charts.series import Series

POINTS = 50_000  # of all curves together
MOST = 4000  # points of one curve: about one for each pixel of the widest screen
MARKS = 250  # marks of one curve that are drawn for its shape, and
BETWEEN = 150  # of its other marks in the part of the time in view: marks are slow to draw
MANY = 120  # polls of a curve from which on its marks are small


def section(analysis: Analysis) -> Section:
    """The timeline with its legend, windows and events."""
    drawn = series(analysis)
    chart = Chart(
        id="timeline-chart",
        figure=timeline(analysis.timeline, drawn),
        caption=timeline_caption(analysis) + on_forwarding(analysis),
        table=time_table(analysis),
        clock="run",
    )
    return Section(
        id="timeline",
        title="What happened, second by second",
        charts=(chart,),
        template="sections/timeline.html",
        shows=OF_FAILOVERS
        | OF_WORKERS
        | frozenset(
            {
                "arp-flux",
                "director-lost",
                "half-closed",
                "half-open",
                "synced-copies",
                "timeout-changed-midway",
                "timeouts-contradicted",
                "load-saturated",
                "no-real-server",
                "redirects-not-followed",
                "requests-failed",
                "service-missing",
                "vip-unanswered",
                "refused",
                "foreign-entries",
                "capture-incomplete",
                "conntrack-insert-failed",
                "port-budget",
                "table-full",
                "table-memory",
            }
        ),
        facts={"legend": legend(drawn), "windows": windows(analysis.timeline, drawn)},
    )


def timeline(run: Timeline, drawn: Sequence[Series]) -> Figure | None:
    """Requests, packets, ActiveConn and InActConn on one time axis; None without data."""
    panels = [traffic.requests(run), traffic.packets(run), *counters(run, drawn)]
    shown = [panel for panel in panels if panel]
    return on_time_axis(shown, run, *span(run)) if shown else None


def on_time_axis(panels: Sequence[Panel], timeline: Timeline, low: float, high: float) -> Figure:
    """Panels over the run's time axis, with its events and gaps."""
    figure = stacked(panels, time_axis(low, high, "seconds since the start of the run"))
    marks.draw(figure, timeline.observed, timeline.events, low, high)
    return figure


def counters(timeline: Timeline, drawn: Sequence[Series]) -> list[Panel]:
    """ActiveConn and InActConn; none where no director was polled and nothing is predicted."""
    panels = (
        _counts(timeline, drawn, "active", "ActiveConn: open connections", 100),
        _counts(timeline, drawn, "inactive", "InActConn: closed, not yet expired", 230),
    )
    return [panel for panel in panels if panel]


def _counts(
    timeline: Timeline, drawn: Sequence[Series], count: curves.Count, title: str, height_px: int
) -> Panel | None:
    points = min(MOST, POINTS // (4 * len(drawn) or 1))
    traces = [
        trace
        for item in sorted(drawn, key=lambda item: not item.quiet)
        for trace in (*_predicted(item, count, timeline, points), *_observed(item, count, points))
    ]
    if not traces:
        return None
    top = max(int(np.nanmax(trace["y"])) for trace in traces)
    return Panel(title=title, height_px=height_px, traces=traces, axis=whole_numbers(top))


def _observed(item: Series, count: curves.Count, points: int) -> list[Trace]:
    """The polls; many marks become two traces, of which the second is drawn in part."""
    if item.observed is None:
        return []
    values = getattr(item.observed, count)
    t_s, y = curves.with_gaps(item.observed.t_s, values)
    shown = kept(y, points=points)
    if not (item.predicted or item.quiet):
        return [_polls(item, t_s, y, shown, line=True, most=MARKS)]
    shape = shown[kept(y[shown], points=MARKS)]
    between = np.setdiff1d(shown, shape)
    traces = [_polls(item, t_s, y, shape), _polls(item, t_s, y, between, most=BETWEEN)]
    return [trace for trace in traces if len(trace["x"])]


def _polls(
    item: Series,
    t_s: Floats,
    y: Floats,
    shown: Indices,
    *,
    line: bool = False,
    most: int = 0,
) -> Trace:
    """Some of the polls, with or without a line, and with at most ``most`` marks in view."""
    colour = PALETTE[item.hue][0]
    more = most > 0 and not line
    return scatter(
        name=plain(f"{item.director} {item.label}") + (", more polls" if more else ", polled"),
        legendgroup=item.key,
        x=np.round(t_s[shown], 4),
        y=y[shown],
        mode="lines+markers" if line else "markers",
        line={"shape": "hv", "width": 1, "color": colour, "dash": item.dash},
        marker={
            "symbol": item.symbol,
            "size": item.size if y.size <= MANY else 0.6 * item.size,
            "color": colour,
            "line": {"width": 1.4 if y.size <= MANY else 0.9, "color": colour},
            "maxdisplayed": most,
        },
        connectgaps=False,
        cliponaxis=False,
        hovertemplate="%{y} at %{x:.2f} s<br>%{fullData.name}<extra></extra>",
    )


def _predicted(item: Series, count: curves.Count, timeline: Timeline, points: int) -> list[Trace]:
    if item.predicted is None:
        return []
    values = getattr(item.predicted, count)
    t_s, y = curves.held(item.predicted.t_s, values, start_s=0.0, end_s=timeline.end_s)
    shown = kept(y, points=points)
    trace = scatter(
        name=plain(f"{item.director} {item.label}") + ", predicted",
        legendgroup=item.key,
        x=np.round(t_s[shown], 4),
        y=y[shown],
        mode="lines",
        line={
            "shape": "hv",
            "width": 1.6,
            "color": PALETTE[item.hue][0],
            "dash": item.dash,
        },
        cliponaxis=False,
        hovertemplate="%{y} from %{x:.2f} s<br>%{fullData.name}<extra></extra>",
    )
    return [trace]
