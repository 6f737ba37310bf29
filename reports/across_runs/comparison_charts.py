"""The charts of a comparison: counters and latencies of all runs over each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from analyzer.across_runs.compare import held
from analyzer.charts.thinning import kept
from reports.charts.figure import scatter
from reports.charts.panels import GAP_PX, Panel, stacked, time_axis, whole_numbers
from reports.charts.theme import DASHES, HUES, MARKERS, PALETTE, plain
from reports.charts.wording import milliseconds, seconds
from reports.document.figures import legend_above, line
from reports.run.percentiles import CURVES_PX, NINES, log_span, log_ticks, nines
from reports.run.section import Chart, DataTable

if TYPE_CHECKING:
    from analyzer.across_runs.compare import Comparison, RunInPlace
    from analyzer.client.latency import Percentiles
    from reports.charts.figure import Trace

POINTS = 3000  # of a long curve
RUN_PX, HEAD_PX = 190, 64
NAME_LETTERS = 30  # of a run in a legend, which a narrow page has to hold
PEAK_COLUMNS = ("run", "peak ActiveConn", "peak InActConn", "empty after, s")


def counters(comparison: Comparison) -> Chart | None:
    """InActConn and ActiveConn from the burst on; None where there is neither."""
    panels = [*_panel(comparison, "inactive"), *_panel(comparison, "active")]
    if not panels:
        return None
    low = min(float(np.min(trace["x"])) for panel in panels for trace in panel.traces)
    high = max(float(np.max(trace["x"])) for panel in panels for trace in panel.traces)
    margin, start = 0.015 * (high - low), max(low, -0.1 * high)
    axis = time_axis(start - margin, high + margin, "seconds since the burst began")
    legend = legend_above(RUN_PX * len(panels) + GAP_PX * (len(panels) - 1))
    figure = stacked(panels, axis, head_px=HEAD_PX, showlegend=True, legend=legend)
    peaks = [(run.name, *_peak(run)) for run in comparison.runs]
    said = "; ".join(_fall(*peak) for peak in peaks)
    return Chart(
        id="courses-chart",
        figure=figure,
        caption=f"{said}. All counted from the first request of each run.",
        table=DataTable(columns=PEAK_COLUMNS, rows=peaks),
    )


def _panel(comparison: Comparison, counted: str) -> list[Panel]:
    traces = [
        trace
        for rank, run in enumerate(comparison.runs)
        for polled in (True, False)
        if (trace := _trace(run, rank, counted, polled=polled)) is not None
    ]
    if not traces:
        return []
    name = "InActConn" if counted == "inactive" else "ActiveConn"
    axis = whole_numbers(max(int(np.nanmax(trace["y"])) for trace in traces))
    return [Panel(title=f"{name} of all directors", height_px=RUN_PX, traces=traces, axis=axis)]


def _style(rank: int) -> tuple[str, str]:
    """Colour and dash of a run."""
    return PALETTE[HUES[rank % len(HUES)]][0], DASHES[rank % len(DASHES)]


def _trace(run: RunInPlace, rank: int, counted: str, *, polled: bool) -> Trace | None:
    timeline = run.analysis.timeline
    t_s, active, inactive = held(run.analysis, timeline.observed if polled else timeline.predicted)
    if not len(t_s):
        return None
    values = inactive if counted == "inactive" else active
    shown = kept(values, points=POINTS)
    (colour, dash), symbol = _style(rank), MARKERS[rank % len(MARKERS)][0]
    return scatter(
        name=plain(run.name, NAME_LETTERS) + (", polled" if polled else ", predicted"),
        legendgroup=f"run-{rank}",
        showlegend=counted == "inactive",
        x=t_s[shown],
        y=values[shown],
        mode="markers" if polled and timeline.predicted else "lines",
        line={"shape": "hv", "width": 1.6, "color": colour, "dash": dash},
        marker={"symbol": symbol, "size": 5, "color": colour, "line": {"width": 1}},
        hovertemplate="%{y} at %{x:.2f} s<br>%{fullData.name}<extra></extra>",
    )


def _peak(run: RunInPlace) -> tuple[int | None, int | None, float | None]:
    """Peak ActiveConn and InActConn as polled, and the first poll after it without any inactive.

    The last in seconds from the burst's begin.
    """
    t_s, active, inactive = held(run.analysis, run.analysis.timeline.observed)
    if not len(inactive):
        return None, None, None
    last = int(np.flatnonzero(inactive == inactive.max())[-1])
    zeros = np.flatnonzero(inactive[last:] == 0)
    empty_s = float(t_s[last + zeros[0]]) if inactive.max() and len(zeros) else None
    return int(active.max()), int(inactive.max()), empty_s


def _fall(name: str, active: int | None, inactive: int | None, empty_s: float | None) -> str:
    if active is None or inactive is None:
        return f"{name}: no director was polled"
    gone = f", all gone after {seconds(empty_s)}" if empty_s is not None else ""
    return f"{name}: InActConn up to {inactive:,}{gone}"


def latencies(comparison: Comparison) -> Chart | None:
    """Each run's total latency by the share of requests that took no longer."""
    known = [
        (rank, run, total)
        for rank, run in enumerate(comparison.runs)
        if (measured := run.analysis.pictures.latencies)
        for total in measured.percentiles
        if (total.name, total.since) == ("total", "send")
    ]
    if not known:
        return None
    panel = Panel(
        title="Total latency by percentile",
        height_px=CURVES_PX,
        traces=[_latency(rank, run, total) for rank, run, total in known],
        axis=log_ticks(*log_span([total.ms for _, _, total in known])),
    )
    end = max(float(nines(total.share)[-1]) for _, _, total in known)
    legend = legend_above(CURVES_PX)
    figure = stacked([panel], _shares(end), head_px=HEAD_PX, showlegend=True, legend=legend)
    caption = "; ".join(
        f"{run.name}: half within {milliseconds(total.at[0] or 0.0)} ms, "
        f"all within {milliseconds(float(total.ms[-1]))} ms"
        for _, run, total in known
    )
    return Chart(id="latencies-chart", figure=figure, caption=f"{caption}.")


def _shares(end: float) -> dict[str, Any]:
    """An axis that draws out the tail."""
    ticks = [(nines(share), text) for share, text in NINES if nines(share) <= end + 0.05]
    return {
        "range": [-0.03 * max(end, 1), 1.03 * max(end, 1)],
        "tickvals": [float(at) for at, _ in ticks],
        "ticktext": [text for _, text in ticks],
        "title": {"text": "share of requests", "standoff": 8},
    }


def _latency(rank: int, run: RunInPlace, total: Percentiles) -> Trace:
    colour, dash = _style(rank)
    return line(
        nines(total.share),
        np.log10(np.maximum(total.ms, 1e-3)),
        plain(run.name, NAME_LETTERS),
        colour,
        "%{customdata}<br>%{fullData.name}",
        line={"shape": "hv", "width": 1.8, "dash": dash},
        customdata=[f"{milliseconds(value)} ms" for value in total.ms.tolist()],
    )
