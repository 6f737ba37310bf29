"""The options of a command that judges its own run, and what they come to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from loadgen.commands.types import PathType

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from analyzer.checks.grammar import Expectation
    from analyzer.checks.live import Limit
    from analyzer.report import Analysis

_OPTIONS = (
    click.option(
        "--expect",
        "expected",
        multiple=True,
        metavar="EXPECTATION",
        help="Expectation of the run, such as 'tcpfin=30±1s'; exit code 99 if it does not hold; "
        "repeatable.",
    ),
    click.option(
        "--policy",
        type=PathType(dir_okay=False),
        help="TOML file of expectations with names and notes.",
    ),
    click.option(
        "--junit",
        type=PathType(dir_okay=False),
        help="Write the results of the expectations as JUnit XML.",
    ),
    click.option(
        "--abort-on",
        "abort_on",
        multiple=True,
        metavar="LIMIT",
        help="Stop the run with exit code 99 as soon as 'failed>10', 'failed_share>=5%', "
        "'active_peak>N' or "
        "'inactive_peak>N'; repeatable.",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckFlags:
    """The flags of a command that judges its own run, as given."""

    expected: tuple[str, ...]
    policy: Path | None
    junit: Path | None
    abort_on: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    """What a run is held to; ``junit`` is where the results are written."""

    expectations: tuple[Expectation, ...]
    limits: tuple[Limit, ...]
    junit: Path | None

    def judge(self, analysis: Analysis, *, err: bool) -> int:
        """Set the expectations beside the run, print a line each, and give the exit code."""
        if not self.expectations:
            return 0
        from analyzer.checks.judge import judge_all
        from loadgen.commands.expectations import exit_code, write_junit
        from loadgen.session.terminal import print_lines
        from reports.export.checks import lines

        judgements = judge_all(self.expectations, analysis)
        print_lines((*lines(judgements), ""), err=err)
        if self.junit:
            write_junit(self.junit, judgements, analysis.run)
        return exit_code(judgements)


def check_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command that judges its own run."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def checks_given(flags: CheckFlags) -> Checks:
    """What these flags come to, understood before anything is sent.

    Raises:
        ExpectationError: one is not understood, or of a quantity that nobody knows.
        UsageProblem: a file cannot be read, or options that do not go together.
    """
    from analyzer.checks.live import parse_limit
    from loadgen.commands.expectations import read_policy
    from loadgen.errors import UsageProblem

    expectations = read_policy(flags.expected, flags.policy).expectations
    if flags.junit and not expectations:
        raise UsageProblem("--junit: nothing to report; expected --expect or --policy with it")
    return Checks(
        expectations=expectations,
        limits=tuple(parse_limit(text) for text in flags.abort_on),
        junit=flags.junit,
    )
