"""Bands of what lasted, and of where nobody polled."""

from __future__ import annotations

import pytest

from analyzer.results import Event
from reports.charts import marks
from tests.unit.reports import builders_analysis as build


def event(t_s: float, kind: str, host: str = "bal01") -> Event:
    return Event(t_s=t_s, host=host, kind=kind, detail="")


@pytest.mark.parametrize(
    ("events", "spans"),
    [
        ([event(1, "link-down"), event(3, "link-up")], [(1, 3)]),
        ([event(1, "link-down"), event(3, "link-up", "bal02")], [(1, 9)]),  # another host's
        ([event(1, "keepalived-kill"), event(2, "keepalived-start")], [(1, 2)]),
        ([event(1, "crash"), event(2, "boot"), event(4, "crash")], [(1, 2), (4, 9)]),
        ([event(1, "link-up"), event(2, "vrrp-master")], []),
    ],
)
def test_what_lasts_from_one_event_to_the_next(
    events: list[Event], spans: list[tuple[float, float]]
) -> None:
    assert [(span.start_s, span.end_s) for span in marks.spans(events, 9)] == spans


def test_a_gap_is_marked_once_for_each_director() -> None:
    (gap,) = marks.gaps(build.troubled().timeline.observed)
    assert gap.label == "no polls of bal01"
    assert gap.start_s < 6.0 < 9.5 < gap.end_s
