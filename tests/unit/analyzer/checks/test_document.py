"""The document of ``analyzer check --json``, and the line that sums judgements up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from analyzer.checks.document import summary, to_json
from analyzer.checks.judge import Judgement

if TYPE_CHECKING:
    from analyzer.checks.judge import Outcome


def judgement(outcome: Outcome) -> Judgement:
    return Judgement(text="failed=0", outcome=outcome, measured="3")


def test_a_check_is_null_where_there_is_no_reason_or_note() -> None:
    assert to_json([judgement("passed")], "runs/x") == {
        "schema_version": 1,
        "run": "runs/x",
        "passed": True,
        "summary": "1 of 1 hold",
        "checks": [
            {
                "name": "failed=0",
                "expectation": "failed=0",
                "outcome": "passed",
                "measured": "3",
                "why": None,
                "note": None,
            }
        ],
    }


@pytest.mark.parametrize(
    ("outcome", "passed"),
    [("passed", True), ("skipped", True), ("failed", False), ("not measured", False)],
)
def test_a_run_passes_without_failures_and_unmeasured_quantities(
    outcome: Outcome, passed: bool
) -> None:
    assert to_json([judgement("passed"), judgement(outcome)], "runs/x")["passed"] is passed


def test_the_summary_counts_each_outcome_and_judges_no_skipped_one() -> None:
    outcomes: list[Outcome] = ["skipped", "not measured", "failed", "passed", "failed"]
    expected = "1 of 4 hold; 2 failed; 1 not measured; 1 skipped"
    assert summary([judgement(outcome) for outcome in outcomes]) == expected
