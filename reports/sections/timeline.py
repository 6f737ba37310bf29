"""The timeline: requests, packets, ActiveConn and InActConn on one time axis.

The legend is drawn by the page, from ``series``: each trace's ``legendgroup`` is the ``key`` of
its Series.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from reports import curves
from reports.panels import Panel, nice, stacked, time_axis, whole_numbers
from reports.section import Chart, Section
from reports.series import legend, series
from reports.theme import BAD, BAND, BUCKETS, CALM, INK, MUTED, PALETTE, plain
from reports.wording import timeline_caption

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from analyzer.results import Analysis, Event, Floats, Timeline
    from reports.series import Series

LANES = ("SYN", "FIN", "RST")
BINS = 240  # at most, of the requests' bars


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A part of the timeline that is worth a look of its own."""

    label: str
    start_s: float
    end_s: float


def section(analysis: Analysis) -> Section:
    """What happened, second by second."""
    chart = Chart(
        id="timeline-chart",
        figure=timeline(analysis),
        caption=timeline_caption(analysis),
        clock="run",
    )
    return Section(
        id="timeline",
        title="What happened, second by second",
        charts=(chart,),
        template="sections/timeline.html",
        shows=frozenset(
            {
                "synced-copies",
                "director-lost",
                "timeout-changed-midway",
                "requests-failed",
                "half-open",
                "arp-flux",
                "refused",
                "foreign-entries",
                "capture-incomplete",
                "port-budget",
                "table-memory",
            }
        ),
        facts={"legend": legend(series(analysis)), "windows": windows(analysis)},
    )


def windows(analysis: Analysis) -> tuple[Window, ...]:
    """The whole run, the burst, and the decay, where they are parts of it."""
    start, end = span(analysis.timeline)
    found = [Window(label="Whole run", start_s=start, end_s=end)]
    ended = analysis.timeline.request_ended_s
    sent = ended[np.isfinite(ended)]
    if sent.size and sent.max() < 0.6 * end:
        burst = float(sent.max())
        found.append(Window(label="Burst", start_s=-0.03 * burst, end_s=1.1 * burst))
    falls = [curves.fall(item.observed) for item in series(analysis) if item.observed]
    starts = [item.first_s for item in falls if item and item.first_s is not None]
    ends = [item.empty_s for item in falls if item and item.empty_s is not None]
    if starts and ends and (decay := max(ends) - min(starts)) < 0.6 * end:
        margin = max(0.15 * decay, 0.5)
        found.append(Window(label="Decay", start_s=min(starts) - margin, end_s=max(ends) + margin))
    return tuple(found)


def span(timeline: Timeline) -> tuple[float, float]:
    """Where the time axis starts and ends, a little wider than what is drawn."""
    end = timeline.end_s if np.isfinite(timeline.end_s) and timeline.end_s > 0 else 1.0
    return -0.015 * end, 1.015 * end


def timeline(analysis: Analysis) -> go.Figure | None:
    """Requests, packets, ActiveConn and InActConn on one time axis; None when nothing is known."""
    drawn = series(analysis)
    panels = [
        _requests(analysis.timeline),
        _packets(analysis.timeline),
        _counts(analysis.timeline, drawn, "active", "ActiveConn: open connections", 100),
        _counts(analysis.timeline, drawn, "inactive", "InActConn: closed, not yet forgotten", 230),
    ]
    shown = [panel for panel in panels if panel]
    if not shown:
        return None
    figure = stacked(shown)
    low, high = span(analysis.timeline)
    figure.update_layout(xaxis=time_axis(low, high, "seconds since the start of the run"))
    _mark_gaps(figure, drawn)
    _mark_events(figure, analysis.timeline.events, width_s=high - low)
    return figure


def _requests(timeline: Timeline) -> Panel | None:
    ended = timeline.request_ended_s
    known = np.isfinite(ended)
    if not known.any():
        return None
    width = _bin_s(timeline)
    edges = np.arange(np.floor(ended[known].max() / width) + 2) * width
    failed = timeline.request_failed[known]
    well, _ = np.histogram(ended[known][~failed], edges)
    badly, _ = np.histogram(ended[known][failed], edges)
    traces = [_bars("answered", edges, well, CALM)] if well.any() else []
    if badly.any():
        traces.append(_bars("failed", edges, badly, BAD, pattern="/"))
    top = int((well + badly).max())
    title = f"Requests ended per {width:g} s"
    if badly.any():
        title += f"; {badly.sum():,} failed (hatched)"
    return Panel(title=title, height_px=84, traces=traces, axis=whole_numbers(top))


def _bin_s(timeline: Timeline) -> float:
    """The width of a bar: the usual poll interval, wider where that gave too many bars."""
    usual = [s for c in timeline.observed if (s := curves.interval_s(c.t_s))]
    width = round(min(usual), 2) if usual else 0.25
    return max(width or 0.25, nice(timeline.end_s / BINS))


def _bars(
    name: str, edges: Floats, counts: npt.NDArray[np.intp], colour: str, pattern: str = ""
) -> go.Bar:
    at = np.flatnonzero(counts)
    return go.Bar(
        name=name,
        x=edges[at],
        y=counts[at],
        width=edges[1],
        offset=0,
        marker={
            "color": colour,
            "line": {"width": 1, "color": colour},
            "pattern": {"shape": pattern, "size": 5, "solidity": 0.4, "fillmode": "overlay"},
        },
        hovertemplate="%{y} " + name + " from %{x:.2f} s<extra></extra>",
    )


