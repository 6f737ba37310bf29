"""``analyzer check``: expectations of a run; exit code 99 if one does not hold."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from loadgen.commands.types import PathType
from loadgen.session.terminal import (
    print_document,
    print_line,
    print_lines,
    print_verbatim,
    print_workflow_command,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.checks.judge import Judgement
    from analyzer.report import Analysis


@click.command()
@click.argument("run", type=PathType(), required=False)
@click.option(
    "--expect",
    "expected",
    multiple=True,
    metavar="EXPECTATION",
    help="Expectation, such as 'tcpfin=30±1s', 'inactive_peak<=1200', 'state(FIN_WAIT)>=99%'; "
    "repeatable.",
)
@click.option(
    "--policy",
    type=PathType(dir_okay=False),
    help="TOML file of expectations with names and notes.",
)
@click.option(
    "--baseline",
    type=PathType(),
    help="Earlier run of the same load: settings, measurements and findings must match it.",
)
@click.option(
    "--tolerance",
    metavar="SHARE",
    help="Tolerance of peaks and latencies against the baseline.  [the policy's, else 10%]",
)
@click.option(
    "--format",
    "style",
    type=click.Choice(["text", "tap", "github"]),
    default="text",
    show_default=True,
    help="text: lines; tap: TAP; github: annotations and a step summary.",
)
@click.option("--junit", type=PathType(dir_okay=False), help="Write JUnit XML to this file.")
@click.option("--json", "as_json", is_flag=True, help="Print the checks as one JSON document.")
@click.option(
    "--quantities", is_flag=True, help="List all quantities that can be checked, and exit."
)
def check(
    run: Path | None,
    expected: Sequence[str],
    policy: Path | None,
    baseline: Path | None,
    tolerance: str | None,
    style: str,
    junit: Path | None,
    as_json: bool,
    quantities: bool,
) -> int:
    """Check RUN against expectations or an earlier run.

    Exit code 0 if all hold, 99 if one does not, 2 if one is not understood or its quantity was
    not measured in this run.
    """
    if quantities:
        return _list_quantities()
    from analyzer.analysis import analyse
    from analyzer.checks.judge import judge_all
    from analyzer.recording.directory import Recording
    from loadgen.commands.expectations import exit_code, read_policy, write_junit
    from loadgen.errors import UsageProblem

    if run is None:
        raise click.UsageError("Missing argument 'RUN'.")
    if tolerance and not baseline:
        raise UsageProblem("--tolerance applies to a comparison: expected --baseline RUN with it")
    checks = read_policy(expected, policy)
    if not checks.expectations and not baseline:
        raise UsageProblem(
            "nothing to check: expected --expect EXPECTATION, --policy FILE or --baseline RUN"
        )
    share = _share(tolerance or checks.tolerance)
    analysis = analyse(Recording.open(run))
    judgements = judge_all(checks.expectations, analysis)
    if baseline:
        judgements += _against(baseline, analysis, share)
    _show(judgements, str(run), style=style, as_json=as_json)
    if junit:
        write_junit(junit, judgements, str(run))
    return exit_code(judgements)


def _share(text: str | None) -> float:
    from analyzer.checks.baseline import DEFAULT_TOLERANCE, parse_tolerance

    return parse_tolerance(text) if text else DEFAULT_TOLERANCE


def _against(path: Path, analysis: Analysis, tolerance: float) -> list[Judgement]:
    from analyzer.analysis import analyse
    from analyzer.checks.baseline import judge_against, nothing_compared
    from analyzer.recording.directory import Recording
    from loadgen.errors import UsageProblem

    judgements = judge_against(analyse(Recording.open(path)), analysis, tolerance)
    if nothing_compared(judgements):
        raise UsageProblem(f"--baseline {path}: nothing in it can be compared with this run")
    return judgements


def _show(judgements: Sequence[Judgement], run: str, *, style: str, as_json: bool) -> None:
    from analyzer.checks.document import to_json
    from reports.export import checks

    if as_json:
        print_document(to_json(judgements, run))
        return
    styles: dict[str, Any] = {"tap": checks.tap, "text": checks.lines, "github": checks.lines}
    show = print_lines if style == "text" else print_verbatim
    show(styles[style](judgements))
    if style == "github":
        for line in checks.github_annotations(judgements):
            print_workflow_command(line)
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


def _list_quantities() -> int:
    from analyzer.checks.quantities import QUANTITIES

    for name, quantity in QUANTITIES.items():
        shown = f"{name}({quantity.arguments})" if quantity.arguments else name
        print_line(f"{shown:<34}{quantity.kind:<8}{quantity.meaning}")
    print_line(
        f"{'connect_p99, first_byte_p50, …':<34}{'time':<8}"
        "of connect, first_byte or total: p0 to p99.999, or max"
    )
    return 0
