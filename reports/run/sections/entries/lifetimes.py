"""The section on the lifetimes of entries, which show the governing timeout."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analyzer.charts.long_columns import bounds, counted
from reports.charts.figure import Trace, add_annotations, add_shapes, bar, scatter
from reports.charts.panels import Panel, axis_name, stacked, time_axis, whole_numbers
from reports.charts.theme import BAND, CALM, INK, MUTED, PALETTE, PAPER, plain
from reports.charts.windows import Window
from reports.charts.wording import NOT_MEASURED, plural, seconds, setting, why_no_lifetime
from reports.run.assumptions import on_forwarding
from reports.run.section import Cell, Chart, DataTable, Section

if TYPE_CHECKING:
    from analyzer.arrays import Floats, Ints
    from analyzer.charts.values import LifetimeSamples
    from analyzer.report import Analysis
    from reports.charts.figure import Figure

GROUPS = 5  # that are drawn, the largest
BINS_PER_GRANULE = 8
MOST_BINS = 400
HEIGHT_PX = 96
LABEL_PX = 17  # from one label to the next below it
COLUMNS = (
    "entries",
    "timeout, s",
    "granule, s",
    "expiries seen",
    "shortest, s",
    "median, s",
    "longest, s",
    "predicted",
    "shortest predicted, s",
    "longest predicted, s",
)


def section(analysis: Analysis) -> Section:
    """The groups of entries, and the timeout of each."""
    groups = drawn(analysis)
    chart = Chart(
        id="lifetimes-chart",
        figure=figure(groups) if groups else None,
        caption=caption(groups) + on_forwarding(analysis),
        table=DataTable(columns=COLUMNS, rows=[_row(group) for group in groups]),
        clock="lifetimes",
    )
    return Section(
        id="lifetimes",
        title="Lifetime of entries after their last packet",
        charts=(chart,) if groups else (),
        template="sections/lifetimes.html",
        shows=frozenset(
            {
                "conntrack-governs",
                "conntrack-half-closed",
                "conntrack-idle",
                "tcpfin-governs",
                "tcpfin-has-no-effect",
                "udp-governs",
                "lifetime-ambiguous",
                "reset-closes-early",
                "idle-established",
                "server-held-open",
                "expires-late",
                "ended-early",
                "clock-stepped",
                "log-clock",
                "forwarding-assumed",
                "forwarding-differs",
            }
        ),
        facts={
            "groups": analysis.lifetimes,
            "early": analysis.ended_early,
            "why": why_no_lifetime(analysis),
            "windows": windows(groups),
        },
    )


def drawn(analysis: Analysis) -> list[LifetimeSamples]:
    """The largest groups, in the order of the analysis."""
    groups = [group for group in analysis.pictures.lifetime_samples if _fits(group, analysis)]
    ranked = sorted(groups, key=lambda group: -max(group.observed_s.size, group.predicted_s.size))
    return [group for group in groups if group in ranked[:GROUPS]]


def _fits(group: LifetimeSamples, analysis: Analysis) -> bool:
    """Whether the axis has room for it: hours that nobody waited would leave none for seconds."""
    seen = [other for other in analysis.pictures.lifetime_samples if other.observed_s.size]
    if group.observed_s.size or not seen or group.timeout_name in _OF_IPVS:
        return True
    return longest_s(group) <= _MOST_TIMES * max(map(longest_s, seen))


_OF_IPVS = ("tcp", "tcpfin", "udp", "fixed")
_MOST_TIMES = 10


def longest_s(group: LifetimeSamples) -> float:
    """The longest time that is drawn of a group."""
    ends = [found for values in (group.observed_s, group.predicted_s) if (found := bounds(values))]
    longest = [high for _, high in ends]
    return max([*longest, (group.timeout_s or 0) + (group.granule_s or 0)])


def windows(groups: list[LifetimeSamples]) -> tuple[Window, ...]:
    """Windows to zoom to: everything, and the range around each timeout."""
    if not groups:
        return ()
    parts = [Window(label="From 0", start_s=0.0, end_s=1.06 * max(map(longest_s, groups)))]
    for group in groups:
        if group.timeout_s is not None and group.granule_s is not None:
            label = f"Around {setting(group.timeout_s)}"
            start = group.timeout_s - group.granule_s
            end = max(longest_s(group), group.timeout_s + group.granule_s) + group.granule_s
            parts.append(Window(label=label, start_s=start, end_s=end))
    return tuple({window.label: window for window in parts}.values())


def figure(groups: list[LifetimeSamples]) -> Figure:
    """A histogram for each group over one axis, with its timeout and granule."""
    axis = time_axis(0, 1.06 * max(map(longest_s, groups)), "seconds after the last packet")
    chart = stacked([_panel(group) for group in groups], axis, head_px=26, bargap=0)
    for number, group in enumerate(groups):
        _mark_timeouts(chart, axis_name("y", number), group)
    return chart


def _panel(group: LifetimeSamples) -> Panel:
    edges = _edges(group)
    traces: list[Trace] = []
    top = 1
    if group.observed_s.size:
        counts = counted(group.observed_s, edges)
        top = max(top, int(counts.max()))
        traces.append(_bars(edges, counts))
    if group.predicted_s.size:
        counts = counted(group.predicted_s, edges)
        top = max(top, int(counts.max()))
        traces.append(_outline(edges, counts))
    return Panel(title=_title(group), height_px=HEIGHT_PX, traces=traces, axis=whole_numbers(top))


def _title(group: LifetimeSamples) -> str:
    n = max(group.observed_s.size, group.predicted_s.size)
    name = f"{group.state} on {group.director}"
    return f"{plain(name, 40)}: {plural(n, 'entry', 'entries')}"


def _edges(group: LifetimeSamples) -> Floats:
    """Bins of an eighth of a granule, wider where that gives more than MOST_BINS."""
    both = [found for values in (group.observed_s, group.predicted_s) if (found := bounds(values))]
    low, high = min(low for low, _ in both), max(high for _, high in both)
    width = max((group.granule_s or 1.0) / BINS_PER_GRANULE, (high - low) / MOST_BINS)
    zero = group.timeout_s or 0.0  # the timeout is an edge: no bin mixes earlier and later expiries
    steps = np.arange(np.floor((low - zero) / width) - 1, np.floor((high - zero) / width) + 3)
    return zero + steps * width


def _bars(edges: Floats, counts: Ints) -> Trace:
    at = np.flatnonzero(counts)
    return bar(
        name="observed",
        x=np.round(edges[at], 4),
        y=counts[at],
        width=float(np.diff(edges)[0]),
        offset=0,
        marker={"color": CALM, "line": {"width": 0.5, "color": CALM}},
        hovertemplate="%{y} expired %{x:.2f} s after their last packet<extra></extra>",
    )


def _outline(edges: Floats, counts: Ints) -> Trace:
    return scatter(
        name="predicted",
        x=np.round(edges, 4),
        y=np.append(counts, 0),
        mode="lines",
        line={"shape": "hv", "width": 1.6, "color": PALETTE["blue"][0]},
        hovertemplate="%{y} predicted to expire from %{x:.2f} s on<extra></extra>",
    )


def _mark_timeouts(chart: Figure, axis: str, group: LifetimeSamples) -> None:
    if group.timeout_s is not None:
        if group.granule_s is not None:
            granule = {
                "type": "rect",
                "x0": group.timeout_s,
                "x1": group.timeout_s + group.granule_s,
                "y0": 0,
                "y1": 1,
                "yref": f"{axis} domain",
                "layer": "below",
                "fillcolor": BAND,
                "line": {"width": 1, "color": MUTED, "dash": "2px,3px"},
            }
            add_shapes(chart, granule)
        name = "fixed" if group.timeout_name == "fixed" else group.timeout_name
        joined = " " if name == "fixed" else " = "
        _mark(chart, axis, group.timeout_s, f"{name}{joined}{setting(group.timeout_s)}", "solid")
    other_s = None if group.timeout_name == "tcpfin" else group.tcpfin_s
    if other_s is not None and other_s <= 1.06 * longest_s(group):
        _mark(chart, axis, other_s, f"tcpfin = {setting(other_s)}", "6px,4px", row=1)


def _mark(chart: Figure, axis: str, at_s: float, text: str, dash: str, row: int = 0) -> None:
    at_left = at_s < 0.2 * chart["layout"]["xaxis"]["range"][1]
    yref = f"{axis} domain"
    style = {"width": 1.6, "dash": dash, "color": INK}
    ends = {"x0": at_s, "x1": at_s, "y0": 0, "y1": 1, "yref": yref}
    add_shapes(chart, {"type": "line", **ends, "line": style})
    label = {
        "x": at_s,
        "y": 1,
        "yref": yref,
        "xanchor": "left" if at_left else "right",
        "yanchor": "top",
        "xshift": 4 if at_left else -4,
        "yshift": -LABEL_PX * row,
        "text": text,
        "showarrow": False,
        "font": {"size": 11, "color": INK},
        "bgcolor": PAPER,
        "borderpad": 1,
    }
    add_annotations(chart, label)


def caption(groups: list[LifetimeSamples]) -> str:
    """The measured lifetimes of each group, and its timeout."""
    return " ".join([*map(_sentence, groups), _key(groups)]).strip()


def _sentence(group: LifetimeSamples) -> str:
    head = f"In {group.state} on {group.director} "
    if not group.observed_s.size:
        n = plural(group.predicted_s.size, "predicted entry", "predicted entries")
        return f"{head}{n}; no expiry was seen."
    low, high = float(group.observed_s.min()), float(group.observed_s.max())
    text = (
        f"{head}{plural(group.observed_s.size, 'entry', 'entries')} expired {low:.2f} to "
        f"{seconds(high)} after the last packet"
    )
    if group.timeout_s is None:
        return f"{text}; the timeout was {NOT_MEASURED}."
    governs = "is fixed in the kernel" if group.timeout_name == "fixed" else "is set"
    name = "" if group.timeout_name == "fixed" else f"{group.timeout_name} = "
    text += f"; the timeout, {name}{setting(group.timeout_s)}, {governs}"
    if group.granule_s is not None:
        text += f", and the timer adds up to {seconds(group.granule_s)}"
    return f"{text}."


def _key(groups: list[LifetimeSamples]) -> str:
    if not groups:
        return ""
    key = "Bars: expiries seen. Outline: predicted from the packets. Vertical line: the timeout"
    if all(group.granule_s is None for group in groups):
        return f"{key}."
    return f"{key}; shaded: the granule that the timer may add."


def _row(group: LifetimeSamples) -> tuple[Cell, ...]:
    observed, predicted = group.observed_s, bounds(group.predicted_s)
    return (
        f"{group.state} on {group.director}",
        group.timeout_s,
        group.granule_s,
        int(observed.size),
        *(_numbers(observed) if observed.size else (None, None, None)),
        int(group.predicted_s.size),
        *(predicted or (None, None)),
    )


def _numbers(values: Floats) -> tuple[float, float, float]:
    return float(values.min()), float(np.median(values)), float(values.max())
