"""The section on the TCP states of the hosts' sockets, beside the director's InActConn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.charts.thinning import kept
from reports.charts import curves
from reports.charts.figure import scatter
from reports.charts.panels import Panel, stacked, time_axis, whole_numbers
from reports.charts.theme import DASHES, HUES, INK, PALETTE, plain
from reports.charts.windows import span
from reports.charts.wording import listed, seconds
from reports.run.section import Chart, DataTable, Section

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.charts.curves import SocketCurve
    from analyzer.report import Analysis
    from analyzer.results import SocketState
    from reports.charts.figure import Figure, Trace

SHOWN = ("TIME_WAIT", "FIN_WAIT2", "CLOSE_WAIT", "LAST_ACK", "FIN_WAIT1", "CLOSING", "SYN_SENT")
"""States that have a curve; ESTABLISHED is only in the table."""

POINTS = 2000  # of each curve


def section(analysis: Analysis) -> Section | None:
    """The hosts' waiting sockets, and the director; None if no sockets were counted."""
    if not analysis.sockets:
        return None
    return Section(
        id="sockets",
        title="States of the hosts' sockets",
        summary="A host keeps a closed connection by its own rules (TIME_WAIT, 60 s in Linux, "
        "which no sysctl changes), independently of the director's entry.",
        charts=(_chart(analysis),),
    )


def sentences(analysis: Analysis) -> list[str]:
    """Sentences about each host's sockets in TIME_WAIT, without full stops."""
    return [_sentence(row) for row in analysis.sockets if row.state == "TIME_WAIT"]


def _sentence(row: SocketState) -> str:
    text = f"{plain(row.host)} had up to {row.peak:,} sockets in TIME_WAIT"
    if row.held_s is not None:
        spread = seconds(row.held_s.uncertainty)
        return f"{text}, each for {seconds(row.held_s.value)} ± {spread}"
    return f"{text}; {row.last:,} at the last count"


def _chart(analysis: Analysis) -> Chart:
    director = _peak_inactive(analysis)
    texts = sentences(analysis) or ["No socket was seen in TIME_WAIT"]
    caption = ". ".join([*texts, *([director] if director else [])]) + "."
    return Chart(
        id="sockets-chart",
        figure=_figure(analysis),
        caption=caption,
        table=_table(analysis.sockets),
        clock="run",
    )


def _peak_inactive(analysis: Analysis) -> str:
    peaks = [f"{peak.inactive:,} on {peak.director}" for peak in analysis.peaks if peak.director]
    return f"InActConn was at most {listed(peaks)}" if peaks else ""


def _table(rows: Sequence[SocketState]) -> DataTable:
    return DataTable(
        columns=("host", "state", "peak", "at the last count", "time in the state, s"),
        rows=[
            (row.host, row.state, row.peak, row.last, row.held_s.value if row.held_s else None)
            for row in rows
        ],
    )


def _figure(analysis: Analysis) -> Figure | None:
    shown = [
        curve
        for curve in analysis.timeline.sockets
        if curve.state in SHOWN and len(curve.count) and curve.count.max() > 0
    ]
    if not shown:
        return None
    traces = [_trace(curve, i) for i, curve in enumerate(shown)]
    panels = [_panel("Sockets, by host and state", traces), *_director_panel(analysis)]
    axis = time_axis(*span(analysis.timeline), "seconds since the start of the run")
    legend = {"orientation": "h", "y": -0.25, "x": 0}
    return stacked(panels, axis, showlegend=True, legend=legend)


def _panel(title: str, traces: list[Trace]) -> Panel:
    top = max(int(max(trace["y"])) for trace in traces)
    return Panel(title=title, height_px=120, traces=traces, axis=whole_numbers(top))


def _trace(curve: SocketCurve, number: int) -> Trace:
    drawn = kept(curve.count, points=POINTS)
    return scatter(
        name=plain(f"{curve.host} {curve.state}"),
        x=curve.t_s[drawn],
        y=curve.count[drawn],
        mode="lines",
        line={
            "shape": "hv",
            "width": 1.6,
            "color": PALETTE[HUES[number % len(HUES)]][0],
            "dash": DASHES[number // len(HUES) % len(DASHES)],
        },
        cliponaxis=False,
        hovertemplate="%{y} at %{x:.1f} s<br>%{fullData.name}<extra></extra>",
    )


def _director_panel(analysis: Analysis) -> list[Panel]:
    """InActConn of the director with most entries, summed over its real servers."""
    held = [peak for peak in analysis.peaks if peak.director and peak.inactive]
    if not held:
        return []
    name = max(held, key=lambda peak: peak.inactive).director or ""
    total = curves.sum_of_polls(curves.of(name, analysis.timeline.observed))
    drawn = kept(total.inactive, points=POINTS)
    trace = scatter(
        name=plain(f"{name} InActConn"),
        x=total.t_s[drawn],
        y=total.inactive[drawn],
        mode="lines",
        line={"shape": "hv", "width": 1.6, "color": INK},
        cliponaxis=False,
        hovertemplate="%{y} at %{x:.1f} s<br>%{fullData.name}<extra></extra>",
    )
    return [_panel(plain(f"InActConn on {name}"), [trace])]
