"""The fail-over's part of the page: who sees it, and what it says first."""

from __future__ import annotations

from dataclasses import replace

from reports.run.page import render_page
from reports.run.sections import failover
from tests.unit.reports import builders_analysis as build
from tests.unit.reports.run.sections.failover.builders_failover import FAILOVER, RUN, mastership


def test_a_run_that_was_no_failover_has_no_such_part() -> None:
    assert failover.section(build.demo()) is None


def test_an_invalid_run_says_so_before_any_figure() -> None:
    made = failover.section(
        replace(RUN, failover=replace(FAILOVER, valid=False, why_invalid="two holders"))
    )
    assert made is not None
    assert made.summary.startswith("This run is invalid: two holders")


def test_a_name_from_the_wire_cannot_become_markup() -> None:
    evil = "<img src=x onerror=alert(1)>"
    html = render_page(
        replace(
            RUN,
            failover=replace(FAILOVER, old_master=evil, reigns=(mastership(evil, 1.0, 5.0, 0),)),
        )
    )
    assert "<img" not in html
