"""The section on entries by state over time, polled and predicted, stacked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analyzer.charts.thinning import kept
from reports.charts import curves
from reports.charts.figure import scatter
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

    from analyzer.arrays import Floats, Ints
    from analyzer.charts.values import StateSeries
    from analyzer.report import Analysis
    from reports.charts.figure import Figure, Trace

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
OF_CONNTRACK = {  # alone: those of UDP stand beside none of TCP's
    "ASSURED": ("green", "."),
    "REPLIED": ("sky", ""),
    "UNREPLIED": ("orange", "|"),
    "SYN_SENT": ("orange", "+"),
}
OTHER = ("muted", "+")
DIRECTORS = 3
POINTS = 2000  # of each director's series
TITLES = {"observed": "polled", "predicted": "predicted from the packets"}
TALL_PX, GAP_S = 150, 1e-3


def look(state: str) -> tuple[str, str]:
    """The hue and the pattern of a state, by its name."""
    return STATES.get(state) or OF_CONNTRACK.get(state, OTHER)


def section(analysis: Analysis) -> Section | None:
    """The number of entries in each state; None if no entry was polled or predicted."""
    all_series = shown(analysis)
    if not all_series:
        return None
    chart = Chart(
        id="states-chart",
        figure=figure(analysis, all_series),
        caption=caption(all_series) + on_forwarding(analysis),
        table=_table(analysis, all_series),
        clock="run",
    )
    return Section(
        id="states",
        title="Entries by state",
        charts=(chart,),
        template="sections/states.html",
        facts={"legend": [(name, *look(name)) for name in order(all_series)]},
        shows=frozenset({"half-open", "synced-copies", "arp-flux"}),
    )


def shown(analysis: Analysis) -> list[StateSeries]:
    """The series of the first directors with entries, polled before predicted."""
    busy = [
        series for series in analysis.pictures.states if any(map(_peak, series.counts.values()))
    ]
    directors = list(dict.fromkeys(series.director for series in busy))[:DIRECTORS]
    return sorted(
        (series for series in busy if series.director in directors),
        key=lambda series: (directors.index(series.director), series.source),
    )


def _peak(counts: Ints) -> int:
    return int(counts.max(initial=0))


def order(all_series: Sequence[StateSeries]) -> list[str]:
    """The states that occur, from the bottom of the stack up; unknown states last."""
    names = {name for series in all_series for name, n in series.counts.items() if n.any()}
    return [*(name for name in STATES if name in names), *sorted(names - STATES.keys())]


def caption(all_series: list[StateSeries]) -> str:
    """The highest count of each state, polled and predicted."""
    sentences = []
    for series in all_series:
        peaks = [f"{_peak(series.counts[name]):,} in {name}" for name in order([series])]
        source = "polled" if series.source == "observed" else "predicted"
        sentences.append(f"On {series.director}, {source}: at most {listed(peaks)}.")
    return " ".join(sentences)


def figure(analysis: Analysis, all_series: list[StateSeries]) -> Figure:
    """A panel for each series, on the run's time axis."""
    return on_time_axis(panels(all_series), analysis.timeline, *span(analysis.timeline))


def panels(all_series: Sequence[StateSeries]) -> list[Panel]:
    """A panel for each series."""
    return [_panel(series, number) for number, series in enumerate(all_series)]


def _panel(series: StateSeries, number: int) -> Panel:
    total = np.sum([np.zeros(series.t_s.size), *series.counts.values()], axis=0)
    traces = [_area(series, name, number) for name in order([series])] or [_none(series)]
    return Panel(
        title=f"Entries on {plain(series.director, 40)}, {TITLES[series.source]}",
        height_px=TALL_PX,
        traces=traces,
        axis=whole_numbers(int(total.max(initial=0))),
    )


def _none(series: StateSeries) -> Trace:
    """A line at zero for polls without entries: an axis needs a trace.

    It is empty if entries were not polled.
    """
    return scatter(
        x=series.t_s if series.t_s.size else [0.0],
        y=np.zeros(series.t_s.size) if series.t_s.size else [None],
        mode="lines",
        line={"width": 1, "color": PALETTE["muted"][0]},
        hoverinfo="skip",
    )


def _area(series: StateSeries, name: str, number: int) -> Trace:
    hue, pattern = look(name)
    t_s, counts = series.t_s, series.counts[name]
    if series.source == "observed":
        t_s, counts = _emptied(t_s, counts)
    chosen = kept(counts, points=POINTS)
    colour = PALETTE[hue][0]
    return scatter(
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
    """Set the counts to zero in each gap, because an area cannot be interrupted."""
    starts = np.array([start for start, _ in curves.gaps(t_s)])
    at = np.searchsorted(t_s, starts) + 1
    return np.insert(t_s, at, starts + GAP_S), np.insert(counts, at, 0)


def _table(analysis: Analysis, all_series: list[StateSeries]) -> DataTable:
    ends = [analysis.timeline.end_s, *(float(series.t_s[-1]) for series in all_series)]
    edges = parts(max(end for end in ends if np.isfinite(end)) or 1.0)
    columns: dict[str, list[Cell]] = {heading(edges): edges[:-1].tolist()}
    for series in all_series:
        holds = series.source == "predicted"
        for name in order([series]):
            label = f"{series.director}: {name} {'predicted' if holds else 'polled'}"
            columns[label] = highest(series.t_s, series.counts[name], edges, holds=holds)
    return DataTable(
        columns=tuple(columns),
        rows=tuple(zip(*columns.values(), strict=True)),
        note="The highest count of each part of the time.",
    )
