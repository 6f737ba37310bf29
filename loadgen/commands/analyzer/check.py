"""``analyzer check``: expectations of a run; exit code 99 if one does not hold."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.checks.grammar import Expectation
    from analyzer.checks.judge import Judgement

MAX_POLICY_BYTES = 1 << 20


@click.command()
@click.argument("run", type=click.Path(path_type=Path), required=False)
@click.option(
    "--expect",
    "expected",
    multiple=True,
    metavar="EXPECTATION",
    help="Such as 'tcpfin=30±1s', 'inactive_peak<=1200', 'state(FIN_WAIT)>=99%'; repeatable.",
)
@click.option(
    "--policy",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A TOML file of expectations with names and notes.",
)
@click.option(
    "--format",
    "style",
    type=click.Choice(["text", "tap", "github"]),
    default="text",
    show_default=True,
    help="Lines; TAP; or GitHub's annotations, with a step summary.",
)
@click.option(
    "--junit", type=click.Path(path_type=Path, dir_okay=False), help="Write JUnit XML there."
)
@click.option("--json", "as_json", is_flag=True, help="Print the checks as one JSON document.")
@click.option("--quantities", is_flag=True, help="List all that may be expected, and end.")
def check(
    run: Path | None,
    expected: Sequence[str],
    policy: Path | None,
    style: str,
    junit: Path | None,
    as_json: bool,
    quantities: bool,
) -> int:
    """Check a RUN against expectations.

    Exit code 0 if all hold, 99 if one does not, 2 if one is not understood or its quantity was
    not measured in this run.
    """
    if quantities:
        return _list_quantities()
    from analyzer.analysis import analyse
    from analyzer.checks.judge import judge_all
    from analyzer.recording import Recording
    from loadgen.errors import UsageProblem

    if run is None:
        raise click.UsageError("Missing argument 'RUN'.")
    expectations = _expectations(expected, policy)
    if not expectations:
        raise UsageProblem("nothing to check: expected --expect EXPECTATION or --policy FILE")
    judgements = judge_all(expectations, analyse(Recording.open(run)))
    _show(judgements, str(run), style=style, as_json=as_json)
    if junit:
        from loadgen.commands.files import write_text
        from reports.checks import junit as to_junit

        write_text(junit, to_junit(judgements, str(run)))
    return _exit_code(judgements)


def _expectations(texts: Sequence[str], policy: Path | None) -> list[Expectation]:
    from analyzer.checks.grammar import parse_expectation
    from analyzer.checks.policy import parse_policy
    from loadgen.commands.files import read_text

    from_file: tuple[Expectation, ...] = ()
    if policy:
        text = read_text(policy, MAX_POLICY_BYTES)
        from_file = parse_policy(text, str(policy)).expectations
    return [*from_file, *map(parse_expectation, texts)]


def _show(judgements: Sequence[Judgement], run: str, *, style: str, as_json: bool) -> None:
    from reports import checks

    if as_json:
        click.echo(json.dumps(checks.to_json(judgements, run), ensure_ascii=False))
        return
    styles: dict[str, Any] = {"tap": checks.tap, "text": checks.lines, "github": checks.lines}
    for line in styles[style](judgements):
        click.echo(line)
    if style == "github":
        for line in checks.github_annotations(judgements):
            click.echo(line)
        _append_step_summary(checks.step_summary(judgements, run))


def _append_step_summary(text: str) -> None:
    """To the file that GitHub's runner names; nowhere outside it."""
    from loadgen.errors import UsageProblem

    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if not path:
        return
    try:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise UsageProblem(f"GITHUB_STEP_SUMMARY {path}: {error.strerror}") from error


def _exit_code(judgements: Sequence[Judgement]) -> int:
    """What was not measured is never a pass, and weighs more than what failed."""
    from loadgen.errors import CheckFailed, UsageProblem

    outcomes = {one.outcome for one in judgements}
    if "not measured" in outcomes:
        return UsageProblem.exit_code
    return CheckFailed.exit_code if "failed" in outcomes else 0


def _list_quantities() -> int:
    from analyzer.checks.quantities import QUANTITIES

    for name, quantity in QUANTITIES.items():
        shown = f"{name}({quantity.arguments})" if quantity.arguments else name
        click.echo(f"{shown:<34}{quantity.kind:<8}{quantity.meaning}")
    click.echo(
        f"{'connect_p99, first_byte_p50, …':<34}{'time':<8}"
        "of connect, first_byte or total: p0 to p99.999, or max"
    )
    return 0
