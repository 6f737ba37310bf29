"""A Sweep as a Document: what each tcpfin costs, and how small it may be."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from analyzer.documents import to_json
from reports.charts.wording import Headline, listed
from reports.document.model import (
    Bullets,
    Document,
    Facts,
    Labelled,
    Section,
    Table,
    Text,
    columns,
)
from reports.run.section import Chart

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analyzer.report import Analysis
    from analyzer.sweep.results import Beside, Point, Sweep
    from reports.document.model import Block
    from reports.run.section import Cell

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
MEANING = (
    "In brackets: the model of the same load, with what measurement and model may differ by; "
    f"{OFF} marks what lies further apart. Memory is that of the entries at their peak."
)


def sweep_document(
    sweep: Sweep, runs: Sequence[tuple[float, Analysis]], pages: Mapping[str, str] | None = None
) -> Document:
    """The points on the model's curves, and the knee.

    Args:
        sweep: the answer.
        runs: its runs, from which the model's curve is asked.
        pages: URL of a run's own page by its name.
    """
    return Document(
        kind="sweep",
        origin=sweep.folder,
        verdict=sweep.verdict,
        large_until=": ",
        terminal_verdict=f"{sweep.verdict}.",
        json=to_json(sweep),
        headlines=_headlines(sweep) if sweep.points else (),
        sections=_sections(sweep, runs, pages or {}) if sweep.points else _nothing_measured(sweep),
    )


def _sections(
    sweep: Sweep, runs: Sequence[tuple[float, Analysis]], pages: Mapping[str, str]
) -> tuple[Section, ...]:
    not_measured = sweep.knee.not_measured
    costs: list[Block] = [
        partial(_chart, sweep, runs),
        _table(sweep),
        *map(Text, (MEANING, *_not_steady(sweep))),
    ]
    knee: list[Block] = [Text(_knee(sweep), note=False)]
    knee += [Bullets("Not measured", not_measured)] if not_measured else []
    facts = [
        (f"{_way(sweep, one)}tcpfin {one.tcpfin_s:g} s", _run(one, pages)) for one in sweep.points
    ]
    return (
        Section("points", "What each tcpfin costs", costs),
        Section("knee", "How small may tcpfin be?", knee),
        Section("runs", "The runs", [Facts(facts)]),
    )


def _nothing_measured(sweep: Sweep) -> tuple[Section, ...]:
    missing = [f"{row.what}: {row.why}." for row in sweep.not_measured]
    return (Section("runs", "The runs", [Bullets("Not measured", missing)]),)


def _way(sweep: Sweep, point: Point) -> str:
    return f"{point.forwarding or 'unknown'}, " if len(sweep.ways) > 1 else ""


def _run(point: Point, pages: Mapping[str, str]) -> Labelled:
    rate = "" if point.rate_per_s is None else f", {point.rate_per_s:.4g}/s"
    director = f", held by {point.director}" if point.director else ""
    return Labelled(point.run, f"{point.sent} requests{rate}{director}", pages.get(point.run, ""))


def _headlines(sweep: Sweep) -> tuple[Headline, ...]:
    """The knee, what it saves, and whether the model holds."""
    first_way = [point for point in sweep.points if point.forwarding == sweep.ways[0]]
    knee, first, last = sweep.knee, first_way[0], first_way[-1]
    agreeing = [agrees for point in sweep.points for agrees in _agreements(point)]
    ends = [one.peak_inactive for one in (first, last) if one.peak_inactive]
    peaks = [f"{peak.measured:,.0f}" for peak in ends if peak.measured is not None]
    return (
        Headline(
            "Smallest tcpfin that does",
            None if knee.tcpfin_s is None else f"{knee.tcpfin_s:g} s",
            f"of those tried; the longest silence among {knee.connections:,} connections",
        ),
        Headline(
            "InActConn at its peak",
            " and ".join(peaks) if len(peaks) == 2 else None,
            f"at {first.tcpfin_s:g} s and at {last.tcpfin_s:g} s"
            + (f", in {sweep.ways[0]}" if len(sweep.ways) > 1 else ""),
        ),
        Headline(
            "On the curve of the model",
            f"{sum(agreeing)} of {len(agreeing)}" if agreeing else None,
            "measured values, within their doubt",
            alarming=not all(agreeing),
        ),
    )


def _agreements(point: Point) -> list[bool]:
    beside = (point.peak_inactive, point.steady_inactive)
    found = [point.timeout_agrees, *(one.agrees for one in beside if one)]
    return [one for one in found if one is not None]


def _chart(sweep: Sweep, runs: Sequence[tuple[float, Analysis]]) -> Chart:
    from reports.sweep.chart import points_on_curves

    figure = points_on_curves(sweep, runs)
    values = ", ".join(dict.fromkeys(f"{point.tcpfin_s:g}" for point in sweep.points))
    named = listed([way or "an unknown way" for way in sweep.ways])
    ways = f" in {named}" if len(sweep.ways) > 1 else ""
    caption = (
        f"Measured at tcpfin {values} s{ways} (marks, with what they may be off by) on the curves "
        f"that the model gives for the same load (lines). {_knee(sweep)}"
    )
    shown = caption if figure else "No director was polled."
    return Chart(id="sweep-chart", figure=figure, caption=shown)


def _table(sweep: Sweep) -> Table:
    """One row for each value; the model's figure in brackets."""
    rows = [_row(point) for point in sweep.points]
    names: tuple[str, ...] = COLUMNS
    if len(sweep.ways) > 1:
        names = ("forwarding", *COLUMNS)
        rows = [(point.forwarding, *row) for point, row in zip(sweep.points, rows, strict=True)]
    return Table(columns=columns(*names, right=True), rows=rows)


