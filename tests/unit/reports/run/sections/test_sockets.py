"""The hosts' own sockets on the page and in the text."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from analyzer.charts.curves import SocketCurve
from analyzer.results import Estimate, SocketState
from reports.run.page import render_page
from reports.run.sections import sockets
from reports.run.text import summary_lines
from tests.unit.reports import builders_analysis as build
from tests.unit.reports.builders_figure import validated

if TYPE_CHECKING:
    from analyzer.report import Analysis

HOSTILE = "<b>client</b>"


def counted(host: str = "client", held_s: Estimate | None = None) -> Analysis:
    run = build.demo()
    curve = SocketCurve(
        host=host, state="TIME_WAIT", t_s=np.arange(4.0), count=np.array([0, 50, 50, 0])
    )
    state = SocketState(host=host, state="TIME_WAIT", peak=50, last=0, held_s=held_s)
    return replace(run, sockets=(state,), timeline=replace(run.timeline, sockets=(curve,)))


def test_a_run_that_counted_no_sockets_has_no_such_part() -> None:
    assert sockets.section(build.demo()) is None
    assert sockets.sentences(build.demo()) == []


def test_time_wait_stands_beside_what_the_director_held() -> None:
    run = counted(held_s=Estimate(value=60.5, uncertainty=1.0))
    section = sockets.section(run)
    assert section is not None
    (chart,) = section.charts
    sentence = "client had up to 50 sockets in TIME_WAIT, each for 60.50 s ± 1.00 s"
    assert chart.caption.startswith(sentence)
    names = [trace.name for trace in validated(chart.figure).data]
    assert names == ["client TIME_WAIT", "bal01 InActConn"]
    assert any(sentence in line for line in (" ".join(summary_lines(run)),))


def test_a_time_that_was_not_seen_is_not_claimed() -> None:
    (sentence,) = sockets.sentences(counted())
    assert sentence == "client had up to 50 sockets in TIME_WAIT; 0 at the last count"


def test_a_hosts_name_cannot_put_tags_on_the_page() -> None:
    page = render_page(counted(HOSTILE))
    assert HOSTILE not in page
