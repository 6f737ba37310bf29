"""When a drained real server may be rebooted, in words, on the terminal and on the page."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analyzer.results import SafeToReboot
from reports.run.page import render_page
from reports.run.reboots import sentence, sentences
from reports.run.text import summary_lines
from tests.unit.reports import builders_analysis as build

DAY = "2026-11-29"
SAFE = SafeToReboot(
    real_server="192.168.10.21",
    answer="safe",
    safe_after=f"{DAY}T04:55:19.101Z",
    gone_by=f"{DAY}T04:55:18.300Z",
    uncertainty_s=0.801,
    entries=3,
    why=(),
    directors=("bal01", "bal02"),
    all_services=True,
)
EMPTY = replace(SAFE, gone_by=None, uncertainty_s=None, entries=0)
REFUSED = replace(EMPTY, answer="not-safe", safe_after=None, why=("weight 1 on bal02",))


def test_an_instant_is_rounded_up_and_its_uncertainty_too() -> None:
    assert sentence(SAFE, DAY) == (
        "safe to reboot 192.168.10.21 after 04:55:20 UTC on all directors: its last entry is gone "
        "by 04:55:18.3 UTC ± 0.9 s, if no packet arrives"
    )


def test_a_whole_second_stays() -> None:
    whole = replace(SAFE, safe_after=f"{DAY}T04:55:19.000Z")
    assert "after 04:55:19 UTC on" in sentence(whole, DAY)


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (EMPTY, "since 04:55:20 UTC: it held no entry on any director"),
        (replace(EMPTY, directors=("bal01",)), "since 04:55:20 UTC: it held no entry on bal01"),
        (replace(SAFE, safe_after="2026-11-30T00:00:01.000Z"), "after 2026-11-30 00:00:01 UTC on"),
        (replace(SAFE, safe_after=f"{DAY}T23:59:59.500Z"), "after 2026-11-30 00:00:00 UTC on"),
        (
            replace(SAFE, safe_after="04:55:19.101", zone=None),
            "after 04:55:20 by the log's own clock on",
        ),
        (
            replace(SAFE, all_services=False),
            "after 04:55:20 UTC on all directors, as far as the recorded services go: its",
        ),
    ],
)
def test_when_it_is_safe(row: SafeToReboot, text: str) -> None:
    assert f"safe to reboot 192.168.10.21 {text}" in sentence(row, DAY)


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (REFUSED, "not safe to reboot 192.168.10.21: weight 1 on bal02"),
        (
            replace(REFUSED, answer="not-known", why=("entries of bal01 were not read",)),
            "not known when it is safe to reboot 192.168.10.21: entries of bal01 were not read",
        ),
        (
            replace(REFUSED, why=("a", "b", "c", "d")),
            "not safe to reboot 192.168.10.21: a; b; 2 more",
        ),
    ],
)
def test_why_it_is_not(row: SafeToReboot, text: str) -> None:
    assert sentence(row, DAY) == text


def test_very_many_are_counted() -> None:
    run = replace(build.demo(), safe_to_reboot=(SAFE,) * 60)
    assert len(sentences(run)) == 51
    assert sentences(run)[-1] == "and 10 more real servers (safe_to_reboot in --json)"


def test_the_page_and_the_terminal_have_the_line() -> None:
    hostile = replace(REFUSED, why=("weight 1 on <b>\x1b[31m",))
    run = replace(build.demo(), safe_to_reboot=(EMPTY, hostile))
    html, lines = render_page(run), "\n".join(summary_lines(run))
    assert "it held no entry on any director" in html
    assert "it held no entry on any director" in lines
    assert "weight 1 on &lt;b&gt;" in html
    assert "weight 1 on <b>\\x1b[31m" in lines


def test_a_run_without_drained_servers_has_no_line() -> None:
    assert "rebooted?" not in render_page(build.demo())
    assert "reboot" not in "\n".join(summary_lines(build.demo()))