def _row(point: Point) -> tuple[Cell, ...]:
    life, timeout = point.lifetime_s, point.timeout
    return (
        f"{point.tcpfin_s:g}",
        point.state,
        f"{life.mean:.2f} ({life.min:.2f} to {life.max:.2f})" if life else None,
        f"{timeout.value:.2f} ± {timeout.uncertainty:.2f}{_off(point.timeout_agrees)}"
        if timeout
        else None,
        _beside(point.peak_inactive),
        _beside(point.steady_inactive),
        f"{point.ports.entry_limit_per_s:,.0f}" if point.ports else None,
        point.collisions,
        f"{point.memory.slab_bytes / 1e3:,.0f}" if point.memory else None,
        f"{point.failed} of {point.sent}",
    )


def _off(agrees: bool | None) -> str:
    return f" {OFF}" if agrees is False else ""


def _beside(value: Beside | None) -> str | None:
    """Measured, and in brackets the model with what the two may differ by."""
    if value is None or value.measured is None:
        return None
    model = f"{value.model:.4g} ± {value.uncertainty:.2g}"
    return f"{value.measured:.4g} ({model}){_off(value.agrees)}"


def _not_steady(sweep: Sweep) -> list[str]:
    """For each point without a steady value, why."""
    return [
        f"Steady InActConn was not reached with {_way(sweep, point)}tcpfin {point.tcpfin_s:g} s: "
        f"{point.steady_inactive.why}."
        for point in sweep.points
        if point.steady_inactive and point.steady_inactive.measured is None
    ]


def _knee(sweep: Sweep) -> str:
    """The smallest tcpfin that does, and why."""
    knee = sweep.knee
    if knee.tcpfin_s is None:
        least = f" ({knee.least_s} s would)" if knee.least_s is not None else ""
        return f"The knee: none of these values{least}; {knee.why}."
    least = ""
    if knee.least_s is not None and knee.least_s < knee.tcpfin_s:
        least = f" of those tried ({knee.least_s} s would do too)"
    return f"The knee: {knee.tcpfin_s:g} s is the smallest{least}: {knee.why}."
