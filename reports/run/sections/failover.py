"""A fail-over: who was master when, how long clients were out, and what became of the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from analyzer.charts.thinning import kept
from reports.charts.panels import Panel, axis_name, stacked, time_axis
from reports.charts.theme import BAD, HUES, INK, MUTED, PALETTE, plain
from reports.charts.windows import span
from reports.charts.wording import seconds
from reports.run.section import Cell, Chart, DataTable, Section

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from analyzer.failover.results import Failover, InFlight
    from analyzer.results import Analysis, Timeline

POINTS = 4000
BAND_PX, WAIT_PX = 34, 150
PATTERNS = ("", "/", "x", "-", "\\")

SHOWS = frozenset(
    {"black-hole", "clean-stop", "connections-reset", "failover-differs", "failover-invalid"}
    | {"flapping", "keepalived-alone", "preemption", "syn-retries", "two-masters"}
)


def section(analysis: Analysis) -> Section | None:
    """The fail-over; None of a run that was none."""
    told = analysis.failover
    if told is None:
        return None
    return Section(
        id="failover",
        title="How the VIP moved, and what clients saw of it",
        summary=_summary(told),
        charts=(_chart(analysis, told),),
        template="sections/failover.html",
        facts={"tables": [(title, table) for title, table in _tables(told) if table.rows]},
        shows=SHOWS,
    )


def _summary(told: Failover) -> str:
    if not told.valid:
        return f"Invalid, not slow: {told.why_invalid}. No figure below counts."
    theory = {
        "silence": "A master that dies in silence is replaced its backup's interval later, less "
        "the age of its last advertisement.",
        "clean-stop": "A master that says goodbye is replaced after its backup's skew.",
        "keepalived-alone": "A director whose keepalived alone dies goes on forwarding: two own "
        "the VIP, and no connect waits.",
        None: "Nobody was seen to take over.",
    }
    return theory[told.how]


def _chart(analysis: Analysis, told: Failover) -> Chart:
    return Chart(
        id="failover-chart",
        figure=_figure(analysis, told),
        caption=caption(told),
        table=DataTable(
            columns=("master", "from, s", "last advertisement, s", "priority", "gratuitous ARP"),
            rows=[
                (
                    reign.director,
                    round(reign.from_s, 3),
                    round(reign.to_s, 3),
                    reign.priority,
                    reign.claims,
                )
                for reign in told.reigns
            ],
            note="Seconds since the start of the run; who advertised, and for how long.",
        ),
        clock="run",
    )


def caption(told: Failover) -> str:
    """The chart in words."""
    reigns = "; ".join(
        f"{reign.director} from {reign.from_s:.1f} to {reign.to_s:.1f} s" for reign in told.reigns
    )
    masters = f"Master by its advertisements: {reigns}." if reigns else "No advertisement was seen."
    if told.outage_s is None:
        return masters
    return (
        f"{masters} Below, how long each connect took, by when it was begun: around the fault "
        f"none got through for {seconds(told.outage_s)}."
        + (" The steps of a second are repeated SYNs." if told.syn_retries else "")
    )


def _figure(analysis: Analysis, told: Failover) -> go.Figure | None:
    waits = _waits(analysis.timeline)
    if not told.reigns and waits is None:
        return None
    names = list(dict.fromkeys(reign.director for reign in told.reigns))
    panels = [_bands(told, names)] if names else []
    figure = stacked([*panels, *([waits] if waits else [])])
    low, high = span(analysis.timeline)
    figure.update_layout(
        xaxis=time_axis(low, high, "seconds since the start of the run"), barmode="overlay"
    )
    for number, (name, at_s) in enumerate(_instants(told)):
        _mark(figure, name, at_s, lift=number % 2)
    return figure


def _bands(told: Failover, names: Sequence[str]) -> Panel:
    traces = [
        go.Bar(
            name=plain(name, 30),
            orientation="h",
            y=[plain(name, 30)] * len(own),
            base=[reign.from_s for reign in own],
            x=[_until_s(told, i) - told.reigns[i].from_s for i in _of(told, name)],
            width=0.62,
            marker={
                "color": PALETTE[HUES[number % len(HUES)]][0],
                "pattern": {"shape": PATTERNS[number % len(PATTERNS)]},
            },
            hovertemplate=f"{plain(name, 30)} from %{{base:.2f}} s for %{{x:.2f}} s<extra></extra>",
        )
        for number, name in enumerate(names)
        for own in [[told.reigns[i] for i in _of(told, name)]]
    ]
    axis = {"type": "category", "autorange": "reversed", "showgrid": False}
    return Panel(
        title="Master, by its advertisements",
        height_px=BAND_PX * len(names),
        traces=traces,
        axis=axis,
    )


def _of(told: Failover, name: str) -> list[int]:
    return [i for i, reign in enumerate(told.reigns) if reign.director == name]


def _until_s(told: Failover, number: int) -> float:
    """Where a band ends: with priority 0, an interval after the last word, or with the next."""
    reign = told.reigns[number]
    end_s = reign.gave_up_s if reign.gave_up_s is not None else reign.to_s + reign.interval_s
    later = [r.from_s for r in told.reigns[number + 1 :] if r.from_s > reign.to_s]
    return max(min([end_s, *later]), reign.from_s + 0.05)


def _waits(timeline: Timeline) -> Panel | None:
    """How long each connect took, by when it was begun."""
    begun_s = timeline.request_ended_s - timeline.total_ms / 1e3
    known = ~np.isnan(begun_s) & ~np.isnan(timeline.connect_ms)
    if not known.any():
        return None
    order = np.argsort(begun_s[known], kind="stable")
    x, y = begun_s[known][order], timeline.connect_ms[known][order] / 1e3
    shown = kept(y, points=POINTS)
    trace = go.Scatter(
        name="connect",
        x=np.round(x[shown], 4),
        y=np.round(y[shown], 4),
        mode="markers",
        marker={"size": 4, "color": PALETTE["blue"][0], "symbol": "circle-open"},
        cliponaxis=False,
        hovertemplate="begun at %{x:.2f} s, connected %{y:.3f} s later<extra></extra>",
    )
    return Panel(
        title="How long each connect took, seconds",
        height_px=WAIT_PX,
        traces=[trace],
        axis={"rangemode": "tozero"},
    )


def _instants(told: Failover) -> Iterator[tuple[str, float]]:
    named = {"fault": told.fault_s, "take-over": told.takeover_s, "undone": told.undone_s}
    yield from ((name, at_s) for name, at_s in named.items() if at_s is not None)


def _mark(figure: go.Figure, name: str, at_s: float, *, lift: int) -> None:
    colour = BAD if name == "fault" else INK
    figure.add_shape(
        type="line",
        x0=at_s,
        x1=at_s,
        xref="x",
        y0=0,
        y1=1,
        yref="paper",
        line={"color": colour, "width": 1, "dash": "dot"},
    )
    figure.add_annotation(
        text=name,
        x=at_s,
        xref=axis_name("x", 0),
        y=1,
        yref="paper",
        yanchor="bottom",
        xanchor="left",
        yshift=20 + 12 * lift,  # above the panel's title, one beside the other
        showarrow=False,
        font={"size": 11, "color": colour if colour == BAD else MUTED},
    )


# The tables


def _tables(told: Failover) -> Iterator[tuple[str, DataTable]]:
    yield "Predicted beside observed", _predicted(told)
    yield "What the outage was made of", _parts(told)
    yield "The way back", _way_back(told)
    yield "Connections in flight", _in_flight(told)
    yield "Entries on the directors", _entries(told)


def _predicted(told: Failover) -> DataTable:
    doubt_s = (told.prediction_uncertainty_s or 0) + (told.resolution_s or 0)
    ranged = told.predicted_range_s
    rows: list[tuple[Cell, ...]] = [
        ("outage, s", _three(told.predicted_outage_s), _three(told.outage_s), _apart(told)),
        ("known to within ±, s", _three(doubt_s), _three(told.resolution_s), ""),
        (
            "over every age, s",
            f"{ranged[0]:.3f} to {ranged[1]:.3f}" if ranged else None,
            "",
            "",
        ),
        ("age of the last advertisement, s", "", _three(told.advert_age_s), ""),
        ("master_down_interval, s", _three(told.master_down_interval_s), "", ""),
        ("skew, s", _three(told.skew_s), "", ""),
        ("requests late", _late(told), told.late, ""),
        ("requests failed", "", told.failed, ""),
        ("the client late by at most, s", "", _three(told.client_late_s), ""),
    ]
    return DataTable(columns=("", "predicted", "observed", "observed less predicted"), rows=rows)


def _way_back(told: Failover) -> DataTable:
    back = told.failback
    rows: list[tuple[Cell, ...]] = []
    if back is not None:
        rows = [
            ("old master again after, s", _three(back.master_again_s)),
            ("longest time in which none got through, s", _three(back.gap_s)),
            ("requests late", back.late),
            ("requests failed", back.failed),
            ("connections in flight reset", back.reset),
        ]
    return DataTable(columns=("", "observed"), rows=rows)


def _three(value: float | None) -> Cell:
    return None if value is None else f"{value:.3f}"


def _apart(told: Failover) -> Cell:
    if told.outage_s is None or told.predicted_outage_s is None:
        return None
    return f"{told.outage_s - told.predicted_outage_s:+.3f}"


def _late(told: Failover) -> Cell:
    """The rate times the outage: every request of it waits for a repeated SYN."""
    if told.predicted_outage_s is None or not told.resolution_s:
        return None
    return round(told.predicted_outage_s / told.resolution_s)


def _parts(told: Failover) -> DataTable:
    parts = told.parts_s
    named: dict[str, float | None] = {}
    if parts is not None:
        named = {
            "from the last success to the fault": parts.until_fault,
            "detection: the backup's patience": parts.detection,
            "take-over: its first advertisement beyond that": parts.takeover,
            "gratuitous ARP": parts.gratuitous_arp,
            "first success": parts.first_success,
        }
    return DataTable(
        columns=("part", "s"), rows=[(name, _three(value)) for name, value in named.items()]
    )


def _in_flight(told: Failover) -> DataTable:
    rows = list(_fates("over the fault", told.in_flight))
    if told.failback is not None:
        rows += _fates("over the way back", told.failback.in_flight)
    return DataTable(
        columns=("kind", "when", "survived", "reset", "otherwise", "longest stall, s"), rows=rows
    )


def _fates(when: str, kinds: Mapping[str, InFlight]) -> Iterator[tuple[Cell, ...]]:
    for kind, fate in kinds.items():
        stall = "" if fate.longest_stall_s is None else f"{fate.longest_stall_s:.2f}"
        yield (kind, when, fate.survived, fate.reset, fate.other, stall)


def _entries(told: Failover) -> DataTable:
    return DataTable(
        columns=("director", "when", "ActiveConn", "InActConn", "entries", "synced copies"),
        rows=[
            (
                row.director,
                f"{row.phase}, {row.t_s:.1f} s",
                row.active,
                row.inactive,
                row.entries,
                row.synced,
            )
            for row in told.entries
        ],
    )
