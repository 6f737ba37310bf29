"""A Sweep in words and lines: what its page and the terminal share."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from reports.run.section import DataTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.sweep.results import Beside, Point, Sweep
    from reports.run.section import Cell

WIDTH = 100
COLUMNS = (
    "tcpfin, s",
    "state",
    "lifetime, s",
    "timeout measured, s",
    "InActConn peak",
    "steady",
    "ports last until, /s",
    "collisions",
    "memory, kB",
    "failed",
)
OFF = "✗"


def table(sweep: Sweep) -> DataTable:
    """One row for each value; the model's figure in brackets."""
    rows = [_row(point) for point in sweep.points]
    if len(sweep.ways) == 1:
        return DataTable(columns=COLUMNS, rows=rows)
    named = [(way, *row) for way, row in zip(_ways(sweep.points), rows, strict=True)]
    return DataTable(columns=("forwarding", *COLUMNS), rows=named)


def _ways(points: Sequence[Point]) -> list[str | None]:
    return [point.forwarding for point in points]


def listed(ways: Sequence[str | None]) -> str:
    """Several ways of forwarding, in words."""
    *others, last = (way or "an unknown way" for way in ways)
    return f"{', '.join(others)} and {last}" if others else last


def _row(point: Point) -> tuple[Cell, ...]:
    lived = point.lifetime_s
    return (
        f"{point.tcpfin_s:g}",
        point.state,
        f"{lived.mean:.2f} ({lived.min:.2f} to {lived.max:.2f})" if lived else None,
        _timeout(point),
        _beside(point.peak_inactive),
        _beside(point.steady_inactive),
        f"{point.ports.entry_limit_per_s:,.0f}" if point.ports else None,
        point.collisions,
        f"{point.memory.slab_bytes / 1e3:,.0f}" if point.memory else None,
        f"{point.failed} of {point.sent}",
    )


def _timeout(point: Point) -> str | None:
    found = point.timeout
    if found is None:
        return None
    off = f" {OFF}" if point.timeout_agrees is False else ""
    return f"{found.value:.2f} ± {found.uncertainty:.2f}{off}"


def _beside(value: Beside | None) -> str | None:
    """Measured, and in brackets the model with what the two may differ by."""
    if value is None or value.measured is None:
        return None
    off = f" {OFF}" if value.agrees is False else ""
    return f"{value.measured:.4g} ({value.model:.4g} ± {value.uncertainty:.2g}){off}"


def summary_lines(sweep: Sweep) -> list[str]:
    """The answer as plain lines."""
    shown = table(sweep)
    rows = [tuple(_cell(cell) for cell in row) for row in shown.rows]
    widths = [max(map(len, column)) for column in zip(shown.columns, *rows, strict=True)]
    lines = [*textwrap.wrap(f"{sweep.verdict}.", WIDTH), ""]
    for row in (shown.columns, *rows):
        cells = zip(row, widths, strict=True)
        lines.append("  ".join(f"{cell:>{width}}" for cell, width in cells))
    lines += [
        "",
        "In brackets: the model. " + OFF + " marks what lies further from it than doubt allows.",
    ]
    lines += ["", *textwrap.wrap(knee_line(sweep), WIDTH)]
    return lines + _not_measured(sweep)


def knee_line(sweep: Sweep) -> str:
    """The smallest tcpfin that does, and why."""
    knee = sweep.knee
    if knee.tcpfin_s is None:
        least = f" ({knee.least_s} s would)" if knee.least_s is not None else ""
        return f"The knee: none of these values{least}; {knee.why}."
    least = ""
    if knee.least_s is not None and knee.least_s < knee.tcpfin_s:
        least = f" of those tried ({knee.least_s} s would do too)"
    return f"The knee: {knee.tcpfin_s:g} s is the smallest{least}: {knee.why}."


def _not_measured(sweep: Sweep) -> list[str]:
    if not sweep.knee.not_measured:
        return []
    lines = ["", "Not measured:"]
    for row in sweep.knee.not_measured:
        lines += textwrap.wrap(f"- {row}", WIDTH, subsequent_indent="  ")
    return lines


def _cell(cell: Cell) -> str:
    return "not measured" if cell is None else str(cell)


def _in(point: Point, points: Sequence[Point]) -> str:
    """Its way of forwarding, where there are several."""
    return f" in {point.forwarding}" if len(set(_ways(points))) > 1 else ""


def why_not_steady(points: Sequence[Point]) -> list[str]:
    """For each point without a steady value, why."""
    return [
        f"tcpfin {point.tcpfin_s:g} s{_in(point, points)}: {point.steady_inactive.why}"
        for point in points
        if point.steady_inactive and point.steady_inactive.measured is None
    ]
