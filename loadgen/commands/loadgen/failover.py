"""``loadgen failover``: keep connecting while the master director fails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from loadgen.commands.load_types import HOST
from loadgen.commands.loadgen.capture_options import CaptureFlags, capture_given, capture_options
from loadgen.commands.loadgen.director_options import (
    LINK_METAVAR,
    LINKS,
    keep_timeouts_option,
    timeouts_option,
)
from loadgen.commands.options import options_as
from loadgen.commands.types import DURATION, METHOD, RATE, SPAN, URL_PATH, PathType

if TYPE_CHECKING:
    from pathlib import Path

    from analyzer.ipvs.states import Timeouts
    from loadgen.director.timeouts.restore import LeftTimeouts
    from loadgen.failover.faults import Fault
    from loadgen.failover.options import FailoverOptions
    from loadgen.failover.repeat import Order
    from loadgen.lab.lab import Lab
    from loadgen.load.plan import LoadPlan
    from loadgen.sites import Site


@dataclass(frozen=True, slots=True, kw_only=True)
class FailoverFlags:
    """The flags of a fail-over, but for those that name directors."""

    vip: str
    port: int | None
    capture: CaptureFlags
    fault: str | None
    fault_command: str | None
    undo_command: str | None
    wait: bool
    exercise: bool
    rate: float
    timeout: float
    before: float
    after: float
    tail: float
    repeat: int
    seed: int
    method: str
    path: str
    download_path: str | None
    no_in_flight: bool
    allow_changes: bool
    timeouts: Timeouts | None
    left_timeouts: LeftTimeouts
    output: Path | None
    as_json: bool
    no_color: bool


@click.command()
@click.option(
    "--vip", required=True, type=HOST, metavar="HOST[:PORT]", help="Virtual IP of the service."
)
@click.option("--port", type=click.IntRange(1, 65535), help="Port of the service.  [80]")
@click.option(
    "--director",
    "directors",
    multiple=True,
    metavar=LINK_METAVAR,
    help=f"{LINKS}; a lab's by its host; repeatable.",
)
@click.option("--lab", "lab_name", envvar="LOADGEN_LAB", help="Name of the lab, if several are up.")
@click.option(
    "--fault",
    metavar="HOST:KIND",
    help="Fault in a lab, such as bal01:crash; kinds as for `lab fault`.",
)
@click.option(
    "--fault-command", metavar="CMD", help="Command that causes the fault; run without a shell."
)
@click.option("--undo-command", metavar="CMD", help="Command that undoes --fault-command.")
@click.option("--wait", is_flag=True, help="Wait for a fault that you cause, and record it.")
@click.option(
    "--exercise",
    is_flag=True,
    help="Two bursts of 50, before and after the fault, instead of a steady load.",
)
@click.option(
    "-q", "--rate", type=RATE, default=50.0, show_default=True, help="New connections per second."
)
@click.option("--timeout", type=SPAN, default=15, show_default=True, help="Timeout of a request.")
@click.option(
    "--before",
    type=DURATION,
    default=4,
    show_default=True,
    help="Time from the start to the fault.",
)
@click.option(
    "--after",
    type=DURATION,
    default=10,
    show_default=True,
    help="Time from the fault until it is undone.",
)
@click.option(
    "--tail",
    type=DURATION,
    default=60,
    show_default=True,
    help="Time from the undoing of the fault to the end of the run.",
)
@click.option("--repeat", type=click.IntRange(1, 1000), default=1, show_default=True)
@click.option("--seed", type=int, default=0, help="Seed of the times of the faults.")
@click.option("-X", "--method", type=METHOD, default="HEAD", show_default=True)
@click.option("--path", type=URL_PATH, default="/", show_default=True, help="Path of the URL.")
@click.option(
    "--download-path",
    type=URL_PATH,
    help="Path of a slow response, for downloads in flight; a lab has one.",
)
@click.option("--no-in-flight", is_flag=True, help="Hold no connections open during the fault.")
@click.option(
    "--allow-changes", is_flag=True, help="Allow a fault on directors that are not in a lab."
)
@timeouts_option
@keep_timeouts_option
@capture_options
@click.option("-o", "output", type=PathType(), help="Run directory.")
@click.option("--json", "as_json", is_flag=True, help="Print the analysis as one JSON document.")
@click.option("--no-color", is_flag=True, help="No colours in the progress bars.")
def failover(directors: tuple[str, ...], lab_name: str | None, **values: Any) -> int:
    """Measure how long clients are cut off in a fail-over.

    Connects steadily while the master director fails, and comes back.

    Before the fault the set-up is checked: one director holds the VIP, the others are BACKUP, all
    answer, and all have the same services. Every change is undone, whatever happens.
    """
    import asyncio

    import uvloop

    from loadgen.failover.repeat import conclude_all, repeat
    from loadgen.load.preflight import check_means
    from loadgen.sites import changes_only_a_lab, find_site

    options = options_as(FailoverFlags, values, capture=options_as(CaptureFlags, values))
    plan = _plan(options)
    site = find_site(plan.target.vip, directors, lab_name, (), options.capture.capture_on)
    lab = _lab(site)
    allowed = options.allow_changes or changes_only_a_lab(site, directors)
    order = _order(plan, site, lab, options, allowed=allowed)
    check_means(plan)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        ended = runner.run(repeat(order))
    return conclude_all(order, ended, as_json=options.as_json)


def _plan(options: FailoverFlags) -> LoadPlan:
    from loadgen.failover.options import open_model
    from loadgen.load.aim import aim_of
    from loadgen.load.destination import NameOverrides, find_destination
    from loadgen.load.plan import LoadPlan, Request
    from loadgen.target import Target

    aim = aim_of(None, options.vip, options.port)
    destination = find_destination(aim.host, aim.port, NameOverrides())
    return LoadPlan(
        target=Target(vip=destination.address, port=destination.port),
        arrivals=open_model(options.rate),
        request=Request(method=options.method, path=options.path, authority=destination.authority),
        engine="sockets",
        timeout_s=options.timeout,
        connect_timeout_s=options.timeout,
    )


def _lab(site: Site) -> Lab | None:
    from loadgen.lab.lab import running

    return running(site.lab) if site.lab else None


def _order(
    plan: LoadPlan, site: Site, lab: Lab | None, options: FailoverFlags, *, allowed: bool
) -> Order:
    import sys

    from loadgen.burst.burst import BurstOptions
    from loadgen.burst.progress import RunProgress
    from loadgen.commands.loadgen.load_options import without_credentials
    from loadgen.errors import UsageProblem
    from loadgen.failover.repeat import Order
    from loadgen.session.files import new_run_directory
    from loadgen.sites import stand_in

    if not site.directors:
        raise UsageProblem("no director: name them with --director, or bring a lab up")
    progress = RunProgress(None, color=not options.no_color)
    order = Order(
        plan=plan,
        site=site,
        lab=lab,
        options=_options(lab, options, allowed=allowed),
        watching=BurstOptions(
            directory=options.output or new_run_directory("failover"),
            command_line=without_credentials(sys.argv[1:]),
            capture=capture_given(options.capture),
            observe_s=0,
            timeouts=options.timeouts,
            left_timeouts=options.left_timeouts,
        ),
        runs=options.repeat,
        seed=options.seed,
        color=not options.no_color,
    )
    stand_in(site, plan.target.vip, progress.say)
    return order


def _options(lab: Lab | None, options: FailoverFlags, *, allowed: bool) -> FailoverOptions:
    from loadgen.failover.held_connections import Paths
    from loadgen.failover.options import FailoverOptions
    from loadgen.failover.phases import Timing
    from loadgen.lab.hosts.nginx import DOWNLOAD_PATH

    download = options.download_path or (DOWNLOAD_PATH if lab else None)
    paths = Paths(dialogue=options.path, download=download)
    holds = not (options.no_in_flight or options.exercise)
    return FailoverOptions(
        fault=chosen_fault(lab, options, allowed=allowed),
        timing=Timing(before_s=options.before, after_s=options.after, tail_s=options.tail),
        paths=paths if holds else None,
        exercise=options.exercise,
        runs=options.repeat,
    )


def chosen_fault(lab: Lab | None, options: FailoverFlags, *, allowed: bool) -> Fault | None:
    """The configured one; for an exercise in a lab by default the first director's link.

    Raises:
        UsageProblem: none or several, or one that would change what is no lab's.
    """
    from loadgen.errors import UsageProblem
    from loadgen.failover.faults import command_fault, lab_fault

    spec, command = options.fault, options.fault_command
    if options.exercise and lab and not (spec or command or options.wait):
        spec = f"{lab.director_names[0]}:link-down"
    if sum(map(bool, (spec, command, options.wait))) != 1:
        raise UsageProblem("expected one of --fault HOST:KIND, --fault-command CMD and --wait")
    if options.wait and (options.exercise or options.repeat > 1):
        raise UsageProblem("--wait cannot be combined with --exercise or --repeat")
    if options.undo_command and not command:
        raise UsageProblem("--undo-command: expected --fault-command with it")
    if options.wait:
        return None
    if not allowed:
        raise UsageProblem(
            "this causes a fault on directors outside a lab: --allow-changes is needed"
        )
    if command:
        return command_fault(command, options.undo_command)
    if lab is None or spec is None:
        raise UsageProblem(f"--fault {spec}: no lab is up that holds the VIP; use --fault-command")
    return lab_fault(lab, spec)
