"""Plotly figures of an Analysis: pure builders, drawn in light colours.

Only trace types of plotly's basic bundle (scatter, bar). Text from the wire passes ``plain``,
because plotly reads a subset of HTML in labels. The legend is drawn by the page, from ``series``:
each trace's ``legendgroup`` is the ``key`` of its Series.
"""

from __future__ import annotations

import html
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from reports import curves
from reports.wording import LATENCIES, milliseconds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from analyzer.results import Analysis, Curve, Event, Floats, Latency, Timeline

# name: (on a light page, on a dark page); the hues are those of Okabe and Ito
PALETTE: Mapping[str, tuple[str, str]] = {
    "paper": ("#fffffe", "#14181d"),
    "ink": ("#1c2126", "#e7eaed"),
    "muted": ("#5a646e", "#a0a9b2"),
    "grid": ("#e3e7ea", "#2b3138"),
    "band": ("#eceff1", "#232930"),
    "blue": ("#0072b2", "#56b4e9"),
    "orange": ("#c67a00", "#e69f00"),
    "green": ("#00815e", "#1fb88c"),
    "pink": ("#b0578f", "#dd92bd"),
    "sky": ("#3a8fc4", "#8fd0f5"),
    "bad": ("#c24a00", "#ff7b3d"),
    "calm": ("#7d93a6", "#7d93a5"),
}
PAPER, INK, MUTED, GRID, BAND, BAD, CALM = (
    PALETTE[name][0] for name in ("paper", "ink", "muted", "grid", "band", "bad", "calm")
)
HUES = ("blue", "orange", "green", "pink", "sky")
# A big open shape first, then small filled ones: two equal curves both stay visible.
MARKERS = (
    ("circle-open", 9),
    ("diamond", 5),
    ("square-open", 11),
    ("triangle-up", 5),
    ("cross-thin-open", 8),
    ("triangle-down-open", 8),
)
DASHES = ("solid", "8px,4px", "2px,3px", "10px,3px,2px,3px")
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"
LANES = ("SYN", "FIN", "RST")
BUCKETS = 1000  # of a thinned curve; the widest screen shows about two points for each
BINS = 240  # at most, of the requests' bars
GAP_PX, HEAD_PX, FOOT_PX = 46, 44, 46  # between panels; for title and events; for the x axis


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """How one curve is drawn wherever it appears, and what the legend calls it."""

    key: str = ""  # made by ``series``; free of names, so that it needs no escaping
    director: str
    label: str
    hue: str  # a name of PALETTE
    symbol: str
    size: int
    dash: str
    observed: Curve | None
    predicted: Curve | None
    quiet: bool = False  # zero throughout


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One row of a stacked chart; its traces have no axes yet."""

    title: str
    height_px: int
    traces: Sequence[Any]
    axis: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A part of the timeline that is worth a look of its own."""

    label: str
    start_s: float
    end_s: float


def plain(text: str, limit: int = 80) -> str:
    """A text of unknown origin as plotly must get it: no tags, and not endless."""
    short = text if len(text) <= limit else text[: limit - 1] + "…"
    return html.escape(short, quote=False)


# -- what is drawn -------------------------------------------------------------------------------


def series(analysis: Analysis) -> tuple[Series, ...]:
    """Every curve of the timeline; a director that stays at zero is one quiet series."""
    observed, predicted = analysis.timeline.observed, analysis.timeline.predicted
    drawn: list[Series] = []
    for rank, director in enumerate(curves.directors((*observed, *predicted))):
        polls, steps = curves.of(director, observed), curves.of(director, predicted)
        if curves.is_silent((*polls, *steps)):
            drawn.append(_silent(director, polls, steps))
        else:
            hue = sum(item.hue in HUES for item in drawn)
            drawn += _active(director, polls, steps, first_hue=hue, rank=rank)
    return tuple(replace(item, key=f"series-{number}") for number, item in enumerate(drawn))


def _silent(director: str, polls: Sequence[Curve], steps: Sequence[Curve]) -> Series:
    return Series(
        director=director,
        label="0 throughout",
        hue="muted",
        symbol="line-ew-open",
        size=4,
        dash="2px,3px",
        observed=curves.sum_of_polls(polls) if polls else None,
        predicted=None if polls else curves.sum_of_steps(steps),
        quiet=True,
    )


