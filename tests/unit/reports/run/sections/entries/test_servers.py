"""Shares against weights, and what was held of each real server."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from markupsafe import escape

from analyzer.charts.values import Share
from reports.run.page import render_page
from reports.run.sections.entries import servers
from tests.unit.reports import builders_analysis as build
from tests.unit.reports.builders_figure import validated

if TYPE_CHECKING:
    from analyzer.report import Analysis


def with_servers(*rows: Share, **more: Any) -> Analysis:
    run = build.demo()
    one = replace(run.pictures.shares[0], servers=rows or run.pictures.shares[0].servers, **more)
    return replace(run, pictures=replace(run.pictures, shares=(one,)))


def test_bars_are_shares_and_marks_are_weights() -> None:
    uneven = (
        Share(real_server="a:80", weight=3.0, entries=60, expected=75.0, states={"FIN_WAIT": 9}),
        Share(real_server="b:80", weight=1.0, entries=40, expected=25.0, states={}),
    )
    shares, held = servers.section(with_servers(*uneven, p=0.0005)).charts
    bars, marks = validated(shares.figure).data
    assert (list(bars.x), list(marks.x)) == ([60, 40], [75, 25])
    assert shares.caption.startswith("The shares differ from the weights: chi-square p = 0.0005.")
    assert [list(t.x) for t in validated(held.figure).data] == [[9, 0]]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"p": 0.4}, "The shares agree with the weights: chi-square p = 0.4."),
        ({"p": None, "why_no_test": "all weights are 0"}, "Not tested against the weights: all"),
        ({"p": None}, "A real server of weight 0 got connections"),
    ],
)
def test_the_test_for_imbalance_is_said_in_words(changes: dict[str, Any], said: str) -> None:
    one = replace(build.demo().pictures.shares[0], **changes)
    assert servers.verdict(one).startswith(said)


def test_many_real_servers_are_drawn_in_part_and_listed_in_full() -> None:
    rows = [
        Share(real_server=f"10.0.0.{i}:80", weight=1.0, entries=i, expected=20.0, states={})
        for i in range(40)
    ]
    chart = servers.section(with_servers(*rows)).charts[0]
    assert chart.table is not None
    assert (len(validated(chart.figure).data[0].y), len(chart.table.rows)) == (servers.SERVERS, 40)
    assert "16 real servers with fewer entries not shown" in chart.caption


def test_nothing_seen_draws_nothing() -> None:
    assert servers.section(build.nothing()).charts == ()


def test_of_many_services_the_other_tables_stand_in_lines() -> None:
    run = build.demo()
    (table, *_) = run.timeline.peaks
    many = tuple(replace(table, port=port) for port in range(1, 5001))
    run = replace(run, timeline=replace(run.timeline, peaks=many))
    section = servers.section(run)
    assert section.facts["tables"] == many[: servers.TABLES]
    assert section.facts["more"] == 5000 - servers.TABLES
    lines = section.facts["rest"].splitlines()
    row = table.rows[0]
    assert lines[0].startswith(f"{table.director}: {table.protocol} {table.vip}:25 ")
    assert lines[1] == (
        f"  -> {row.real_server}:{row.real_port} {row.forwarding} {row.weight} {row.active} "
        f"{row.inactive}"
    )
    assert len(lines) == (5000 - servers.TABLES) * (1 + len(table.rows))
    assert escape(section.facts["rest"]) in render_page(run)


def test_lines_of_other_tables_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "REST_CHARACTERS", 1000)
    run = build.demo()
    (table, *_) = run.timeline.peaks
    many = tuple(replace(table, scheduler="x" * 100_000) for _ in range(1000))
    section = servers.section(replace(run, timeline=replace(run.timeline, peaks=many)))
    rest = section.facts["rest"]
    assert len(rest) < 1100
    assert " more services" in rest.splitlines()[-1]
