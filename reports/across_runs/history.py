"""A History as a Document: a line per quantity over the runs, and what changed beyond noise."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from analyzer.across_runs.compare import number
from analyzer.charts.thinning import kept
from analyzer.documents import to_json
from reports.charts.panels import Panel, stacked
from reports.charts.theme import BAD, PALETTE, plain
from reports.charts.wording import listed, plural
from reports.document.figures import line, marks
from reports.document.model import Document, Labelled, Section, Table, Text, columns
from reports.run.section import Chart

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analyzer.across_runs.history import History, Point, Trend
    from analyzer.across_runs.past_run import RunRow
    from reports.charts.figure import Trace
    from reports.document.model import Block

PANEL_PX = 92
MOST_TICKS = 12
MOST_LISTED = 500
"""The runs that tables list, the newest, and the page's own document has: ``--json`` has all."""

MOST_DRAWN = 1000
"""About so many points of a line, those with the extremes; what changed is marked besides."""

SIGNS = {"higher": "▲", "lower": "▼"}
NO_CHANGE = (
    "Nothing. A timeout changes beyond both uncertainties, a count beyond chance (Fisher's exact "
    "test), another quantity beyond the spread of at least four runs before it."
)


def history_document(history: History, pages: Mapping[str, str] | None = None) -> Document:
    """Trends, changes and runs; the terminal has the changes below the runs, the verdict last.

    Args:
        history: the answer.
        pages: URL of a run's own page by its name.
    """
    rows, listed_runs = _changes(history), _newest(history)
    shown = rows[-MOST_LISTED:]
    title = "What changed beyond noise"
    changes: list[Block] = [
        Table(title=title, columns=columns("run", "quantity", "value", "why"), rows=shown)
        if rows
        else Text(NO_CHANGE, note=False, only="page")
    ]
    failed = Table(
        title="What could not be read",
        columns=columns("folder", "why"),
        rows=[(folder.name, folder.why) for folder in listed_runs.unreadable],
    )
    on_page = Section("changes", title, changes, only="page")
    return Document(
        kind="history",
        origin=history.folder,
        verdict=_verdict(history, rows),
        verdict_last=True,
        json=to_json(listed_runs),
        sections=(
            Section("trends", "One line per quantity", [_trends(history, rows)]),
            on_page,
            Section("runs", "The runs", [*_left_out(history), _runs(listed_runs, pages or {})]),
            replace(on_page, only="terminal"),
            Section("unreadable", failed.title, [failed] if failed.rows else []),
        ),
    )


def _newest(history: History) -> History:
    """The history of the newest runs; of few it is the same."""
    runs = history.runs[-MOST_LISTED:]
    names = {run.name for run in runs}
    trends = (
        replace(trend, points=tuple(point for point in trend.points if point.run in names))
        for trend in history.trends
    )
    unreadable = history.unreadable[:MOST_LISTED]
    return replace(history, runs=runs, trends=tuple(trends), unreadable=unreadable)


def _left_out(history: History) -> list[Block]:
    n = len(history.runs)
    if n <= MOST_LISTED:
        return []
    text = f"The newest {MOST_LISTED} of {n:,}; analyzer history --json has them all."
    return [Text(text, only="page")]


Changes = list[tuple[str, str, str, str]]
"""Run, quantity, value and why of what lies beyond noise, the oldest first."""


def _verdict(history: History, changes: Changes) -> str:
    runs = plural(len(history.runs), "run")
    if not changes:
        return f"{runs}: nothing changed beyond noise."
    names = list(dict.fromkeys(quantity for _, quantity, _, _ in changes))
    return f"{runs}: {listed(names)} changed beyond noise."


def _changes(history: History) -> Changes:
    order = {run.name: number for number, run in enumerate(history.runs)}
    rows = [
        (point.run, trend.quantity, _shown(point, trend.unit), point.why or "")
        for trend in history.trends
        for point in trend.points
        if point.change
    ]
    return sorted(rows, key=lambda row: order[row[0]])


