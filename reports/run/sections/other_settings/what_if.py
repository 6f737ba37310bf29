"""The section on the same packets under other assumptions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.charts.thinning import kept
from reports.charts import curves, wording
from reports.charts.figure import scatter
from reports.charts.panels import Panel, stacked, time_axis, whole_numbers
from reports.charts.theme import PALETTE, plain
from reports.run.section import Chart, Section

if TYPE_CHECKING:
    from analyzer.charts.curves import Curve
    from analyzer.report import Analysis
    from analyzer.results import WhatIf
    from reports.charts.figure import Figure, Trace

HEIGHT_PX = 200
POINTS = 4000
AS_IT_WAS, OTHERWISE = "predicted", "under the assumption"
STYLES = {AS_IT_WAS: ("blue", "solid"), OTHERWISE: ("orange", "8px,4px")}


def section(analysis: Analysis) -> Section | None:
    """The same packets under the assumptions of ``--what-if``; None without any."""
    if not analysis.what_if:
        return None
    chart = Chart(
        id="what-if-chart",
        figure=_figure(analysis),
        caption=caption(analysis) or "No entry would have been made.",
    )
    return Section(
        id="what-if",
        title=f"What if: {', '.join(analysis.what_if[0].assumptions)}",
        charts=(chart,),
    )


def _assumed(analysis: Analysis, answer: WhatIf) -> Curve:
    """What the director of an answer would have held."""
    (curve,) = curves.of(answer.director, analysis.pictures.what_if)
    return curve


def non_empty(analysis: Analysis) -> tuple[WhatIf, ...]:
    """The answers for directors that would have held an entry."""
    return tuple(answer for answer in analysis.what_if if answer.groups)


def as_it_was(analysis: Analysis, answer: WhatIf) -> Curve | None:
    """The prediction without the assumptions; None if there is none."""
    predicted = curves.of(answer.director, analysis.timeline.predicted)
    return curves.sum_of_steps(predicted) if predicted else None


def _figure(analysis: Analysis) -> Figure | None:
    """InActConn, a panel for each director: predicted, and under the assumptions."""
    answers = non_empty(analysis)
    if not answers:
        return None
    end_s = max(float(_assumed(analysis, answer).t_s[-1]) for answer in answers)
    end_s = max(end_s, analysis.timeline.end_s)
    axis = time_axis(-0.015 * end_s, 1.015 * end_s, "seconds since the start of the run")
    return stacked([_panel(analysis, answer, end_s) for answer in answers], axis)


def _panel(analysis: Analysis, answer: WhatIf, end_s: float) -> Panel:
    was = as_it_was(analysis, answer)
    lines = {AS_IT_WAS: was, OTHERWISE: _assumed(analysis, answer)}
    traces = [_line(name, curve, end_s) for name, curve in lines.items() if curve is not None]
    top = max(int(curve.inactive.max(initial=0)) for curve in lines.values() if curve is not None)
    return Panel(
        title=f"InActConn on {plain(answer.director, 40)}",
        height_px=HEIGHT_PX,
        traces=tuple(traces),
        axis=whole_numbers(top),
    )


def _line(name: str, curve: Curve, end_s: float) -> Trace:
    hue, dash = STYLES[name]
    t_s, values = curves.held(curve.t_s, curve.inactive, start_s=0.0, end_s=end_s)
    shown = kept(values, points=POINTS)
    return scatter(
        x=t_s[shown],
        y=values[shown],
        name=name,
        mode="lines",
        line={"shape": "hv", "color": PALETTE[hue][0], "dash": dash, "width": 1.8},
        hovertemplate=f"%{{y}} at %{{x:.2f}} s, {name}<extra></extra>",
    )


def caption(analysis: Analysis) -> str:
    """The chart in words."""
    key = [f"Solid: {AS_IT_WAS}; dashed: {OTHERWISE}."] if non_empty(analysis) else []
    return " ".join([*key, *sentences(analysis)])


def sentences(analysis: Analysis) -> list[str]:
    """The answers in words, and their uncertainties."""
    answers = non_empty(analysis)
    doubts = sorted({answer.doubt for answer in answers if answer.doubt})
    return [
        *(_sentence(analysis, answer) for answer in answers),
        *(f"Not certain: {doubt}." for doubt in doubts),
    ]


def _sentence(analysis: Analysis, answer: WhatIf) -> str:
    was = as_it_was(analysis, answer)
    compared = "" if was is None else f" (it was {int(was.inactive.max(initial=0))})"
    groups = wording.listed(
        [
            f"{group.n} in {group.state} for {wording.setting(group.timeout_s)}"
            for group in answer.groups
        ]
    )
    return (
        f"With {' and '.join(answer.assumptions)} InActConn on {answer.director} would peak at "
        f"{answer.peak_inactive}{compared}{_forgotten(answer)}: {groups}."
    )


def _forgotten(answer: WhatIf) -> str:
    if answer.forgotten_after_s is None:
        return ""
    after = wording.seconds(answer.forgotten_after_s)
    return f", and the last entry would expire {after} after the last packet"
