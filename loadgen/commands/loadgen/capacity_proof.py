"""``loadgen capacity-proof``: a plan of VIPs, tried in a lab whose directors die in turn."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from loadgen.commands.types import BIT_RATE, FACTOR, SPAN, PathType
from loadgen.session.terminal import report_progress

if TYPE_CHECKING:
    from fractions import Fraction
    from pathlib import Path

    from analyzer.capacity.question import CapacityQuestion, Lists

PLAN_LIMIT_S = 20.0
PLANS = ("balanced", "all_active", "minimum")


@click.command("capacity-proof")
@click.option("--hosts", type=click.IntRange(2, 5), required=True, help="Directors.")
@click.option(
    "--link", "link_bps", type=BIT_RATE, required=True, help="Link rate of each director: 1G."
)
@click.option(
    "--ingress", "ingress_bps", type=BIT_RATE, required=True, help="Average traffic from clients."
)
@click.option(
    "--failures",
    type=click.IntRange(1, 4),
    default=1,
    show_default=True,
    help="Number of directors that are down at once.",
)
@click.option(
    "--plan", "plan_name", type=click.Choice(PLANS), help="Plan to try; by default the recommended."
)
@click.option(
    "--vips", type=click.IntRange(1, 60), help="Number of VIPs, with the best lists, not a plan."
)
@click.option(
    "--burst",
    type=FACTOR,
    default="1",
    show_default=True,
    help="Peak rate divided by the average rate, up to 2; peaks of half a second.",
)
@click.option(
    "--window",
    "window_s",
    type=SPAN,
    default="8s",
    show_default=True,
    help="Time measured before and after each loss; whole seconds.",
)
@click.option(
    "--kill",
    multiple=True,
    metavar="DIRECTOR",
    help="Director to kill (bal01); repeatable; by default each in turn.",
)
@click.option(
    "--name",
    "lab_name",
    default="capacity",
    show_default=True,
    help="Name of the lab, which is made for the proof and taken down after it.",
)
@click.option("-o", "output", type=PathType(), help="Run directory.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON document.")
def capacity_proof(
    window_s: float,
    kill: tuple[str, ...],
    lab_name: str,
    output: Path | None,
    as_json: bool,
    **options: Any,
) -> int:
    """Test a plan of VIPs in a new lab, losing directors.

    Each director is killed in turn, under scaled traffic.

    Links and traffic are a hundredth of the given rates (10 Mbit/s for 1 Gbit/s). Shows what each
    director carried, lost and delayed before and after each loss, beside the computed values. Exit
    code 99 if a share differs by more than 3 % from the computed one.
    """
    from loadgen.capacity_proof.conclude import conclude_proof, exit_code, print_proof
    from loadgen.capacity_proof.prove import ProofOptions, prove_plan
    from loadgen.lab.state import lab_names
    from loadgen.lab.system import rootless
    from loadgen.session.files import new_run_directory

    plan_name, vips = options.pop("plan_name"), options.pop("vips")
    _check(window_s, options["burst"])
    lists = _lists(_question(options), plan_name, vips)
    rootless.enter(start=True)
    proving = ProofOptions(
        question=_question(options),
        lists=lists,
        window_s=window_s,
        kill=kill,
        directory=output or new_run_directory("capacity-proof"),
        command_line=sys.argv[1:],
        lab_name=lab_name,
    )
    try:
        ended = prove_plan(proving, report_progress)
    finally:
        rootless.leave_if_empty(bool(lab_names()))
    proof, page = conclude_proof(proving.directory)
    print_proof(proof, page, as_json=as_json)
    return exit_code(proof, ended)


def _check(window_s: float, burst: Fraction) -> None:
    from analyzer.capacity.queue import MAX_BURST

    if window_s != int(window_s):
        raise click.BadParameter("expected whole seconds, such as 8s", param_hint="--window")
    if burst > MAX_BURST:
        raise click.BadParameter(
            f"expected at most {MAX_BURST:g}: it lasts half of the time", param_hint="--burst"
        )


def _question(options: dict[str, Any]) -> CapacityQuestion:
    from analyzer.capacity.question import CapacityQuestion

    return CapacityQuestion(**options)


def _lists(question: CapacityQuestion, plan_name: str | None, vips: int | None) -> Lists:
    """The lists of the plan that was named, or of the number of VIPs."""
    import time

    from loadgen.capacity_proof.choice import lists_of_plan, lists_of_vips
    from loadgen.commands.solver import kept_off_stdout

    if plan_name and vips:
        raise click.UsageError("--plan and --vips: name one of them")
    if question.failures >= question.hosts:
        raise click.UsageError(f"--failures: expected fewer than {question.hosts} directors")
    began_s = time.monotonic()

    def left_s() -> float:
        return PLAN_LIMIT_S - (time.monotonic() - began_s)

    with kept_off_stdout():
        return (
            lists_of_vips(question, vips, left_s)
            if vips
            else lists_of_plan(question, plan_name, left_s)
        )
