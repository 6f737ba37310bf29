"""Two or more runs as one HTML page: their curves over each other, and what differs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from analyzer.across_runs.compare import held, number, to_json
from analyzer.across_runs.regression import changed
from analyzer.charts.thinning import kept
from reports.charts.panels import Panel, stacked, time_axis, whole_numbers
from reports.charts.theme import DASHES, HUES, MARKERS, PALETTE, plain
from reports.charts.wording import listed, milliseconds, seconds
from reports.run.page import render, script_json
from reports.run.percentiles import CURVES_PX, NINES, log_span, log_ticks, nines
from reports.run.section import Chart, DataTable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analyzer.across_runs.compare import Comparison, RunInPlace
    from analyzer.across_runs.regression import Difference
    from analyzer.results import Floats
    from reports.run.section import Cell

POINTS = 3000  # of a long curve
COLUMNS = ("quantity", "before", "after", "difference", "between", "judgement", "by")
WORDS: Mapping[str, str] = {
    "alike": "none shown",
    "higher": "▲ higher",
    "lower": "▼ lower",
    "unknown": "not known",
}


def render_comparison(comparison: Comparison) -> str:
    """The page: one HTML document like that of a run."""
    return render("comparison.html", _context(comparison))


def _context(comparison: Comparison) -> dict[str, Any]:
    names = [run.name for run in comparison.runs]
    pairs = zip(names[1:], comparison.against_first, strict=True)
    return {
        "comparison": comparison,
        "names": names,
        "charts": [chart for chart in charts(comparison) if chart.figure is not None],
        "tables": [(name, table(found)) for name, found in pairs],
        "settings": DataTable(
            columns=("setting", *names),
            rows=[
                (row.what, *(value or "none" for value in row.values))
                for row in comparison.settings
            ],
        ),
        "document": script_json(to_json(comparison)),
    }


def table(found: Sequence[Difference]) -> DataTable:
    """One row for each quantity, those that differ first."""
    other = changed(found)
    rows = [*other, *(one for one in found if one not in other)]
    return DataTable(columns=COLUMNS, rows=[_row(one) for one in rows])


def _row(one: Difference) -> tuple[Cell, ...]:
    return (
        one.quantity,
        None if one.before is None else number(one.before, one.unit),
        None if one.after is None else number(one.after, one.unit),
        None if one.difference is None else signed(one.difference, one.unit),
        _between(one),
        WORDS[one.verdict],
        one.by,
    )


def signed(value: float, unit: str) -> str:
    """A difference with its sign."""
    sign = "+" if value > 0 else "\N{MINUS SIGN}" if value < 0 else ""
    return f"{sign}{number(abs(value), unit)}"


def _between(one: Difference) -> str | None:
    if one.low is None or one.high is None:
        return None
    if one.low == one.high:
        return "exact"
    return f"{signed(one.low, one.unit)} and {signed(one.high, one.unit)}"


# -- charts --------------------------------------------------------------------------------------


def charts(comparison: Comparison) -> tuple[Chart, ...]:
    """InActConn and ActiveConn from the burst on, and the latencies."""
    return (_courses(comparison), _percentiles(comparison))


def _style(rank: int) -> dict[str, Any]:
    return {"colour": PALETTE[HUES[rank % len(HUES)]][0], "dash": DASHES[rank % len(DASHES)]}


def _courses(comparison: Comparison) -> Chart:
    titles = {"inactive": "InActConn of all directors", "active": "ActiveConn of all directors"}
    panels = [panel for name, text in titles.items() if (panel := _panel(comparison, name, text))]
    figure = stacked(panels, head_px=64) if panels else None
    if figure is not None:
        low = min(float(np.min(trace.x)) for panel in panels for trace in panel.traces)
        high = max(float(np.max(trace.x)) for panel in panels for trace in panel.traces)
        margin = 0.015 * (high - low)
        figure.update_layout(
            showlegend=True,
            legend=_legend(sum(panel.height_px for panel in panels) + 46 * (len(panels) - 1)),
            xaxis=time_axis(
                max(low, -0.1 * high) - margin, high + margin, "seconds since the burst began"
            ),
        )
    return Chart(
        id="courses-chart",
        figure=figure,
        caption=_courses_caption(comparison),
        table=DataTable(columns=_PEAK_COLUMNS, rows=[_peak_row(run) for run in comparison.runs]),
    )


def _legend(plot_px: int) -> dict[str, Any]:
    return {"orientation": "h", "x": 0, "y": 1 + 24 / plot_px, "yanchor": "bottom"}


def _panel(comparison: Comparison, name: str, title: str) -> Panel | None:
    traces = []
    for rank, run in enumerate(comparison.runs):
        for polled in (True, False):
            trace = _trace(run, rank, name, polled=polled)
            if trace is not None:
                traces.append(trace)
    if not traces:
        return None
    top = max(int(np.nanmax(trace.y)) for trace in traces)
    return Panel(title=title, height_px=190, traces=traces, axis=whole_numbers(top))


def _trace(run: RunInPlace, rank: int, name: str, *, polled: bool) -> go.Scatter | None:
    timeline = run.analysis.timeline
    t_s, active, inactive = held(run.analysis, timeline.observed if polled else timeline.predicted)
    if not len(t_s):
        return None
    values = inactive if name == "inactive" else active
    shown = kept(values, points=POINTS)
    style, (symbol, _) = _style(rank), MARKERS[rank % len(MARKERS)]
    return go.Scatter(
        name=plain(run.name, 40) + (", polled" if polled else ", predicted"),
        legendgroup=f"run-{rank}",
        showlegend=name == "inactive",
        x=t_s[shown],
        y=values[shown],
        mode="markers" if polled and timeline.predicted else "lines",
        line={"shape": "hv", "width": 1.6, "color": style["colour"], "dash": style["dash"]},
        marker={"symbol": symbol, "size": 5, "color": style["colour"], "line": {"width": 1}},
        hovertemplate="%{y} at %{x:.2f} s<br>%{fullData.name}<extra></extra>",
    )


_PEAK_COLUMNS = ("run", "peak ActiveConn", "peak InActConn", "empty after, s")


def _peak_row(run: RunInPlace) -> tuple[Cell, ...]:
    _, active, inactive = held(run.analysis, run.analysis.timeline.observed)
    if not len(inactive):
        return run.name, None, None, None
    return run.name, int(active.max()), int(inactive.max()), _empty_after_s(run)


def _empty_after_s(run: RunInPlace) -> float | None:
    """Seconds from the burst's begin to the poll that first saw nothing inactive after the peak."""
    t_s, _, inactive = held(run.analysis, run.analysis.timeline.observed)
    if not len(inactive) or not inactive.max():
        return None
    last = int(np.flatnonzero(inactive == inactive.max())[-1])
    zeros = np.flatnonzero(inactive[last:] == 0)
    return float(t_s[last + zeros[0]]) if len(zeros) else None