def _runs(history: History, pages: Mapping[str, str]) -> Table:
    """One row for each run, one column for each quantity."""
    cells = {
        (point.run, trend.quantity): _shown(point, trend.unit)
        for trend in history.trends
        for point in trend.points
    }
    names = [trend.quantity for trend in history.trends]
    rows: list[tuple[Labelled | str, ...]] = [
        (
            Labelled(run.name, href=pages.get(run.name, "")),
            *(cells.get((run.name, name), "-") for name in names),
        )
        for run in history.runs
    ]
    return Table(columns=columns("run", *names, right=True), rows=rows)


def _shown(point: Point, unit: str) -> str:
    """A value with its unit, and with a sign where it changed."""
    sign = f"{SIGNS[point.change]} " if point.change else ""
    return sign + _in_unit(point.value, unit)


def _in_unit(value: float, unit: str) -> str:
    """``30.02 s``, ``0.41 ms``, ``1,204``."""
    return number(value, unit) + (unit if unit not in ("s", "ms") else "")


# -- the chart -----------------------------------------------------------------------------------


def _trends(history: History, changes: Changes) -> Chart:
    """One panel for each quantity over the runs in their order."""
    at = {run.name: number for number, run in enumerate(history.runs)}
    panels = [_panel(trend, at) for trend in history.trends]
    if not panels:
        nothing = "Nothing to draw: no run measured anything."
        return Chart(id="trends-chart", figure=None, caption=nothing)
    figure = stacked(panels, _runs_axis(history.runs), foot_px=110)
    what = (
        f"{plural(len(changes), 'change')} beyond noise, each marked"
        if changes
        else "no change beyond noise"
    )
    caption = (
        f"Each quantity over {len(history.runs)} runs, the oldest first: {what}. "
        "Bars are the uncertainty of a timeout."
    )
    return Chart(id="trends-chart", figure=figure, caption=caption)


def _panel(trend: Trend, at: Mapping[str, int]) -> Panel:
    x = [at[point.run] for point in trend.points]
    y = np.array([point.value for point in trend.points])
    uncertainty = np.array([point.uncertainty or 0.0 for point in trend.points])
    traces = [_line(trend, x, y, uncertainty), *_marks(trend, x, y)]
    low, high = float((y - uncertainty).min()), float((y + uncertainty).max())
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


def _line(trend: Trend, x: Sequence[int], y: Any, uncertainty: Any) -> Trace:
    blue, is_open = PALETTE["blue"][0], bool(uncertainty.any())
    drawn_points = kept(y, points=MOST_DRAWN).tolist()
    uncertain = uncertainty[drawn_points]
    bars = {"type": "data", "array": uncertain, "visible": is_open, "thickness": 1}
    drawn = line(
        [x[number] for number in drawn_points],
        y[drawn_points],
        plain(trend.quantity),
        blue,
        "%{customdata[0]}<br>%{customdata[1]}",
        line={"width": 1.5},
        marker={"size": 5, "color": blue},
        error_y=bars,
        customdata=[
            [plain(point.run, 60), _in_unit(point.value, trend.unit)]
            for point in map(trend.points.__getitem__, drawn_points)
        ],
    )
    return drawn | {"mode": "lines+markers"}


def _marks(trend: Trend, x: Sequence[int], y: Any) -> list[Trace]:
    changed = [(n, point) for n, point in enumerate(trend.points) if point.change][-MOST_DRAWN:]
    if not changed:
        return []
    up = {"higher": "triangle-up", "lower": "triangle-down"}
    symbols = [up[point.change or "lower"] for _, point in changed]
    return [
        marks(
            [x[n] for n, _ in changed],
            [y[n] for n, _ in changed],
            "changed",
            {"size": 12, "symbol": symbols, "color": BAD},
            "%{customdata[0]}<br>%{customdata[1]}",
            customdata=[
                [plain(point.run, 60), plain(point.why or "", 120)] for _, point in changed
            ],
        )
    ]


def _runs_axis(runs: Sequence[RunRow]) -> dict[str, Any]:
    step = max(1, -(-len(runs) // MOST_TICKS))
    return {
        "range": [-0.5, len(runs) - 0.5],
        "tickvals": list(range(0, len(runs), step)),
        "ticktext": [plain(run.name, 18) for run in runs[::step]],
        "tickangle": -35,
    }
