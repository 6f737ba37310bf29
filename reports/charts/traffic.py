"""Requests and packets in bins of time: the two upper panels of the timeline."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analyzer.charts.long_columns import bounds, counted
from reports.charts import curves
from reports.charts.figure import bar, scatter
from reports.charts.panels import Panel, nice, whole_numbers
from reports.charts.theme import BAD, CALM, PALETTE, plain

if TYPE_CHECKING:
    import numpy.typing as npt

    from analyzer.arrays import Floats
    from analyzer.report import Timeline
    from reports.charts.figure import Trace

    Ints = npt.NDArray[np.int64]

BINS = 240  # at most
FLAGS = {  # flags of packets from the client: hue, dash, and the dash in words
    "SYN": ("blue", "solid", "solid"),
    "FIN": ("green", "6px,3px", "dashed"),
    "RST": ("bad", "2px,2px", "dotted"),
}
OTHER = ("muted", "8px,3px,2px,3px", "dash-dotted")


def bin_s(timeline: Timeline, first_s: float, last_s: float) -> float:
    """The width of a bin: the usual poll interval, wider where that gives more than BINS."""
    usual = [s for c in timeline.observed if (s := curves.interval_s(c.t_s))]
    width = round(min(usual), 2) if usual else 0.25
    return max(width or 0.25, nice((last_s - first_s) / BINS))


def requests(timeline: Timeline) -> Panel | None:
    """Bars of requests by when they ended, failed requests hatched on top; None without any."""
    ended = timeline.request_ended_s
    ends = bounds(ended)
    if ends is None:
        return None
    first, last = min(ends[0], 0.0), ends[1]
    width = bin_s(timeline, first, max(last, timeline.end_s))
    edges = np.arange(np.floor(first / width), np.floor(last / width) + 2) * width
    badly = counted(ended, edges, timeline.request_failed)
    return request_bars(edges, counted(ended, edges) - badly, badly)


def request_bars(edges: Floats, well: Ints, badly: Ints) -> Panel:
    """The panel of ``requests`` from counts of answered and failed requests in each bin."""
    width = float(edges[1] - edges[0])
    traces = [_bars("answered", edges, well, CALM)] if well.any() else []
    if badly.any():
        traces.append(_bars("failed", edges, badly, BAD, pattern="/"))
    top = int((well + badly).max(initial=0))
    title = f"Requests ended per {width:g} s"
    if badly.any():
        title += f"; {badly.sum():,} failed (hatched)"
    return Panel(title=title, height_px=84, traces=traces, axis=whole_numbers(top))


def _bars(name: str, edges: Floats, counts: Ints, colour: str, pattern: str = "") -> Trace:
    at = np.flatnonzero(counts)
    return bar(
        name=name,
        x=edges[at],
        y=counts[at],
        width=edges[1] - edges[0],
        offset=0,
        marker={
            "color": colour,
            "line": {"width": 1, "color": colour},
            "pattern": {"shape": pattern, "size": 5, "solidity": 0.4, "fillmode": "overlay"},
        },
        hovertemplate="%{y} " + name + " from %{x:.2f} s<extra></extra>",
    )


def packets(timeline: Timeline) -> Panel | None:
    """Steps of the rate of each kind of packet, per second; None without a capture."""
    lanes = tuple(
        dict.fromkeys([*(flag for flag in FLAGS if flag in timeline.marks), *timeline.marks])
    )
    if not lanes:
        return None
    last = max((float(at_s.max()) for at_s in timeline.marks.values() if at_s.size), default=0.0)
    first = min((float(at_s.min()) for at_s in timeline.marks.values() if at_s.size), default=0.0)
    first = min(first, 0.0)
    width = bin_s(timeline, first, max(last, timeline.end_s))
    edges = np.arange(np.floor(first / width), np.floor(last / width) + 3) * width
    rates = {lane: counted(timeline.marks[lane], edges) / width for lane in lanes}
    traces = [_steps(lane, edges, rates[lane]) for lane in lanes if rates[lane].any()]
    if not traces:
        return None
    counts = ", ".join(
        f"{timeline.marks[lane].size:,} {plain(lane, 12)}"
        + (f" ({FLAGS.get(lane, OTHER)[2]})" if rates[lane].any() else "")
        for lane in lanes
    )
    top = max(float(rate.max()) for rate in rates.values())
    return Panel(
        title=f"Packets per s from the client: {counts}",
        height_px=84,
        traces=traces,
        axis=whole_numbers(int(np.ceil(top))),
    )


def _steps(lane: str, edges: Floats, rate: Floats) -> Trace:
    """One step line; of consecutive empty bins only the edges are drawn."""
    y = np.append(rate, 0.0)
    busy = np.flatnonzero(y)
    shown = np.unique(np.clip(np.concatenate([busy - 1, busy, busy + 1]), 0, y.size - 1))
    shown = np.unique(np.concatenate([[0], shown, [y.size - 1]]))
    hue, dash, _ = FLAGS.get(lane, OTHER)
    return scatter(
        name=plain(lane),
        x=edges[shown],
        y=y[shown],
        mode="lines",
        line={"shape": "hv", "width": 1.6, "color": PALETTE[hue][0], "dash": dash},
        cliponaxis=False,
        hovertemplate="%{y:.3~g} "
        + plain(lane, 12).replace("%", "")
        + "/s from %{x:.2f} s<extra></extra>",
    )
