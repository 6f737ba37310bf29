"""The chart of a fail-over: masterships as bands, and the duration of each connect."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analyzer.charts.thinning import kept
from reports.charts.figure import add_annotations, add_shapes, bar, scatter
from reports.charts.panels import Panel, stacked, time_axis
from reports.charts.theme import BAD, HUES, INK, MUTED, PALETTE, plain
from reports.charts.windows import span
from reports.charts.wording import seconds
from reports.run.section import Chart, DataTable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from analyzer.failover.results import Failover, Mastership
    from analyzer.report import Analysis, Timeline
    from reports.charts.figure import Figure, Trace

POINTS = 4000
BAND_PX, WAIT_PX = 34, 150
PATTERNS = ("", "/", "x", "-", "\\")


def failover_chart(analysis: Analysis, failover: Failover) -> Chart:
    """Who was master when, above the duration of each connect."""
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


def _figure(analysis: Analysis, failover: Failover) -> Figure | None:
    waits = _waits(analysis.timeline)
    if not failover.reigns and waits is None:
        return None
    names = list(dict.fromkeys(mastership.director for mastership in failover.reigns))
    panels = [_bands(failover, names)] if names else []
    axis = time_axis(*span(analysis.timeline), "seconds since the start of the run")
    figure = stacked([*panels, *([waits] if waits else [])], axis, barmode="overlay")
    for number, (name, at_s) in enumerate(_instants(failover)):
        _mark(figure, name, at_s, lift=number % 2)
    return figure


def _bands(failover: Failover, names: Sequence[str]) -> Panel:
    ends_s = [_until_s(failover, number) for number in range(len(failover.reigns))]
    masterships = list(zip(failover.reigns, ends_s, strict=True))
    return Panel(
        title="Master, by advertisements",
        height_px=BAND_PX * len(names),
        traces=[
            _band(name, number, [pair for pair in masterships if pair[0].director == name])
            for number, name in enumerate(names)
        ],
        axis={"type": "category", "autorange": "reversed", "showgrid": False},
    )


def _band(name: str, number: int, masterships: Sequence[tuple[Mastership, float]]) -> Trace:
    """The times of one master, each with its end in seconds since the run's start."""
    shown = plain(name, 30)
    return bar(
        name=shown,
        orientation="h",
        y=[shown] * len(masterships),
        base=[mastership.from_s for mastership, _ in masterships],
        x=[end_s - mastership.from_s for mastership, end_s in masterships],
        width=0.62,
        marker={
            "color": PALETTE[HUES[number % len(HUES)]][0],
            "pattern": {"shape": PATTERNS[number % len(PATTERNS)]},
        },
        hovertemplate=f"{shown} from %{{base:.2f}} s for %{{x:.2f}} s<extra></extra>",
    )


def _until_s(failover: Failover, number: int) -> float:
    """The end of a band: at priority 0, an interval after the last advertisement or at the next."""
    mastership = failover.reigns[number]
    end_s = (
        mastership.gave_up_s
        if mastership.gave_up_s is not None
        else mastership.to_s + mastership.interval_s
    )
    later = [
        other.from_s for other in failover.reigns[number + 1 :] if other.from_s > mastership.to_s
    ]
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
    trace = scatter(
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


def _mark(figure: Figure, name: str, at_s: float, *, lift: int) -> None:
    colour = BAD if name == "fault" else INK
    across = {"xref": "x", "yref": "paper"}
    style = {"color": colour, "width": 1, "dash": "dot"}
    ends = {"x0": at_s, "x1": at_s, "y0": 0, "y1": 1}
    add_shapes(figure, {"type": "line", **ends, **across, "line": style})
    label = {
        "text": name,
        "x": at_s,
        "y": 1,
        **across,
        "yanchor": "bottom",
        "xanchor": "left",
        "yshift": 20 + 12 * lift,  # above the panel's title, one beside the other
        "showarrow": False,
        "font": {"size": 11, "color": colour if colour == BAD else MUTED},
    }
    add_annotations(figure, label)
