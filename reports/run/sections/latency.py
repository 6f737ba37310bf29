"""The section on latency: histograms over one logarithmic axis, percentiles, latency over time."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from analyzer.client.samples import carries_quantile
from reports.charts.figure import add_shapes, bar
from reports.charts.panels import Panel, axis_name, stacked, whole_numbers
from reports.charts.theme import BAD, CALM, INK
from reports.charts.wording import LATENCIES, latency_caption, milliseconds
from reports.run.percentiles import (
    COLUMNS,
    TOO_FEW,
    heat_chart,
    percentile_chart,
    rows,
    syn_sentences,
)
from reports.run.section import Chart, Section

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analyzer.arrays import Floats
    from analyzer.charts.ordered import Ordered
    from analyzer.client.results import Latency
    from analyzer.report import Analysis
    from reports.charts.figure import Figure


def section(analysis: Analysis) -> Section:
    """The latencies of the requests: distribution, percentiles, and over time."""
    chart = Chart(id="latency-chart", figure=latency(analysis), caption=latency_caption(analysis))
    latencies = analysis.pictures.latencies
    more = (
        (percentile_chart(latencies), heat_chart(latencies.heat))
        if latencies and latencies.percentiles
        else ()
    )
    return Section(
        id="latency",
        title="Latency of the requests",
        charts=(chart, *filter(None, more)),
        facts={
            "columns": COLUMNS,
            "rows": rows(latencies.percentiles) if latencies else (),
            "note": TOO_FEW,
            "syn": syn_sentences(latencies.syn) if latencies else (),
        },
        template="sections/latency.html",
        shows=frozenset({"port-reuse-delay"}),
    )


def latency(analysis: Analysis) -> Figure | None:
    """One histogram for each latency over one logarithmic axis; None without latencies."""
    measured = [
        (name, values, getattr(analysis.requests, key))
        for name, key in LATENCIES
        if len(values := analysis.timeline.latency(key).above(0))
    ]
    if not measured:
        return None
    least = min(values.least for _, values, _ in measured)
    edges = _log_edges(least, max(values.largest for _, values, _ in measured))
    panels = [
        _histogram(name, values, edges, percentiles) for name, values, percentiles in measured
    ]
    ticks = _log_ticks(edges[0], edges[-1])
    axis = {
        "range": [float(edges[0]), float(edges[-1])],
        "tickvals": [float(np.log10(ms)) for ms in ticks],
        "ticktext": [f"{ms:g} ms" if ms < 1000 else f"{ms / 1000:g} s" for ms in ticks],
    }
    figure = stacked(panels, axis, head_px=26, foot_px=30, bargap=0)
    for number, (_, values, percentiles) in enumerate(measured):
        if percentiles:
            _mark_percentiles(figure, number, _points(percentiles, values))
    latencies = analysis.pictures.latencies
    for at_s, _ in latencies.syn.steps if latencies and measured[0][0] == "connect" else ():
        _mark_retransmission(figure, at_s)
    return figure


def _mark_retransmission(figure: Figure, at_s: float) -> None:
    """Draw the time of a SYN retransmission: a dotted line through the first panel."""
    line = {"width": 1.4, "dash": "1px,3px", "color": BAD}
    add_shapes(figure, _upright(at_s * 1e3, 0, line))


def _upright(ms: float, number: int, line: Mapping[str, Any]) -> dict[str, Any]:
    """A vertical line through one panel."""
    at = float(np.log10(ms))
    ends = {"x0": at, "x1": at, "y0": 0, "y1": 1, "yref": f"{axis_name('y', number)} domain"}
    return {"type": "line", **ends, "line": line}


def _log_edges(low: float, high: float) -> Floats:
    """Edges of bins in log10 of milliseconds, over at least a decade."""
    start, end = np.log10(low), np.log10(high)
    missing = max(0.0, 1.0 - (end - start)) / 2
    first, last = np.floor((start - missing) * 12) - 1, np.ceil((end + missing) * 12) + 1
    return np.arange(first, last + 1) / 12


def _log_ticks(start: float, end: float) -> list[float]:
    """About seven round numbers of milliseconds between two powers of ten."""
    decades = range(int(np.floor(start)), int(np.ceil(end)) + 1)
    steps = (1, 2, 5) if end - start < 2.2 else (1,)
    ticks = [step * 10.0**decade for decade in decades for step in steps]
    return [ms for ms in ticks if start <= np.log10(ms) <= end]


def _histogram(name: str, values: Ordered, edges: Floats, percentiles: Latency | None) -> Panel:
    counts = np.zeros(len(edges) - 1, dtype=np.int64)
    for run in values.each_run():
        counts += np.histogram(np.log10(run), edges)[0]
    bounds = 10.0**edges
    trace = bar(
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
        marks = [f"{point} {milliseconds(value)}" for point, value in _points(percentiles, values)]
        title += f": {', '.join([*marks, f'max {milliseconds(percentiles.max)}'])} ms"
    return Panel(title=title, height_px=74, traces=[trace], axis=whole_numbers(int(counts.max())))


def _points(percentiles: Latency, values: Ordered) -> list[tuple[str, float]]:
    """The median and the 99th percentile, as far as there are enough values."""
    points = (("p50", 0.5, percentiles.p50), ("p99", 0.99, percentiles.p99))
    return [(name, ms) for name, share, ms in points if carries_quantile(share, len(values))]


_DASHES = {"p50": "solid", "p99": "3px,3px"}


def _mark_percentiles(figure: Figure, number: int, points: Sequence[tuple[str, float]]) -> None:
    for name, value in points:
        if value > 0:
            line = {"width": 1.4, "dash": _DASHES[name], "color": INK}
            add_shapes(figure, _upright(value, number, line))
