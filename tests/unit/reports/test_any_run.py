"""However long and wide a run was, its page stays small and is made soon."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from analyzer.charts.curves import Curve
from analyzer.results import Event
from reports.run.page import render_page
from tests.unit.reports import builders_analysis as build

if TYPE_CHECKING:
    from analyzer.report import Analysis

POLLS = 20_000
MB = 1_000_000


def wide(directors: int, servers: int, polls: int) -> Analysis:
    """Noise on every real server of every director, with a gap after every hundredth poll."""
    run, random = build.demo(), np.random.default_rng(3)
    t_s = np.arange(polls) * 0.25 + 5.0 * (np.arange(polls) // 100)
    curves = [
        Curve(
            director=f"director-{d}",
            real_server=f"[2001:db8:{d:x}::{s:x}]:8080",
            t_s=t_s,
            active=random.integers(0, 10**6, polls),
            inactive=random.integers(0, 10**6, polls),
        )
        for d in range(directors)
        for s in range(servers)
    ]
    events = tuple(
        Event(t_s=float(t), host=f"h{i % 9}", kind="link-down", detail="x" * 80)
        for i, t in enumerate(np.linspace(0, t_s[-1], 20_000))
    )
    ended = np.sort(random.uniform(0, t_s[-1], 200_000))
    timeline = replace(
        run.timeline,
        end_s=float(t_s[-1]),
        request_ended_s=ended,
        request_failed=random.random(ended.size) < 0.3,
        connect_ms=random.gamma(2, 2, ended.size),
        first_byte_ms=random.gamma(2, 3, ended.size),
        total_ms=random.gamma(2, 4, ended.size),
        marks={"SYN": ended, "FIN": ended, "RST": ended[::7]},
        observed=tuple(curves),
        predicted=tuple(curves),
        events=events,
        peaks=tuple(replace(run.timeline.peaks[0], director=f"d{i}") for i in range(500)),
    )
    return replace(run, timeline=timeline)


@pytest.mark.parametrize(
    ("directors", "servers", "polls"), [(1, 1, POLLS), (2, 40, POLLS // 10), (20, 4, POLLS // 10)]
)
def test_the_page_of_any_run_is_less_than_6_mb(directors: int, servers: int, polls: int) -> None:
    run = wide(directors, servers, polls)
    began_s = time.process_time()
    html = render_page(run)
    assert len(html.encode()) < 6 * MB
    assert time.process_time() - began_s < 15
