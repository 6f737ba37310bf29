"""Entries by state over time, stacked: as polled, and as the packets predict."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from analyzer.charts.thinning import kept
from reports.charts import curves
from reports.charts.panels import Panel, whole_numbers
from reports.charts.theme import PALETTE, PAPER, plain
from reports.charts.windows import span
from reports.charts.wording import listed
from reports.run.assumptions import on_forwarding
from reports.run.section import Cell, Chart, DataTable, Section
from reports.run.sections.timeline import on_time_axis
from reports.run.time_table import heading, highest, parts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.charts.pictures import StateCourse
    from analyzer.results import Analysis, Floats, Ints

# hue and pattern of each state, in the order of a connection's life, from the bottom up
STATES = {
    "TIME_WAIT": ("blue", "/"),
    "FIN_WAIT": ("sky", ""),
    "CLOSE": ("bad", "x"),
    "LAST_ACK": ("pink", "\\"),
    "CLOSE_WAIT": ("pink", "-"),
    "ESTABLISHED": ("green", "."),
    "SYN_RECV": ("orange", "|"),
    "UDP": ("sky", "-"),
}
OTHER = ("muted", "+")
DIRECTORS = 3
POINTS = 2000  # of each director's course
TITLES = {"observed": "polled", "predicted": "predicted from the packets"}
TALL_PX, GAP_S = 150, 1e-3


def section(analysis: Analysis) -> Section | None:
    """How many entries were in each state; None where no entry was polled nor predicted."""
    courses = shown(analysis)
    if not courses:
        return None
    chart = Chart(
        id="states-chart",
        figure=figure(analysis, courses),
        caption=caption(courses) + on_forwarding(analysis),
        table=_table(analysis, courses),
        clock="run",
    )
    return Section(
        id="states",
        title="Entries by state",
        charts=(chart,),
        template="sections/states.html",
        facts={"legend": [(name, *STATES.get(name, OTHER)) for name in order(courses)]},
        shows=frozenset({"half-open", "synced-copies", "arp-flux"}),
    )


def shown(analysis: Analysis) -> list[StateCourse]:
    """The courses of the first directors that held an entry, polled before predicted."""
    busy = [
        course for course in analysis.pictures.states if any(map(_peak, course.counts.values()))
    ]
    directors = list(dict.fromkeys(course.director for course in busy))[:DIRECTORS]
    return sorted(
        (course for course in busy if course.director in directors),
        key=lambda course: (directors.index(course.director), course.source),
    )


def _peak(counts: Ints) -> int:
    return int(counts.max(initial=0))


def order(courses: Sequence[StateCourse]) -> list[str]:
    """The states that occur, from the bottom of the stack up; unknown ones last."""
    found = {name for course in courses for name, n in course.counts.items() if n.any()}
    return [*(name for name in STATES if name in found), *sorted(found - STATES.keys())]


def caption(courses: list[StateCourse]) -> str:
    """The highest count of each state, polled and predicted."""
    said = []
    for course in courses:
        peaks = [f"{_peak(course.counts[name]):,} in {name}" for name in order([course])]
        source = "polled" if course.source == "observed" else "predicted"
        said.append(f"On {course.director}, {source}: at most {listed(peaks)}.")
    return " ".join(said)


def figure(analysis: Analysis, courses: list[StateCourse]) -> go.Figure:
    """A panel for each course, on the run's time axis."""
    return on_time_axis(panels(courses), analysis.timeline, *span(analysis.timeline))


def panels(courses: Sequence[StateCourse]) -> list[Panel]:
    """One for each course."""
    return [_panel(course, number) for number, course in enumerate(courses)]


def _panel(course: StateCourse, number: int) -> Panel:
    total = np.sum([np.zeros(course.t_s.size), *course.counts.values()], axis=0)
    traces = [_area(course, name, number) for name in order([course])] or [_none(course)]
    return Panel(
        title=f"Entries on {plain(course.director, 40)}, {TITLES[course.source]}",
        height_px=TALL_PX,
        traces=traces,
        axis=whole_numbers(int(total.max(initial=0))),
    )


def _none(course: StateCourse) -> go.Scatter:
    """A line at zero where entries were read and there was none: without a trace there is no axis.

    Where they were not read there is no line either.
    """
    return go.Scatter(
        x=course.t_s if course.t_s.size else [0.0],
        y=np.zeros(course.t_s.size) if course.t_s.size else [None],
        mode="lines",
        line={"width": 1, "color": PALETTE["muted"][0]},
        hoverinfo="skip",
    )


def _area(course: StateCourse, name: str, number: int) -> go.Scatter:
    hue, pattern = STATES.get(name, OTHER)
    t_s, counts = course.t_s, course.counts[name]
    if course.source == "observed":
        t_s, counts = _emptied(t_s, counts)
    chosen = kept(counts, points=POINTS)
    colour = PALETTE[hue][0]
    return go.Scatter(
        name=plain(name),
        x=np.round(t_s[chosen], 4),
        y=counts[chosen],
        mode="lines",
        stackgroup=f"stack-{number}",
        line={"shape": "hv", "width": 0, "color": colour},
        fillcolor=colour,
        fillpattern={
            "shape": pattern,
            "fillmode": "overlay",
            "fgcolor": PAPER,
            "size": 7,
            "solidity": 0.2,
        },
        hovertemplate="%{y} in "
        + plain(name, 20).replace("%", "")
        + " at %{x:.2f} s<extra></extra>",
    )


def _emptied(t_s: Floats, counts: Ints) -> tuple[Floats, Ints]:
    """Zero from the last poll before each gap: an area cannot end otherwise."""
    starts = np.array([start for start, _ in curves.gaps(t_s)])
    at = np.searchsorted(t_s, starts) + 1
    return np.insert(t_s, at, starts + GAP_S), np.insert(counts, at, 0)


def _table(analysis: Analysis, courses: list[StateCourse]) -> DataTable:
    ends = [analysis.timeline.end_s, *(float(course.t_s[-1]) for course in courses)]
    edges = parts(max(end for end in ends if np.isfinite(end)) or 1.0)
    columns: dict[str, list[Cell]] = {heading(edges): edges[:-1].tolist()}
    for course in courses:
        holds = course.source == "predicted"
        for name in order([course]):
            label = f"{course.director}: {name} {'predicted' if holds else 'polled'}"
            columns[label] = highest(course.t_s, course.counts[name], edges, holds=holds)
    return DataTable(
        columns=tuple(columns),
        rows=tuple(zip(*columns.values(), strict=True)),
        note="The highest count of each part of the time.",
    )
