"""The section on a fail-over: masters, outage, connections and entries."""

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
    from analyzer.report import Analysis, Timeline

POINTS = 4000
BAND_PX, WAIT_PX = 34, 150
PATTERNS = ("", "/", "x", "-", "\\")

SHOWS = frozenset(
    {"black-hole", "clean-stop", "connections-reset", "failover-differs", "failover-invalid"}
    | {"flapping", "keepalived-alone", "preemption", "syn-retries", "two-masters"}
)


def section(analysis: Analysis) -> Section | None:
    """The fail-over; None if the run was no fail-over."""
    failover = analysis.failover
    if failover is None:
        return None
    return Section(
        id="failover",
        title="How the VIP moved, and what clients saw of it",
        summary=_summary(failover),
        charts=(_chart(analysis, failover),),
        template="sections/failover.html",
        facts={"tables": [(title, table) for title, table in _tables(failover) if table.rows]},
        shows=SHOWS,
    )


def _summary(failover: Failover) -> str:
    if not failover.valid:
        return f"This run is invalid: {failover.why_invalid}. Its figures do not count."
    theory = {
        "silence": "A master that fails silently is replaced after its backup's "
        "master_down_interval, less the age of its last advertisement.",
        "clean-stop": "A master that announces priority 0 is replaced after its backup's skew.",
        "keepalived-alone": "If only keepalived fails, its director keeps forwarding: two "
        "directors hold the VIP, and no connect waits.",
        None: "No director was seen to take over.",
    }
    return theory[failover.how]


def _chart(analysis: Analysis, failover: Failover) -> Chart:
    return Chart(
        id="failover-chart",
        figure=_figure(analysis, failover),
        caption=caption(failover),
        table=DataTable(
            columns=("master", "from, s", "last advertisement, s", "priority", "gratuitous ARP"),
            rows=[
                (
                    mastership.director,
                    round(mastership.from_s, 3),
                    round(mastership.to_s, 3),
                    mastership.priority,
                    mastership.claims,
                )
                for mastership in failover.reigns
            ],
            note="Seconds since the start of the run.",
        ),
        clock="run",
    )


def caption(failover: Failover) -> str:
    """The chart in words."""
    masterships = "; ".join(
        f"{mastership.director} from {mastership.from_s:.1f} to {mastership.to_s:.1f} s"
        for mastership in failover.reigns
    )
    masters = (
        f"Master by advertisements: {masterships}." if masterships else "No advertisement was seen."
    )
    if failover.outage_s is None:
        return masters
    return (
        f"{masters} Below, the duration of each connect by its begin: around the fault no connect "
        f"succeeded for {seconds(failover.outage_s)}."
        + (" Steps of a second are retransmitted SYNs." if failover.syn_retries else "")
    )


def _figure(analysis: Analysis, failover: Failover) -> go.Figure | None:
    waits = _waits(analysis.timeline)
    if not failover.reigns and waits is None:
        return None
    names = list(dict.fromkeys(mastership.director for mastership in failover.reigns))
    panels = [_bands(failover, names)] if names else []
    figure = stacked([*panels, *([waits] if waits else [])])
    low, high = span(analysis.timeline)
    figure.update_layout(
        xaxis=time_axis(low, high, "seconds since the start of the run"), barmode="overlay"
    )
    for number, (name, at_s) in enumerate(_instants(failover)):
        _mark(figure, name, at_s, lift=number % 2)
    return figure


def _bands(failover: Failover, names: Sequence[str]) -> Panel:
    traces = [
        go.Bar(
            name=plain(name, 30),
            orientation="h",
            y=[plain(name, 30)] * len(bands),
            base=[mastership.from_s for mastership in bands],
            x=[_until_s(failover, i) - failover.reigns[i].from_s for i in _of(failover, name)],
            width=0.62,
            marker={
                "color": PALETTE[HUES[number % len(HUES)]][0],
                "pattern": {"shape": PATTERNS[number % len(PATTERNS)]},
            },
            hovertemplate=f"{plain(name, 30)} from %{{base:.2f}} s for %{{x:.2f}} s<extra></extra>",
        )
        for number, name in enumerate(names)
        for bands in [[failover.reigns[i] for i in _of(failover, name)]]
    ]
    axis = {"type": "category", "autorange": "reversed", "showgrid": False}
    return Panel(
        title="Master, by advertisements",
        height_px=BAND_PX * len(names),
        traces=traces,
        axis=axis,
    )


def _of(failover: Failover, name: str) -> list[int]:
    return [i for i, mastership in enumerate(failover.reigns) if mastership.director == name]


def _until_s(failover: Failover, number: int) -> float:
    """The end of a band: at priority 0, an interval after the last advertisement or at the next."""
    mastership = failover.reigns[number]
    end_s = (
        mastership.gave_up_s
        if mastership.gave_up_s is not None
        else mastership.to_s + mastership.interval_s
    )
    later = [r.from_s for r in failover.reigns[number + 1 :] if r.from_s > mastership.to_s]
    return max(min([end_s, *later]), mastership.from_s + 0.05)


