"""Marks over a time axis: events, the time between two events, gaps in polling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reports.charts import curves
from reports.charts.figure import add_annotations, add_shapes
from reports.charts.theme import BAND, INK, MUTED, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from analyzer.charts.curves import Curve
    from analyzer.results import Event
    from reports.charts.figure import Figure

# Events that begin something, and the events of the same host that end it.
LASTING = {
    "link-lost": ("link-back",),
    "link-down": ("link-up",),
    "unplug": ("replug",),
    "crash": ("boot",),
    "keepalived-stop": ("keepalived-start",),
    "keepalived-kill": ("keepalived-start",),
    "nginx-stop": ("nginx-start",),
    "server-removed": ("server-added",),
}
CHARACTER, PADDING = 6.2 / 300, 5 / 300  # widths in an event's number, per width of a narrow chart
MOST = 150  # bands that are drawn, the longest; more events than this share lines
WORDED = 0.08  # share of the axis: a wider gap is named in the chart


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedSpan:
    """A time between two events, or a gap in polling."""

    start_s: float
    end_s: float
    label: str


def spans(events: Sequence[Event], end_s: float) -> tuple[MarkedSpan, ...]:
    """The times between two events of one host; to ``end_s`` without a second event."""
    bands = []
    next_at_s: dict[tuple[str, str], float] = {}  # host and kind: the next one, seen from behind
    for event in reversed(events):
        if event.kind in LASTING:
            until = (next_at_s.get((event.host, kind), end_s) for kind in LASTING[event.kind])
            label = f"{event.kind} of {event.host}"
            bands.append(MarkedSpan(start_s=event.t_s, end_s=min(until), label=label))
        next_at_s[event.host, event.kind] = event.t_s
    return tuple(reversed(bands))


def gaps(observed: Iterable[Curve]) -> tuple[MarkedSpan, ...]:
    """The gaps in the polling of each director."""
    polls = {curve.director: curve.t_s for curve in observed if curve.t_s.size}
    return tuple(
        MarkedSpan(start_s=start, end_s=end, label=f"no polls of {director}")
        for director, t_s in polls.items()
        for start, end in curves.gaps(t_s)
    )


def clusters(events: Sequence[Event], *, width_s: float) -> tuple[tuple[float, str], ...]:
    """Labels with the events' numbers, as (instant, text); labels that would overlap are merged."""
    groups: list[list[int]] = []
    for number in range(len(events)):
        groups.append([number])
        while len(groups) > 1 and _touch(events, groups[-2], groups[-1], width_s):
            groups[-2:] = [groups[-2] + groups[-1]]
    return tuple((events[numbers[0]].t_s, _label(numbers)) for numbers in groups)


def _label(numbers: Sequence[int]) -> str:
    first, last = numbers[0] + 1, numbers[-1] + 1
    return f"{first}" if first == last else f"{first}-{last}"


def _touch(
    events: Sequence[Event], left: Sequence[int], right: Sequence[int], width_s: float
) -> bool:
    """Whether two labels, each centred above its first event, would overlap."""
    apart_s = events[right[0]].t_s - events[left[0]].t_s
    characters = len(_label(left)) + len(_label(right))
    return apart_s < width_s * (PADDING + CHARACTER * characters / 2)


def draw(
    figure: Figure, observed: Iterable[Curve], events: Sequence[Event], low: float, high: float
) -> None:
    """Bands, dotted lines and numbers (as in the list below the timeline) over all panels."""
    unseen = gaps(observed)
    bands = sorted((*unseen, *spans(events, high)), key=lambda span: span.start_s - span.end_s)
    numbered = clusters(events, width_s=high - low)
    lines = [event.t_s for event in events] if len(events) <= MOST else [t for t, _ in numbered]
    add_shapes(figure, *map(_band, bands[:MOST]), *map(_line, lines))
    wide_s = WORDED * (high - low)
    names = [_name(gap) for gap in unseen if gap.end_s - gap.start_s > wide_s]
    add_annotations(figure, *names, *(_number(*at) for at in numbered))


def _band(span: MarkedSpan) -> dict[str, object]:
    return {
        "type": "rect",
        "x0": span.start_s,
        "x1": span.end_s,
        "y0": 0,
        "y1": 1,
        "yref": "paper",
        "layer": "below",
        "fillcolor": BAND,
        "line": {"width": 0},
        "name": plain(span.label),
    }


def _line(at_s: float) -> dict[str, object]:
    return {
        "type": "line",
        "x0": at_s,
        "x1": at_s,
        "y0": 0,
        "y1": 1,
        "yref": "paper",
        "layer": "below",
        "line": {"width": 1, "dash": "2px,3px", "color": MUTED},
        "name": "event",
    }


def _name(gap: MarkedSpan) -> dict[str, object]:
    return {
        "x": (gap.start_s + gap.end_s) / 2,
        "y": 0,
        "yref": "paper",
        "yanchor": "bottom",
        "yshift": 34,
        "text": plain(gap.label, 24),
        "showarrow": False,
        "font": {"size": 11, "color": INK},
        "bgcolor": BAND,
        "borderpad": 2,
    }


def _number(at_s: float, text: str) -> dict[str, object]:
    return {
        "x": at_s,
        "y": 1,
        "yref": "paper",
        "yanchor": "bottom",
        "yshift": 22,
        "text": text,
        "showarrow": False,
        "font": {"size": 11, "color": INK},
        "bgcolor": BAND,
        "borderpad": 2,
    }
