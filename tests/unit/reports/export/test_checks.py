"""Judgements in the forms that pipelines read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from junitparser import Error, Failure, JUnitXml

from analyzer.checks.judge import Judgement
from reports.export import checks

if TYPE_CHECKING:
    from analyzer.checks.judge import Outcome

HOSTILE = "a|b\n::error::x %0A <script> & ]]> \x00\x1b[31m # ` ☃"


def judgement(outcome: Outcome, name: str = "", why: str = "") -> Judgement:
    return Judgement(text="failed=0", outcome=outcome, measured="3", why=why, name=name)


ALL = [
    judgement("passed"),
    judgement("failed", why="expected failed=0, measured 3"),
    judgement("not measured", why="no requests were sent"),
]


def test_every_line_begins_with_the_outcome() -> None:
    assert checks.lines(ALL) == [
        "ok            failed=0: 3",
        "FAILED        failed=0: 3",
        "NOT MEASURED  failed=0: no requests were sent",
        "1 of 3 hold; 1 failed; 1 not measured",
    ]


def test_what_went_wrong_stands_last_and_in_the_order_given() -> None:
    shown = checks.lines([*ALL[::-1], judgement("skipped")])
    assert [line.split()[0] for line in shown[:-1]] == ["ok", "skipped", "NOT", "FAILED"]


def test_junit_tells_what_failed_from_what_nobody_measured() -> None:
    suites = JUnitXml.fromstring(checks.junit(ALL, "runs/x").encode())
    suite = next(iter(suites))
    results = [case.result for case in suite]
    assert (suite.tests, suite.failures, suite.errors) == (3, 1, 1)
    assert results[0] == []
    assert isinstance(results[1][0], Failure)
    assert isinstance(results[2][0], Error)


def test_what_was_skipped_is_neither_a_pass_nor_a_failure() -> None:
    both = [judgement("passed"), judgement("skipped", why="too few")]
    assert checks.lines(both)[1:] == ["skipped  failed=0: too few", "1 of 1 hold; 1 skipped"]
    assert checks.tap(both)[4:] == ["ok 2 - failed=0 # SKIP", "# too few"]
    suite = next(iter(JUnitXml.fromstring(checks.junit(both, "runs/x").encode())))
    assert (suite.skipped, suite.failures, suite.errors) == (1, 0, 0)
    assert checks.github_annotations(both) == []


def test_tap_numbers_its_tests() -> None:
    shown = checks.tap(ALL)
    assert shown[:2] == ["TAP version 13", "1..3"]
    assert [line.split(" - ")[0] for line in shown if "ok" in line] == [
        "ok 1",
        "not ok 2",
        "not ok 3",
    ]


def test_github_gets_an_error_for_each_that_does_not_hold() -> None:
    assert checks.github_annotations(ALL) == [
        "::error title=failed=0::expected failed=0, measured 3",
        "::error title=failed=0::not measured: no requests were sent",
    ]


@pytest.mark.parametrize("outcome", ["passed", "failed", "not measured"])
def test_hostile_texts_stay_texts(outcome: Outcome) -> None:
    hostile = [judgement(outcome, name=HOSTILE, why=HOSTILE)]
    assert len(checks.tap(hostile)) == 4
    assert all("\n" not in line for line in checks.lines(hostile))
    for line in checks.github_annotations(hostile):
        assert line.startswith("::error title=")
        assert "\n" not in line
        assert line.count("::") == 2 + HOSTILE.count("::")  # the message may hold them, it is last
    table = checks.step_summary(hostile, HOSTILE)
    row = next(line for line in table.splitlines() if "script" in line)
    assert "\\<script\\>" in row
    assert row.replace("\\|", "").count("|") == 4


@given(st.text(), st.text())
def test_any_text_makes_sound_xml(name: str, why: str) -> None:
    text = checks.junit([judgement("failed", name=name, why=why)], why)
    assert JUnitXml.fromstring(text.encode())