def _waits(timeline: Timeline) -> Panel | None:
    """The panel of the duration of each connect by its begin."""
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
        title="Duration of each connect, seconds",
        height_px=WAIT_PX,
        traces=[trace],
        axis={"rangemode": "tozero"},
    )


def _instants(failover: Failover) -> Iterator[tuple[str, float]]:
    named = {
        "fault": failover.fault_s,
        "take-over": failover.takeover_s,
        "undone": failover.undone_s,
    }
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


# -- tables --------------------------------------------------------------------------------------


def _tables(failover: Failover) -> Iterator[tuple[str, DataTable]]:
    yield "Predicted and observed", _predicted(failover)
    yield "Parts of the outage", _parts(failover)
    yield "Failback", _failback(failover)
    yield "Connections in flight", _in_flight(failover)
    yield "Entries on the directors", _entries(failover)


def _predicted(failover: Failover) -> DataTable:
    uncertainty_s = (failover.prediction_uncertainty_s or 0) + (failover.resolution_s or 0)
    ranged = failover.predicted_range_s
    rows: list[tuple[Cell, ...]] = [
        (
            "outage, s",
            _three(failover.predicted_outage_s),
            _three(failover.outage_s),
            _error(failover),
        ),
        ("uncertainty ±, s", _three(uncertainty_s), _three(failover.resolution_s), ""),
        (
            "range over all ages of the advertisement, s",
            f"{ranged[0]:.3f} to {ranged[1]:.3f}" if ranged else None,
            "",
            "",
        ),
        ("age of the last advertisement, s", "", _three(failover.advert_age_s), ""),
        ("master_down_interval, s", _three(failover.master_down_interval_s), "", ""),
        ("skew, s", _three(failover.skew_s), "", ""),
        ("requests late", _late(failover), failover.late, ""),
        ("requests failed", "", failover.failed, ""),
        ("largest delay of the client, s", "", _three(failover.client_late_s), ""),
    ]
    return DataTable(columns=("", "predicted", "observed", "observed minus predicted"), rows=rows)


def _failback(failover: Failover) -> DataTable:
    back = failover.failback
    rows: list[tuple[Cell, ...]] = []
    if back is not None:
        rows = [
            ("old master again master after, s", _three(back.master_again_s)),
            ("longest time without a successful connect, s", _three(back.gap_s)),
            ("requests late", back.late),
            ("requests failed", back.failed),
            ("connections in flight reset", back.reset),
        ]
    return DataTable(columns=("", "observed"), rows=rows)


def _three(value: float | None) -> Cell:
    return None if value is None else f"{value:.3f}"


def _error(failover: Failover) -> Cell:
    if failover.outage_s is None or failover.predicted_outage_s is None:
        return None
    return f"{failover.outage_s - failover.predicted_outage_s:+.3f}"


def _late(failover: Failover) -> Cell:
    """The rate times the outage: all its requests wait for a retransmitted SYN."""
    if failover.predicted_outage_s is None or not failover.resolution_s:
        return None
    return round(failover.predicted_outage_s / failover.resolution_s)


def _parts(failover: Failover) -> DataTable:
    parts = failover.parts_s
    named: dict[str, float | None] = {}
    if parts is not None:
        named = {
            "from the last success to the fault": parts.until_fault,
            "detection: the backup's wait": parts.detection,
            "take-over: until its first advertisement": parts.takeover,
            "gratuitous ARP": parts.gratuitous_arp,
            "first success": parts.first_success,
        }
    return DataTable(
        columns=("part", "s"), rows=[(name, _three(value)) for name, value in named.items()]
    )


def _in_flight(failover: Failover) -> DataTable:
    rows = list(_fates("during the fault", failover.in_flight))
    if failover.failback is not None:
        rows += _fates("during the failback", failover.failback.in_flight)
    return DataTable(
        columns=("kind", "when", "survived", "reset", "ended otherwise", "longest stall, s"),
        rows=rows,
    )


def _fates(when: str, kinds: Mapping[str, InFlight]) -> Iterator[tuple[Cell, ...]]:
    for kind, fate in kinds.items():
        stall = "" if fate.longest_stall_s is None else f"{fate.longest_stall_s:.2f}"
        yield (kind, when, fate.survived, fate.reset, fate.other, stall)


def _entries(failover: Failover) -> DataTable:
    return DataTable(
        columns=("director", "when", "ActiveConn", "InActConn", "entries", "of these synced"),
        rows=[
            (
                row.director,
                f"{row.phase}, {row.t_s:.1f} s",
                row.active,
                row.inactive,
                row.entries,
                row.synced,
            )
            for row in failover.entries
        ],
    )
