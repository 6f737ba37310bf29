"""The section on InActConn under other values of tcpfin, with a slider."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from analyzer.client.samples import carries_rate
from reports.charts import curves
from reports.charts.figure import scatter
from reports.charts.panels import Panel, stacked, time_axis, whole_numbers
from reports.charts.theme import PALETTE, plain
from reports.charts.wording import count, seconds, setting
from reports.run.assumptions import on_forwarding
from reports.run.section import Chart, DataTable, Section

if TYPE_CHECKING:
    from analyzer.charts.values import OtherTcpfin
    from analyzer.report import Analysis
    from reports.charts.figure import Figure, Trace

HEIGHT_PX = 220
SAME = 0.01  # s: a smaller change of the inactive time is no effect


def section(analysis: Analysis) -> Section | None:
    """The slider and its chart; None without packets."""
    others = shown(analysis)
    if not others:
        return None
    rate = rate_per_s(analysis)
    chart = Chart(
        id="tcpfin-chart",
        figure=figure(others),
        caption=caption(others),
        table=table(others, rate),
    )
    return Section(
        id="tcpfin",
        title="What if tcpfin were different?",
        summary=verdict(others) + on_forwarding(analysis),
        charts=(chart,),
        template="sections/tcpfin.html",
        facts={"choices": choices(others), "rate": rate, "own": in_force_of(others).tcpfin_s},
    )


def shown(analysis: Analysis) -> list[OtherTcpfin]:
    """The results for the director with most entries."""
    others = analysis.pictures.tcpfin
    sizes = {other.answer.director: _entries(other) for other in others}
    busiest = max(sizes, key=lambda name: sizes[name], default=None)
    return [o for o in others if o.answer.director == busiest and sizes[o.answer.director]]


def _entries(other: OtherTcpfin) -> int:
    return sum(group.n for group in other.answer.groups)


def in_force_of(others: list[OtherTcpfin]) -> OtherTcpfin:
    """The result for the tcpfin that was in force."""
    return next(other for other in others if other.is_own)


def matters(others: list[OtherTcpfin]) -> bool:
    """Whether any of the values changes how long entries are inactive."""
    return any(abs(other.inactive_s - in_force_of(others).inactive_s) > SAME for other in others)


def rate_per_s(analysis: Analysis) -> float | None:
    """The run's rate of connections, by requests or else by SYNs; None for a short burst."""
    requests = analysis.requests
    per_s = requests.connections_per_s
    if per_s is not None:
        begun = requests.sent if requests.connections is None else requests.connections
        return float(per_s) if carries_rate(begun, requests.duration_s) else None
    at_s = analysis.timeline.marks.get("SYN")
    if at_s is None or not at_s.size or not carries_rate(at_s.size - 1, float(np.ptp(at_s))):
        return None
    return float((at_s.size - 1) / np.ptp(at_s))


def verdict(others: list[OtherTcpfin]) -> str:
    """Whether tcpfin matters in this run, in one sentence."""
    in_force = in_force_of(others)
    director = in_force.answer.director
    if not in_force.inactive_s and not matters(others):
        return f"No entry on {director} became inactive, so no tcpfin would change InActConn."
    if not matters(others):
        return (
            f"tcpfin does not matter here: with any value, the entries on {director} would have "
            f"been inactive for {seconds(in_force.inactive_s)} on average."
        )
    return (
        f"tcpfin matters here: with {setting(in_force.tcpfin_s)} an entry on {director} was "
        f"inactive for {seconds(in_force.inactive_s)} on average. Choose another value to compare."
    )


def choices(others: list[OtherTcpfin]) -> list[dict[str, Any]]:
    """The values of the slider, with their results."""
    return [
        {
            "key": f"tcpfin-{number}",
            "label": setting(other.tcpfin_s),
            "own": other.is_own,
            "peak": other.answer.peak_inactive,
            "inactive_s": round(other.inactive_s, 3),
        }
        for number, other in enumerate(others)
    ]


def figure(others: list[OtherTcpfin]) -> Figure:
    """InActConn as predicted, and dashed under each other value."""
    end_s = max(float(other.curve.t_s[-1]) for other in others if other.curve.t_s.size)
    traces = [_line(number, other, end_s) for number, other in enumerate(others)]
    traces.sort(key=lambda trace: trace["legendgroup"] == "was")
    top = max(other.answer.peak_inactive for other in others)
    panel = Panel(
        title=f"InActConn on {plain(others[0].answer.director, 40)}",
        height_px=HEIGHT_PX,
        traces=traces,
        axis=whole_numbers(top),
    )
    axis = time_axis(-0.015 * end_s, 1.015 * end_s, "seconds since the start of the run")
    return stacked([panel], axis, head_px=26)


def _line(number: int, other: OtherTcpfin, end_s: float) -> Trace:
    curve = other.curve
    t_s, values = curves.held(curve.t_s, curve.inactive, start_s=0.0, end_s=end_s)
    hue, dash = ("blue", "solid") if other.is_own else ("orange", "8px,4px")
    name = f"tcpfin = {setting(other.tcpfin_s)}"
    return scatter(
        name=name,
        legendgroup="was" if other.is_own else f"tcpfin-{number}",
        x=np.round(t_s, 4),
        y=values,
        mode="lines",
        line={
            "shape": "hv",
            "width": 1.6 if other.is_own else 2.4,
            "color": PALETTE[hue][0],
            "dash": dash,
        },
        hovertemplate=f"%{{y}} from %{{x:.2f}} s with {name}<extra></extra>",
    )


def caption(others: list[OtherTcpfin]) -> str:
    """The chart in words."""
    doubts = sorted({other.answer.doubt for other in others if other.answer.doubt})
    return " ".join(
        [
            f"Solid: tcpfin = {setting(in_force_of(others).tcpfin_s)}, as in force. Dashed: the "
            "same packets with the chosen value, by the kernel's tables and timers.",
            *(f"Not certain: {doubt}." for doubt in doubts),
        ]
    )


def table(others: list[OtherTcpfin], rate: float | None) -> DataTable:
    """A row for each value: peak, inactive time per entry, steady InActConn."""
    columns = ["tcpfin, s", "peak InActConn", "inactive, s per entry"]
    if rate is not None:
        columns.append(f"settles at {count(rate)}/s")
    return DataTable(
        columns=tuple(columns),
        rows=[
            (
                f"{other.tcpfin_s:g}" + (" (in force)" if other.is_own else ""),
                other.answer.peak_inactive,
                round(other.inactive_s, 2),
                *([] if rate is None else [round(rate * other.inactive_s)]),
            )
            for other in others
        ],
        note="InActConn under a steady load settles at the rate times the inactive time per entry.",
    )
