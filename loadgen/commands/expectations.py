"""Expectations as commands take them: read before anything is done, judged and printed after it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from analyzer.checks.grammar import parse_expectation
from analyzer.checks.judge import known
from analyzer.checks.policy import Policy, parse_policy
from loadgen.errors import CheckFailed, UsageProblem
from loadgen.session.files import read_text, write_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from analyzer.checks.judge import Judgement

MAX_POLICY_BYTES = 1 << 20


def read_policy(texts: Sequence[str], path: Path | None) -> Policy:
    """The expectations of a policy file, then those of the command line; each is known to us.

    Raises:
        UsageProblem: the file cannot be read.
        ExpectationError: one is not understood, or of a quantity that nobody knows.
    """
    policy = Policy(expectations=())
    if path:
        policy = parse_policy(read_text(path, MAX_POLICY_BYTES), str(path))
    expectations = (*policy.expectations, *map(parse_expectation, texts))
    for expectation in expectations:
        known(expectation)
    return replace(policy, expectations=expectations)


def write_junit(path: Path, judgements: Sequence[Judgement], run: str) -> None:
    """Write JUnit XML.

    Raises:
        UsageProblem: it cannot be written there.
    """
    from reports.export.checks import junit

    write_text(path, junit(judgements, run))


def exit_code(judgements: Sequence[Judgement]) -> int:
    """What was not measured is never a pass, and weighs more than what failed."""
    outcomes = {judgement.outcome for judgement in judgements}
    if "not measured" in outcomes:
        return UsageProblem.exit_code
    return CheckFailed.exit_code if "failed" in outcomes else 0
