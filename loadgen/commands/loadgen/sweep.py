"""``loadgen sweep``: the same burst under several values of tcpfin, and the old ones back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from loadgen.commands.loadgen.capture_options import CaptureFlags, capture_given, capture_options
from loadgen.commands.loadgen.director_options import (
    director_cpu_option,
    director_option,
    keep_timeouts_option,
    lab_of_vip_option,
)
from loadgen.commands.loadgen.load_options import (
    LoadOptions,
    load_options,
    without_credentials,
)
from loadgen.commands.loadgen.load_plan import plan_of
from loadgen.commands.options import options_as
from loadgen.commands.types import SECONDS_LIST, WAYS, PathType
from loadgen.session.terminal import print_document, print_lines, report_progress

if TYPE_CHECKING:
    from fractions import Fraction
    from pathlib import Path

    from loadgen.burst.burst import BurstOptions
    from loadgen.director.timeouts.restore import LeftTimeouts
    from loadgen.load.plan import LoadPlan
    from loadgen.sweep.sweep import Swept


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepFlags:
    """The flags of a sweep, but for its values, ways and outputs."""

    load: LoadOptions
    capture: CaptureFlags
    directors: tuple[str, ...]
    lab_name: str | None
    allow_changes: bool
    director_cpu: Fraction
    left_timeouts: LeftTimeouts
    no_color: bool


@click.command()
@load_options
@click.option(
    "--tcpfin",
    "values_s",
    type=SECONDS_LIST,
    required=True,
    metavar="S,S,...",
    help="Values of tcpfin in seconds: 10,30,60,120.",
)
@click.option(
    "--forwarding",
    "ways",
    type=WAYS,
    metavar="WAY,WAY,...",
    help="Also sweep over dr, nat, tun, each in a lab of its own.",
)
@director_option
@click.option(
    "--allow-changes",
    is_flag=True,
    help="Allow setting tcpfin on these directors during the sweep; not needed in a lab.",
)
@lab_of_vip_option
@director_cpu_option
@keep_timeouts_option
@capture_options
@click.option("-o", "output", type=PathType(), help="Folder for the runs.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as one JSON document.")
@click.option("--no-color", is_flag=True, help="No colours in the progress bars.")
def sweep(
    values_s: tuple[int, ...],
    ways: tuple[str, ...] | None,
    output: Path | None,
    as_json: bool,
    **values: Any,
) -> int:
    """Repeat a burst under several values of tcpfin.

    Reports what each value costs, and how small tcpfin may be.

    The old timeouts are restored whatever happens; after a kill -9, by the next command on that
    director.
    """
    import sys

    from loadgen.burst.burst import BurstOptions
    from loadgen.session.files import new_run_directory

    options = options_as(
        SweepFlags,
        values,
        load=options_as(LoadOptions, values),
        capture=options_as(CaptureFlags, values),
    )
    plan, why = plan_of(options.load)
    watching = BurstOptions(
        directory=output or new_run_directory("sweep"),
        command_line=without_credentials(sys.argv[1:]),
        capture=capture_given(options.capture),
        observe_s=None,
        timeouts=None,
        why_engine=why,
        director_cpu=float(options.director_cpu),
        left_timeouts=options.left_timeouts,
    )
    if ways:
        swept = _in_labs(plan, values_s, ways, watching, options)
    else:
        swept = _here(plan, values_s, watching, options)
    return _report(watching.directory, swept, as_json=as_json)


def _here(
    plan: LoadPlan, values_s: tuple[int, ...], watching: BurstOptions, options: SweepFlags
) -> Swept:
    """On the directors that were named, or the running lab's."""
    import asyncio

    import uvloop

    from loadgen.load.preflight import check_consent, check_means
    from loadgen.sites import find_site, stand_in
    from loadgen.sweep.sweep import check_allowed, sweep

    vip, *others = plan.vips
    capture_on = options.capture.capture_on
    site = find_site(vip, options.directors, options.lab_name, (), capture_on, also=others)
    check_allowed(site, options.directors, values_s, plan, allowed=options.allow_changes)
    check_consent(plan, in_lab=site.lab is not None, agreed=options.load.agreed)
    stand_in(site, ", ".join(plan.vips), report_progress)
    check_means(plan)
    color = not options.no_color
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(sweep(plan, site, values_s, watching, color=color, say=report_progress))


def _in_labs(
    plan: LoadPlan,
    values_s: tuple[int, ...],
    ways: tuple[str, ...],
    watching: BurstOptions,
    options: SweepFlags,
) -> Swept:
    """In a lab for each way of forwarding."""
    from loadgen.sweep.forwarding import LAB_NAME, WaysOrder, check_is_ours, sweep_ways

    check_is_ours(plan, options.directors)
    order = WaysOrder(
        plan=plan,
        values_s=values_s,
        ways=ways,
        options=watching,
        capture_on=options.capture.capture_on,
        color=not options.no_color,
        lab_name=options.lab_name or LAB_NAME,
    )
    return sweep_ways(order, report_progress)


def _report(folder: Path, swept: Swept, *, as_json: bool) -> int:
    """What was measured is reported, however the sweep ended; what is owed comes last."""
    from analyzer.documents import to_json
    from analyzer.recording.directory import Recording
    from loadgen.errors import INTERRUPTED_EXIT_CODE, RunFailed
    from loadgen.session.output.conclude import conclude_sweep
    from reports.run.text import directors_line

    if swept.runs:
        comparison, page, lines = conclude_sweep(folder, pages_of_runs=True)
        if as_json:
            print_document(to_json(comparison))
        manifests = [Recording.open(path).manifest for _, path in swept.runs]
        directors = dict.fromkeys(
            line for manifest in manifests for line in directors_line(manifest)
        )
        print_lines((*lines, "", *directors, f"page: {page}", folder), err=as_json)
    if swept.not_restored:
        raise RunFailed("\n".join(swept.not_restored))
    if swept.error is not None:
        raise swept.error
    return INTERRUPTED_EXIT_CODE if swept.ended == "interrupted" else 0
