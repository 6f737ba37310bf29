"""The geometry of a sequence diagram: a ConnectionTrace to lines, arrows, bars and labels.

Rows are in order of time, but not to scale, so that milliseconds and minutes fit on one sheet. Each
hop between client, director and real server is an arrow, solid if captured, dashed if inferred. To
the right the entry's states are bars over the same rows. Units are those of the ``viewBox``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from analyzer.traces.model import Packet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analyzer.traces.model import ConnectionTrace, End, Leg, Retention, Span

WIDTH = 420
LANES: Mapping[End, int] = {"client": 66, "director": 162, "server": 258}
BAR_X, BAR_WIDTH, BAR_STEP, LABEL_X = 296, 12, 18, 332
TOP, ROW, PAUSE, LINE = 34, 26, 18, 13
PAUSE_S = 0.5
"""Rows this far apart in time are drawn further apart, with a mark between them."""

STEP_S = 0.0995
"""A step shorter than this would not show in the seconds since the first packet."""

HUES: Mapping[str, str] = {
    "SYN_SENT": "orange",
    "SYN_RECV": "orange",
    "SYNACK": "orange",
    "ESTABLISHED": "green",
    "FIN_WAIT": "blue",
    "CLOSE_WAIT": "sky",
    "LAST_ACK": "sky",
    "TIME_WAIT": "pink",
    "CLOSE": "bad",
    "UDP": "green",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrow:
    """One hop; ``hop_x`` is where it bypasses the director's line."""

    x1: int
    x2: int
    y: float
    seen: bool
    hop_x: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One state of an entry, or a socket's TIME_WAIT; ``open_end``: it was not seen to end."""

    x: float
    y: float
    width: float
    height: float
    hue: str
    open_end: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A text; ``kind`` is its class in the style sheet."""

    x: float
    y: float
    text: str
    kind: str
    anchor: str = "start"


@dataclass(slots=True, kw_only=True)
class SequenceDiagram:
    """All parts of one connection's drawing."""

    height: float = 0.0
    arrows: list[Arrow] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    crosses: list[tuple[float, float]] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)


def diagram(trace: ConnectionTrace) -> SequenceDiagram:
    """The drawing of one connection."""
    drawing = SequenceDiagram()
    rows: list[tuple[float, Packet | Retention]] = [
        (packet.t_s, packet) for packet in trace.packets
    ]
    rows += [
        (retention.until_s, retention)
        for retention in trace.retentions
        if retention.until_s is not None
    ]
    rows.sort(key=lambda row: row[0])
    times = [t_s for t_s, _ in rows]
    heights = _placed(times, drawing)
    before = [trace.first_s, *times]
    for (t_s, what), y, before_s in zip(rows, heights, before, strict=False):
        drawing.labels.append(_time(t_s - trace.first_s, t_s - before_s, y))
        if isinstance(what, Packet):
            _draw_packet(drawing, what, y)
        else:
            _draw_end(drawing, what, y)
    drawing.height = heights[-1] + ROW if heights else TOP
    scale = _Scale(times, heights, drawing.height - ROW / 3)
    _draw_bars(drawing, trace, scale)
    return drawing


def _placed(times_s: Sequence[float], drawing: SequenceDiagram) -> list[float]:
    """The height of each row."""
    heights: list[float] = []
    y = float(TOP)
    for number, t_s in enumerate(times_s):
        if number:
            pause = t_s - times_s[number - 1] > PAUSE_S
            y += ROW + (PAUSE if pause else 0)
            if pause:
                drawing.pauses.append(y - (ROW + PAUSE) / 2)
        else:
            y += ROW * 0.7
        heights.append(y)
    return heights


@dataclass(frozen=True, slots=True)
class _Scale:
    """Interpolation from an instant to a height; None is the bottom."""

    times: list[float]
    heights: list[float]
    bottom: float

    def __call__(self, t_s: float | None) -> float:
        if t_s is None or t_s > self.times[-1]:
            return self.bottom
        return float(np.interp(t_s, self.times, self.heights))


def _time(after_s: float, since_row_s: float, y: float) -> Label:
    """Time since the first packet; with a plus since the row above, if the step would not show."""
    hidden = after_s >= 1 and since_row_s < STEP_S
    text = f"+{clock(since_row_s, figures=2)}" if hidden else clock(after_s)
    return Label(x=46, y=y + 4, text=text, kind="time", anchor="end")


def clock(after_s: float, figures: int = 3) -> str:
    """A time in at least ``figures`` digits: ``0``, ``113 µs``, ``35.2 ms``."""
    for unit_s, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        value = after_s / unit_s
        if value >= 0.9995:
            whole = 1 if value < 9.995 else 2 if value < 99.95 else 3
            return f"{value:.{max(figures - whole, 0)}f} {unit}"
    return "0"