def _active(
    director: str, polls: Sequence[Curve], steps: Sequence[Curve], *, first_hue: int, rank: int
) -> list[Series]:
    servers = list(dict.fromkeys(curve.real_server for curve in (*polls, *steps)))
    found = []
    for i, server in enumerate(servers, start=first_hue):
        symbol, size = MARKERS[i % len(MARKERS)]
        found.append(
            Series(
                director=director,
                label=server,
                hue=HUES[i % len(HUES)],
                symbol=symbol,
                size=size,
                dash=DASHES[i % len(DASHES)],
                observed=_named(server, polls),
                predicted=_named(server, steps),
            )
        )
    return [_sum(director, polls, steps, rank), *found] if len(servers) > 1 else found


def _sum(director: str, polls: Sequence[Curve], steps: Sequence[Curve], rank: int) -> Series:
    return Series(
        director=director,
        label="all real servers",
        hue=("ink", "muted")[rank % 2],
        symbol=("circle", "square")[rank % 2],
        size=4,
        dash=DASHES[rank % len(DASHES)],
        observed=curves.sum_of_polls(polls) if polls else None,
        predicted=curves.sum_of_steps(steps) if steps else None,
    )


def _named(server: str, among: Sequence[Curve]) -> Curve | None:
    return next((curve for curve in among if curve.real_server == server), None)


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


# -- the timeline --------------------------------------------------------------------------------


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
    figure.update_layout(
        xaxis={
            "range": [low, high],
            "title": {"text": "seconds since the start of the run", "standoff": 8},
            "showspikes": True,
            "spikemode": "across",
            "spikesnap": "cursor",
            "spikethickness": 1,
            "spikedash": "1px,3px",
            "spikecolor": MUTED,
        }
    )
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
    return max(width or 0.25, _nice(timeline.end_s / BINS))


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


# -- the latencies -------------------------------------------------------------------------------


def latency(analysis: Analysis) -> go.Figure | None:
    """How long requests took, one histogram for each latency over one logarithmic axis."""
    found = [
        (name, values, getattr(analysis.requests, key))
        for name, key in LATENCIES
        if (values := _positive(getattr(analysis.timeline, key))).size
    ]
    if not found:
        return None
    everything = np.concatenate([values for _, values, _ in found])
    edges = _log_edges(float(everything.min()), float(everything.max()))
    panels = [_histogram(name, values, edges, percentiles) for name, values, percentiles in found]
    figure = stacked(panels, head_px=26, foot_px=30)
    ticks = _log_ticks(edges[0], edges[-1])
    figure.update_layout(
        bargap=0,
        xaxis={
            "range": [float(edges[0]), float(edges[-1])],
            "tickvals": [float(np.log10(ms)) for ms in ticks],
            "ticktext": [f"{ms:g} ms" if ms < 1000 else f"{ms / 1000:g} s" for ms in ticks],
        },
    )
    for number, (_, _, percentiles) in enumerate(found):
        if percentiles:
            _mark_percentiles(figure, number, percentiles)
    return figure


def _positive(values: Floats) -> Floats:
    return values[np.isfinite(values) & (values > 0)]


def _log_edges(low: float, high: float) -> Floats:
    """Edges of bins in log10 of milliseconds, at least a decade of them."""
    start, end = np.log10(low), np.log10(high)
    missing = max(0.0, 1.0 - (end - start)) / 2
    first, last = np.floor((start - missing) * 12) - 1, np.ceil((end + missing) * 12) + 1
    return np.arange(first, last + 1) / 12


def _log_ticks(start: float, end: float) -> list[float]:
    """Round numbers of milliseconds between two powers of ten, seven or so."""
    decades = range(int(np.floor(start)), int(np.ceil(end)) + 1)
    steps = (1, 2, 5) if end - start < 2.2 else (1,)
    ticks = [step * 10.0**decade for decade in decades for step in steps]
    return [ms for ms in ticks if start <= np.log10(ms) <= end]