def _courses_caption(comparison: Comparison) -> str:
    told = []
    for run in comparison.runs:
        _, _, inactive = held(run.analysis, run.analysis.timeline.observed)
        if not len(inactive):
            told.append(f"{run.name}: no director was polled")
            continue
        after = _empty_after_s(run)
        gone = f", all gone after {seconds(after)}" if after is not None else ""
        told.append(f"{run.name}: InActConn up to {int(inactive.max()):,}{gone}")
    return "; ".join(told) + ". All counted from the first request of each run."


def _percentiles(comparison: Comparison) -> Chart:
    known = [
        (rank, run, one)
        for rank, run in enumerate(comparison.runs)
        if (latencies := run.analysis.pictures.latencies)
        for one in latencies.percentiles
        if (one.name, one.since) == ("total", "send")
    ]
    caption = "; ".join(
        f"{run.name}: half within {milliseconds(one.at[0] or 0.0)} ms, "
        f"all within {milliseconds(float(one.ms[-1]))} ms"
        for _, run, one in known
    )
    figure = None
    if known:
        panel = Panel(
            title="Total latency of so many at most",
            height_px=CURVES_PX,
            traces=[_latency_trace(rank, run, one.share, one.ms) for rank, run, one in known],
            axis=log_ticks(*log_span([one.ms for _, _, one in known])),
        )
        figure = stacked([panel], head_px=64)
        end = max(float(nines(one.share)[-1]) for _, _, one in known)
        ticks = [(nines(q), text) for q, text in NINES if nines(q) <= end + 0.05]
        figure.update_layout(
            showlegend=True,
            legend=_legend(CURVES_PX),
            xaxis={
                "range": [-0.03 * max(end, 1), 1.03 * max(end, 1)],
                "tickvals": [float(at) for at, _ in ticks],
                "ticktext": [text for _, text in ticks],
                "title": {"text": "share of requests", "standoff": 8},
            },
        )
    return Chart(id="latencies-chart", figure=figure, caption=f"{caption}.")


def _latency_trace(rank: int, run: RunInPlace, share: Floats, ms: Floats) -> go.Scatter:
    style = _style(rank)
    return go.Scatter(
        name=plain(run.name, 40),
        x=nines(share),
        y=np.log10(np.maximum(ms, 1e-3)),
        mode="lines",
        line={"shape": "hv", "width": 1.8, "color": style["colour"], "dash": style["dash"]},
        customdata=[f"{milliseconds(value)} ms" for value in ms.tolist()],
        hovertemplate="%{customdata}<br>%{fullData.name}<extra></extra>",
    )


# -- the terminal --------------------------------------------------------------------------------


def summary_lines(comparison: Comparison) -> list[str]:
    """Each run's differences as a table of plain text, then the verdict."""
    lines: list[str] = []
    names = [run.name for run in comparison.runs]
    for name, found in zip(names[1:], comparison.against_first, strict=True):
        lines += [f"{name} against {names[0]}", _columns("quantity", *COLUMNS[1:4], "judgement")]
        known = [one for one in found if one.verdict != "unknown"]
        for row in table(known).rows:
            lines.append(_columns(*(str(cell) for cell in row[:4]), str(row[5])))
        unknown = [one.quantity for one in found if one.verdict == "unknown"]
        lines += [f"not known: {listed(unknown)}"] if unknown else []
        lines.append("")
    return [*lines, comparison.verdict]


def _columns(quantity: str, *cells: str) -> str:
    numbers = "  ".join(f"{cell:>12}" for cell in cells[:-1])
    return f"{quantity:<22}  {numbers}  {cells[-1]}"