def _draw_packet(drawing: SequenceDiagram, packet: Packet, y: float) -> None:
    drawing.arrows += [_arrow(leg, y) for leg in packet.legs]
    middle = (LANES["client"] + LANES["director"]) / 2
    text = packet_name(packet)
    drawing.labels.append(Label(x=middle, y=y - 4, text=text, kind="packet", anchor="middle"))
    if packet.left_out:
        skipped = f"{packet.left_out:,} packets between"
        x = (LANES["director"] + LANES["server"]) / 2
        drawing.labels.append(Label(x=x, y=y - 9, text=skipped, kind="quiet", anchor="middle"))
    if packet.dead_end:
        drawing.crosses.append((LANES["director"], y))
        text = packet.dead_end.partition(":")[0]
        drawing.labels.append(Label(x=LANES["director"] + 9, y=y + 4, text=text, kind="quiet"))


def packet_name(packet: Packet) -> str:
    """A packet's name: ``SYN``, ``SYN+ACK again``, ``ACK``, ``data, 83 B``, ``FIN, 230 B``."""
    name = "SYN+ACK" if packet.flag == "SYN" and not packet.to_vip else packet.flag
    name = {"DATAGRAM": "datagram", "BARE": "no flag"}.get(name, name)
    if packet.data_bytes:
        name = f"{'data' if name == 'ACK' else name}, {packet.data_bytes:,} B"
    return f"{name} again" if packet.again else name


def _arrow(leg: Leg, y: float) -> Arrow:
    past = {leg.source, leg.target} == {"client", "server"}
    hop_x = LANES["director"] if past else None
    return Arrow(x1=LANES[leg.source], x2=LANES[leg.target], y=y, seen=leg.seen, hop_x=hop_x)


_ENDS: Mapping[tuple[str, str], str] = {
    ("director", "predicted"): "predicted end",
    ("director", "seen"): "seen removed",
    ("client", "inferred"): "client's end",
    ("server", "inferred"): "server's end",
}


def _draw_end(drawing: SequenceDiagram, retention: Retention, y: float) -> None:
    x = LANES[retention.holder]
    drawing.crosses.append((x, y))
    left = retention.holder == "server"
    drawing.labels.append(
        Label(
            x=x - 9 if left else x + 9,
            y=y + 4,
            text=_ENDS[retention.holder, retention.basis],
            kind="quiet",
            anchor="end" if left else "start",
        )
    )


def _draw_bars(drawing: SequenceDiagram, trace: ConnectionTrace, scale: _Scale) -> None:
    for retention in trace.retentions:
        if retention.holder != "director":
            x = LANES[retention.holder] - 3
            edges = scale(retention.from_s), scale(retention.until_s)
            drawing.bars.append(_bar(x, edges, 6, "TIME_WAIT", open_end=False))
            _draw_socket_label(drawing, retention, edges[0])
    texts: list[tuple[float, str]] = []
    for column, spans in enumerate((trace.predicted, trace.observed)):
        x = BAR_X + column * BAR_STEP
        for span in spans:
            edges = scale(span.from_s), scale(span.until_s)
            still = span.until_s is None
            drawing.bars.append(_bar(x, edges, BAR_WIDTH, span.state, open_end=still))
        texts += _state_texts(spans, scale, trace.predicted if column else ())
    drawing.labels += _spread(texts)


def _draw_socket_label(drawing: SequenceDiagram, retention: Retention, y: float) -> None:
    left = retention.holder == "server"
    drawing.labels.append(
        Label(
            x=LANES[retention.holder] + (-9 if left else 9),
            y=y + LINE + 3,
            text=retention.state,
            kind="quiet",
            anchor="end" if left else "start",
        )
    )


def _bar(x: float, edges: tuple[float, float], width: float, state: str, *, open_end: bool) -> Bar:
    hue = HUES.get(state, "muted")
    height = max(edges[1] - edges[0], 2.0)
    return Bar(x=x, y=edges[0], width=width, height=height, hue=hue, open_end=open_end)


def _state_texts(
    spans: Sequence[Span], scale: _Scale, beside: Sequence[Span]
) -> list[tuple[float, str]]:
    """The states' names; polled states only if they are not predicted."""
    named = {span.state for span in beside}
    return [
        (scale(span.from_s), f"{span.state} seen" if beside else span.state)
        for span in spans
        if span.state not in named
    ]


def _spread(texts: list[tuple[float, str]]) -> list[Label]:
    """Labels beside the bars, without overlaps."""
    labels: list[Label] = []
    free = 0.0
    for y, text in sorted(texts):
        y = max(y + LINE - 3, free)
        labels.append(Label(x=LABEL_X, y=y, text=text, kind="state"))
        free = y + LINE
    return labels
