"""The time axis of a run, and its parts to zoom to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analyzer.charts.long_columns import bounds
from reports.charts import curves

if TYPE_CHECKING:
    from collections.abc import Iterable

    from analyzer.report import Timeline
    from reports.charts.series import Series


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A part of the timeline to zoom to."""

    label: str
    start_s: float
    end_s: float


def windows(timeline: Timeline, drawn: Iterable[Series]) -> tuple[Window, ...]:
    """The whole run, the burst and the decay, as far as they are parts of it."""
    start, end = span(timeline)
    parts = [Window(label="Whole run", start_s=start, end_s=end)]
    ended = bounds(timeline.request_ended_s)
    if ended and ended[1] < 0.6 * end:
        burst = ended[1]
        parts.append(Window(label="Burst", start_s=-0.03 * burst, end_s=1.1 * burst))
    falls = [curves.fall(item.observed) for item in drawn if item.observed]
    starts = [item.first_s for item in falls if item and item.first_s is not None]
    ends = [item.empty_s for item in falls if item and item.empty_s is not None]
    if starts and ends and (decay := max(ends) - min(starts)) < 0.6 * end:
        margin = max(0.15 * decay, 0.5)
        parts.append(Window(label="Decay", start_s=min(starts) - margin, end_s=max(ends) + margin))
    return tuple(parts)


def span(timeline: Timeline) -> tuple[float, float]:
    """The start and end of the time axis, a little wider than the curves."""
    end = timeline.end_s if np.isfinite(timeline.end_s) and timeline.end_s > 0 else 1.0
    return -0.015 * end, 1.015 * end