def _histogram(name: str, values: Floats, edges: Floats, percentiles: Latency | None) -> Panel:
    counts, _ = np.histogram(np.log10(values), edges)
    bounds = 10.0**edges
    trace = go.Bar(
        name=name,
        x=edges[:-1],
        y=counts,
        width=np.diff(edges),
        offset=0,
        marker={"color": CALM, "line": {"width": 0.5, "color": CALM}},
        customdata=[
            f"{milliseconds(low)} to {milliseconds(high)} ms" for low, high in pairwise(bounds)
        ],
        hovertemplate="%{y} took %{customdata}<extra></extra>",
    )
    title = name.capitalize()
    if percentiles:
        p50, p99, top = (
            milliseconds(v) for v in (percentiles.p50, percentiles.p99, percentiles.max)
        )
        title += f": p50 {p50}, p99 {p99}, max {top} ms"
    return Panel(title=title, height_px=74, traces=[trace], axis=whole_numbers(int(counts.max())))


def _mark_percentiles(figure: go.Figure, number: int, percentiles: Latency) -> None:
    for value, dash in ((percentiles.p50, "solid"), (percentiles.p99, "3px,3px")):
        if value > 0:
            figure.add_shape(
                type="line",
                x0=float(np.log10(value)),
                x1=float(np.log10(value)),
                y0=0,
                y1=1,
                yref=f"{_axis('y', number)} domain",
                line={"width": 1.4, "dash": dash, "color": INK},
            )


# -- what both share -----------------------------------------------------------------------------


def _axis(letter: str, number: int) -> str:
    return letter if number == 0 else f"{letter}{number + 1}"


def stacked(
    panels: Sequence[Panel], *, head_px: int = HEAD_PX, foot_px: int = FOOT_PX
) -> go.Figure:
    """Panels below one another over a single x axis, each with its title above it."""
    plot_px = sum(panel.height_px for panel in panels) + GAP_PX * (len(panels) - 1)
    figure = go.Figure(layout=_layout(plot_px, head_px, foot_px))
    top_px = float(plot_px)
    for number, panel in enumerate(panels):
        axis, bottom_px = _axis("y", number), top_px - panel.height_px
        for trace in panel.traces:
            trace.update(xaxis="x", yaxis=axis)
        figure.add_traces(list(panel.traces))
        domain = [max(bottom_px, 0) / plot_px, top_px / plot_px]
        name = axis.replace("y", "yaxis")
        figure.update_layout({name: _y_axis() | {"domain": domain} | dict(panel.axis)})
        figure.add_annotation(**_title(panel.title, domain[1]))
        top_px = bottom_px - GAP_PX
    figure.update_layout(xaxis={"anchor": _axis("y", len(panels) - 1)})
    return figure


def _layout(plot_px: int, head_px: int, foot_px: int) -> dict[str, Any]:
    return {
        "template": {},
        "height": plot_px + head_px + foot_px,
        "margin": {"l": 46, "r": 14, "t": head_px, "b": foot_px},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": FONT, "size": 12, "color": MUTED},
        "hoverlabel": {"bgcolor": BAND, "bordercolor": MUTED, "font": {"color": INK}},
        "hovermode": "closest",
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": MUTED, "activecolor": INK},
        "showlegend": False,
        "barmode": "stack",
        "dragmode": "zoom",
        "xaxis": {
            "showgrid": True,
            "gridcolor": GRID,
            "zeroline": False,
            "showline": True,
            "linecolor": MUTED,
            "ticks": "outside",
            "tickcolor": MUTED,
            "ticklen": 4,
        },
    }


def _y_axis() -> dict[str, Any]:
    return {
        "anchor": "x",
        "fixedrange": True,
        "gridcolor": GRID,
        "zeroline": False,
        "showline": False,
        "automargin": True,
    }


def _title(text: str, y: float) -> dict[str, Any]:
    return {
        "text": text,
        "x": 0,
        "y": y,
        "xref": "paper",
        "yref": "paper",
        "xanchor": "left",
        "yanchor": "bottom",
        "yshift": 5,
        "showarrow": False,
        "font": {"size": 12.5, "color": INK},
        "bgcolor": PAPER,  # nothing drawn behind a title may strike it through
        "borderpad": 0,
    }


def whole_numbers(top: int) -> dict[str, Any]:
    """An axis for counts from zero: about four whole ticks, and room for a mark at each end."""
    top = max(top, 1)
    step = max(1, int(_nice(top / 4)))
    return {"range": [-0.07 * top, 1.1 * top], "dtick": step, "tick0": 0, "tickformat": "~s"}


def _nice(value: float) -> float:
    """The next 1, 2 or 5 times a power of ten."""
    if not np.isfinite(value) or value <= 0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(value))
    return float(next(m * power for m in (1, 2, 5, 10) if value <= m * power * 1.0001))
