"""The timeline as a table, one row for each part of the run's time."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from analyzer.charts.long_columns import counted
from reports.charts import curves
from reports.charts.panels import nice
from reports.run.section import DataTable

if TYPE_CHECKING:
    from collections.abc import Callable

    from analyzer.arrays import Floats, Ints
    from analyzer.charts.curves import Curve
    from analyzer.report import Analysis, Timeline
    from reports.run.section import Cell

ROWS = 40  # the most rows
DIRECTORS = 3  # that have columns


def time_table(analysis: Analysis) -> DataTable | None:
    """Counts of requests and packets, and each director's peaks; None for an empty run."""
    timeline = analysis.timeline
    if not np.isfinite(timeline.end_s) or timeline.end_s <= 0:
        return None
    edges = parts(timeline.end_s)
    columns: dict[str, list[Cell]] = {heading(edges): edges[:-1].tolist()}
    columns |= _traffic(timeline, edges)
    for director in curves.directors((*timeline.observed, *timeline.predicted))[:DIRECTORS]:
        columns |= _counters(timeline, director, edges)
    return DataTable(
        columns=tuple(columns),
        rows=tuple(zip(*columns.values(), strict=True)),
        note="Counters are the highest of each part of the time, summed over all real servers.",
    )


def parts(end_s: float) -> Floats:
    """Edges of about ``ROWS`` parts of a time from 0 on."""
    width = nice(end_s / ROWS)
    return np.arange(np.ceil(end_s / width) + 1) * width


def heading(edges: Floats) -> str:
    """The heading of the first column."""
    return f"from, s (for {edges[1]:g} s)"


def _traffic(timeline: Timeline, edges: Floats) -> dict[str, list[Cell]]:
    columns: dict[str, list[Cell]] = {}
    if timeline.request_ended_s.size:
        columns["requests ended"] = counted(timeline.request_ended_s, edges).tolist()
        failed = counted(timeline.request_ended_s, edges, timeline.request_failed)
        columns["of these failed"] = failed.tolist()
    return columns | {lane: counted(at_s, edges).tolist() for lane, at_s in timeline.marks.items()}


def _counters(timeline: Timeline, director: str, edges: Floats) -> dict[str, list[Cell]]:
    columns: dict[str, list[Cell]] = {}
    sums: dict[str, tuple[tuple[Curve, ...], Callable[..., Curve], bool]] = {
        "polled": (curves.of(director, timeline.observed), curves.sum_of_polls, False),
        "predicted": (curves.of(director, timeline.predicted), curves.sum_of_steps, True),
    }
    for source, (part, add, holds) in sums.items():
        if part:
            total = add(part)
            for name, values in (("ActiveConn", total.active), ("InActConn", total.inactive)):
                label = f"{director}: {name} {source}"
                columns[label] = highest(total.t_s, values, edges, holds=holds)
    return columns


def highest(t_s: Floats, values: Ints, edges: Floats, *, holds: bool) -> list[Cell]:
    """The highest value between each two edges; None without a value.

    Args:
        t_s: ascending instants, shape (n,).
        values: at these, shape (n,).
        edges: of the parts, ascending.
        holds: each value holds until the next, from 0 on.
    """
    cuts = np.searchsorted(t_s, edges)
    cells: list[Cell] = []
    for low, high in pairwise(cuts):
        inside = values[max(low - 1, 0) : high] if holds else values[low:high]
        cells.append(int(inside.max()) if inside.size else (0 if holds else None))
    return cells