def _packets(timeline: Timeline) -> Panel | None:
    lanes = [lane for lane in (*LANES, *timeline.marks) if lane in timeline.marks]
    lanes = list(dict.fromkeys(lanes))
    if not lanes:
        return None
    colours = {"RST": BAD}
    traces = [
        _ticks(lane, level, timeline.marks[lane], colours.get(lane, MUTED))
        for level, lane in enumerate(reversed(lanes))
    ]
    counts = ", ".join(f"{timeline.marks[lane].size:,} {plain(lane, 12)}" for lane in lanes)
    axis = {
        "tickvals": list(range(len(lanes))),
        "ticktext": [plain(lane, 12) for lane in reversed(lanes)],
        "range": [-0.6, len(lanes) - 0.4],
        "showgrid": False,
    }
    title = f"Packets from the client: {counts}"
    return Panel(title=title, height_px=20 * len(lanes), traces=traces, axis=axis)


def _ticks(lane: str, level: int, at_s: Floats, colour: str) -> go.Scatter:
    if at_s.size > 4 * BUCKETS:
        step = float(np.ptp(at_s)) / (4 * BUCKETS) or 1.0
        at_s = at_s[np.unique(np.round(at_s / step), return_index=True)[1]]
    return go.Scatter(
        name=plain(lane),
        x=at_s,
        y=np.full(at_s.size, level),
        mode="markers",
        marker={"symbol": "line-ns-open", "size": 10, "color": colour, "line": {"width": 1.2}},
        hovertemplate=plain(lane, 12).replace("%", "") + " at %{x:.3f} s<extra></extra>",
    )


def _counts(
    timeline: Timeline, drawn: Sequence[Series], count: curves.Count, title: str, height_px: int
) -> Panel | None:
    traces = [
        trace
        for item in sorted(drawn, key=lambda item: not item.quiet)
        for trace in (_predicted(item, count, timeline), _observed(item, count))
        if trace
    ]
    if not traces:
        return None
    top = max(int(np.nanmax(trace.y)) for trace in traces)
    return Panel(title=title, height_px=height_px, traces=traces, axis=whole_numbers(top))


def _observed(item: Series, count: curves.Count) -> go.Scatter | None:
    if item.observed is None:
        return None
    values = getattr(item.observed, count)
    t_s, y = curves.with_gaps(item.observed.t_s, values)
    kept = curves.thinned(y, buckets=BUCKETS)
    colour = PALETTE[item.hue][0]
    return go.Scatter(
        name=plain(f"{item.director} {item.label}") + ", polled",
        legendgroup=item.key,
        x=t_s[kept],
        y=y[kept],
        mode="markers" if item.predicted or item.quiet else "lines+markers",
        line={"shape": "hv", "width": 1, "color": colour, "dash": item.dash},
        marker={
            "symbol": item.symbol,
            "size": item.size,
            "color": colour,
            "line": {"width": 1.4, "color": colour},
        },
        connectgaps=False,
        cliponaxis=False,
        hovertemplate="%{y} at %{x:.2f} s<br>%{fullData.name}<extra></extra>",
    )


def _predicted(item: Series, count: curves.Count, timeline: Timeline) -> go.Scatter | None:
    if item.predicted is None:
        return None
    values = getattr(item.predicted, count)
    t_s, y = curves.held(item.predicted.t_s, values, start_s=0.0, end_s=timeline.end_s)
    kept = curves.thinned(y, buckets=4 * BUCKETS)
    return go.Scatter(
        name=plain(f"{item.director} {item.label}") + ", predicted",
        legendgroup=item.key,
        x=t_s[kept],
        y=y[kept],
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


def _mark_gaps(figure: go.Figure, drawn: Sequence[Series]) -> None:
    """A band over each gap in polling, once for each director."""
    polls = {item.director: item.observed for item in drawn if item.observed}
    for director, curve in polls.items():
        for start, end in curves.gaps(curve.t_s):
            figure.add_shape(
                type="rect",
                x0=start,
                x1=end,
                y0=0,
                y1=1,
                yref="paper",
                layer="below",
                fillcolor=BAND,
                line={"width": 0},
                name=plain(f"no polls of {director}"),
            )


def event_clusters(events: Sequence[Event], *, width_s: float) -> tuple[tuple[float, str], ...]:
    """Where to write the events' numbers, so that none is written over another: (instant, text)."""
    near = width_s / 28
    clusters: list[list[int]] = []
    for i, event in enumerate(events):
        if clusters and event.t_s - events[clusters[-1][0]].t_s < near:
            clusters[-1].append(i)
        else:
            clusters.append([i])
    return tuple(
        (events[c[0]].t_s, f"{c[0] + 1}" if len(c) == 1 else f"{c[0] + 1}-{c[-1] + 1}")
        for c in clusters
    )


def _mark_events(figure: go.Figure, events: Sequence[Event], *, width_s: float) -> None:
    """A dotted line for each event, numbered as in the list below the chart."""
    for event in events:
        figure.add_shape(
            type="line",
            x0=event.t_s,
            x1=event.t_s,
            y0=0,
            y1=1,
            yref="paper",
            layer="below",
            line={"width": 1, "dash": "2px,3px", "color": MUTED},
            name=plain(event.kind),
        )
    for at_s, text in event_clusters(events, width_s=width_s):
        figure.add_annotation(
            x=at_s,
            y=1,
            yref="paper",
            yanchor="bottom",
            yshift=22,
            text=text,
            showarrow=False,
            font={"size": 11, "color": INK},
            bgcolor=BAND,
            borderpad=2,
        )
