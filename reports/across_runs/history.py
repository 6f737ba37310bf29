"""The runs of a folder as a table of plain text, and as one HTML page with a line per quantity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from analyzer.across_runs.history import to_json
from reports.charts.panels import Panel, stacked
from reports.charts.theme import BAD, PALETTE, plain
from reports.charts.wording import listed
from reports.run.page import render, script_json
from reports.run.section import Chart, DataTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.across_runs.history import History, PastRun, Point, Trend, Value

PANEL_PX = 92
MOST_TICKS = 12
SIGNS = {"higher": "▲", "lower": "▼"}


def render_history(found: History) -> str:
    """The page: one HTML document like that of a run."""
    return render("history.html", _context(found))


def _context(found: History) -> dict[str, Any]:
    return {
        "history": found,
        "title": headline(found),
        "chart": trends(found),
        "table": table(found),
        "changes": DataTable(columns=("run", "quantity", "value", "why"), rows=changes(found)),
        "unreadable": DataTable(columns=("folder", "why"), rows=list(found.unreadable)),
        "document": script_json(to_json(found)),
    }


def headline(found: History) -> str:
    """How many runs, and what changed."""
    rows = changes(found)
    runs = f"{len(found.runs)} runs" if len(found.runs) != 1 else "1 run"
    if not rows:
        return f"{runs}: nothing changed beyond noise."
    names = list(dict.fromkeys(str(row[1]) for row in rows))
    return f"{runs}: {listed(names)} changed beyond noise."


def changes(found: History) -> list[tuple[str, str, str, str]]:
    """Where a quantity lies beyond noise: run, quantity, value, why; the oldest first."""
    order = {run.name: number for number, run in enumerate(found.runs)}
    rows = [
        (point.run, trend.quantity, shown(point), point.why)
        for trend in found.trends
        for point in trend.points
        if point.change
    ]
    return sorted(rows, key=lambda row: order[row[0]])


def table(found: History) -> DataTable:
    """One row for each run, one column for each quantity."""
    cells = {
        (point.run, trend.quantity): shown(point)
        for trend in found.trends
        for point in trend.points
    }
    names = [trend.quantity for trend in found.trends]
    return DataTable(
        columns=("run", *names),
        rows=[
            (run.name, *(cells.get((run.name, name), "-") for name in names)) for run in found.runs
        ],
    )


def shown(point: Point) -> str:
    """A value with its unit, and with a sign where it changed."""
    sign = f"{SIGNS[point.change]} " if point.change else ""
    return sign + value_text(point.value)


def value_text(value: Value) -> str:
    """``30.02 s``, ``0.41 ms``, ``1,204``."""
    if value.unit == "s":
        return f"{value.value:.2f} s"
    if value.unit == "ms":
        return f"{value.value:.3g} ms" if value.value < 1000 else f"{value.value:,.0f} ms"
    return f"{value.value:,.0f}{value.unit}"


# -- the chart -----------------------------------------------------------------------------------


def trends(found: History) -> Chart:
    """One panel for each quantity over the runs in their order."""
    at = {run.name: number for number, run in enumerate(found.runs)}
    panels = [_panel(trend, at) for trend in found.trends]
    figure = stacked(panels, foot_px=110) if panels else None
    if figure is not None:
        figure.update_layout(xaxis=_runs_axis(found.runs))
    return Chart(id="trends-chart", figure=figure, caption=_caption(found))


def _caption(found: History) -> str:
    n = len(changes(found))
    what = "no change beyond noise" if not n else f"{n} changes beyond noise, each marked"
    return (
        f"Each quantity over {len(found.runs)} runs, the oldest first: {what}. "
        "Bars are the uncertainty of a timeout."
    )


def _panel(trend: Trend, at: dict[str, int]) -> Panel:
    x = [at[point.run] for point in trend.points]
    y = np.array([point.value.value for point in trend.points])
    doubt = np.array([point.value.open for point in trend.points])
    traces = [_line(trend, x, y, doubt), *_marks(trend, x, y)]
    low, high = float((y - doubt).min()), float((y + doubt).max())
    room = max(0.15 * (high - low), 0.03 * abs(high)) or 1.0
    bottom = max(low - room, -0.05 * (high + room)) if low >= 0 else low - room
    unit = f", {trend.unit}" if trend.unit else ""
    return Panel(
        title=plain(trend.quantity) + unit,
        height_px=PANEL_PX,
        traces=traces,
        axis={
            "range": [bottom, high + room],
            "nticks": 4,
            "tickformat": "~s" if high >= 1000 else "~g",
        },
    )


def _line(trend: Trend, x: Sequence[int], y: Any, doubt: Any) -> go.Scatter:
    return go.Scatter(
        x=x,
        y=y,
        mode="lines+markers",
        line={"width": 1.5, "color": PALETTE["blue"][0]},
        marker={"size": 5, "color": PALETTE["blue"][0]},
        error_y={"type": "data", "array": doubt, "visible": bool(doubt.any()), "thickness": 1},
        customdata=[[plain(point.run, 60), value_text(point.value)] for point in trend.points],
        hovertemplate="%{customdata[0]}<br>%{customdata[1]}<extra></extra>",
    )


def _marks(trend: Trend, x: Sequence[int], y: Any) -> list[go.Scatter]:
    rows = [number for number, point in enumerate(trend.points) if point.change]
    if not rows:
        return []
    ways = [
        "triangle-up" if trend.points[row].change == "higher" else "triangle-down" for row in rows
    ]
    return [
        go.Scatter(
            x=[x[row] for row in rows],
            y=[y[row] for row in rows],
            mode="markers",
            marker={"size": 12, "symbol": ways, "color": BAD},
            customdata=[
                [plain(trend.points[row].run, 60), plain(trend.points[row].why, 120)]
                for row in rows
            ],
            hovertemplate="%{customdata[0]}<br>%{customdata[1]}<extra></extra>",
        )
    ]


def _runs_axis(runs: Sequence[PastRun]) -> dict[str, Any]:
    step = max(1, -(-len(runs) // MOST_TICKS))
    return {
        "range": [-0.5, len(runs) - 0.5],
        "tickvals": list(range(0, len(runs), step)),
        "ticktext": [plain(run.name, 18) for run in runs[::step]],
        "tickangle": -35,
    }


# -- the terminal --------------------------------------------------------------------------------


def summary_lines(found: History) -> list[str]:
    """A line for each run, the changes, what could not be read, and the headline."""
    made = table(found)
    rows = [made.columns, *([str(cell) for cell in row] for row in made.rows)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(made.columns))]
    lines = [_aligned(row, widths) for row in rows]
    lines += [
        "",
        *(f"{run}: {quantity} {value}: {why}" for run, quantity, value, why in changes(found)),
    ]
    lines += [f"not readable: {name}: {why}" for name, why in found.unreadable]
    return [*lines, headline(found)]


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *rest = zip(row, widths, strict=True)
    cells = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)]
    return "  ".join(cells).rstrip()
