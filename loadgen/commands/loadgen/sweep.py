"""``loadgen sweep``: the same burst under several values of tcpfin, and the old ones back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from loadgen.commands.loadgen.capture_options import capture_options, capture_told
from loadgen.commands.loadgen.director_options import (
    director_cpu_option,
    director_option,
    keep_timeouts_option,
    lab_of_vip_option,
)
from loadgen.commands.loadgen.load_options import load_options, plan_of, without_credentials
from loadgen.commands.types import SECONDS_LIST

if TYPE_CHECKING:
    from loadgen.sweep import Swept


@click.command()
@load_options
@click.option(
    "--tcpfin",
    "values_s",
    type=SECONDS_LIST,
    required=True,
    metavar="S,S,...",
    help="The values, in seconds: 10,30,60,120.",
)
@director_option
@click.option(
    "--allow-changes",
    is_flag=True,
    help="Yes, set tcpfin on these directors for a while; not needed in a lab.",
)
@lab_of_vip_option
@director_cpu_option
@keep_timeouts_option
@capture_options
@click.option("-o", "output", type=click.Path(path_type=Path), help="The folder of the runs.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as one JSON document.")
@click.option("--no-color", is_flag=True, help="No colours in the progress bars.")
def sweep(
    values_s: tuple[int, ...],
    directors: tuple[str, ...],
    allow_changes: bool,
    lab_name: str | None,
    output: Path | None,
    as_json: bool,
    no_color: bool,
    **options: Any,
) -> int:
    """Fire the same burst under several values of tcpfin, and say how small it may be.

    Each director gets its old timeouts back whatever happens; after a kill -9, by the next
    command on it.
    """
    import asyncio
    import sys

    import uvloop

    from loadgen.burst import BurstOptions, new_run_directory
    from loadgen.preflight import check_consent, check_means
    from loadgen.sites import find_site, stand_in
    from loadgen.sweep import check_allowed
    from loadgen.sweep import sweep as run_sweep

    plan, why = plan_of(options)
    site = find_site(plan.target.vip, directors, lab_name, (), options["capture_on"])
    check_allowed(site, directors, values_s, plan, allowed=allow_changes)
    watching = BurstOptions(
        directory=output or new_run_directory("sweep"),
        command_line=without_credentials(sys.argv[1:]),
        capture=capture_told(options),
        observe_s=None,
        timeouts=None,
        why_engine=why,
        director_cpu=float(options["director_cpu"]),
        left_timeouts=options["left_timeouts"],
    )
    check_consent(plan, in_lab=site.lab is not None, agreed=options["agreed"])
    stand_in(site, plan.target.vip, _say)
    check_means(plan)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        swept = runner.run(run_sweep(plan, site, values_s, watching, color=not no_color, say=_say))
    return _report(watching.directory, swept, as_json=as_json)


def _say(line: str) -> None:
    click.echo(line, err=True)


def _report(folder: Path, swept: Swept, *, as_json: bool) -> int:
    """What was measured is reported, however the sweep ended; what is owed comes last."""
    from analyzer.sweep.results import to_json
    from loadgen.conclude import conclude_sweep
    from loadgen.errors import INTERRUPTED_EXIT_CODE, RunFailed
    from reports.sweep_text import summary_lines
    from reports.text import printable

    if swept.runs:
        found, page = conclude_sweep(folder, pages_of_runs=True)
        if as_json:
            click.echo(json.dumps(to_json(found), ensure_ascii=False, allow_nan=False))
        for line in (*summary_lines(found), "", f"page: {page}", str(folder)):
            click.echo(printable(line), err=as_json)
    if swept.owing:
        raise RunFailed("\n".join(swept.owing))
    if swept.error is not None:
        raise swept.error
    return INTERRUPTED_EXIT_CODE if swept.ended == "interrupted" else 0
