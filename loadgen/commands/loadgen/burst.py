"""``loadgen burst``: requests at a virtual IP, and the directors watched as they forget them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from loadgen.commands.defaults import CommandWithDefaults
from loadgen.commands.loadgen.capture_options import CaptureFlags, capture_given, capture_options
from loadgen.commands.loadgen.check_options import CheckFlags, check_options, checks_given
from loadgen.commands.loadgen.cluster_options import (
    ClusterFlags,
    cluster_given,
    cluster_options,
)
from loadgen.commands.loadgen.director_options import (
    director_cpu_option,
    director_option,
    keep_timeouts_option,
    lab_of_vip_option,
    server_option,
    timeouts_option,
)
from loadgen.commands.loadgen.live_option import (
    live_option,
    metrics_socket_of,
    openmetrics_option,
    page_server_of,
)
from loadgen.commands.loadgen.load_options import (
    LoadOptions,
    load_options,
    without_credentials,
)
from loadgen.commands.loadgen.load_plan import plan_of
from loadgen.commands.options import options_as
from loadgen.commands.types import OBSERVE, PathType

if TYPE_CHECKING:
    from collections.abc import Mapping
    from fractions import Fraction
    from pathlib import Path

    from analyzer.ipvs.states import Timeouts
    from loadgen.director.timeouts.restore import LeftTimeouts


@dataclass(frozen=True, slots=True, kw_only=True)
class BurstFlags:
    """The flags of a burst, but for those that name hosts and outputs."""

    load: LoadOptions
    capture: CaptureFlags
    checks: CheckFlags
    services: tuple[str, ...]
    director_cpu: Fraction
    timeouts: Timeouts | None
    left_timeouts: LeftTimeouts
    observe: float | None
    live: tuple[str, int] | None
    openmetrics: tuple[str, int] | None
    cluster: ClusterFlags


@click.command(cls=CommandWithDefaults)
@load_options
@director_option
@server_option
@lab_of_vip_option
@director_cpu_option
@click.option(
    "--service",
    "services",
    multiple=True,
    metavar="VIP[:PORT]",
    help="Services to record, also [VIP]:PORT or fwmark:N; by default those that the load is "
    "sent to.",
)
@timeouts_option
@keep_timeouts_option
@click.option(
    "--observe",
    type=OBSERVE,
    default="auto",
    show_default=True,
    help="How long to poll after the burst; 0 stops at its end.",
)
@capture_options
@check_options
@live_option
@openmetrics_option
@cluster_options
@click.option("-o", "output", type=PathType(), help="Run directory.")
@click.option("--json", "as_json", is_flag=True, help="Print the analysis as one JSON document.")
@click.option("--no-color", is_flag=True, help="No colours in the progress bars.")
def burst(
    directors: tuple[str, ...],
    servers: tuple[str, ...],
    lab_name: str | None,
    output: Path | None,
    as_json: bool,
    no_color: bool,
    **values: Any,
) -> int:
    """Send a burst to virtual IPs and explain the decay.

    That is: what its directors keep of the burst, for how long, and why. With a lab up that holds
    the VIP, the lab's client sends and its directors are watched. Options may have defaults in
    [burst] of loadgen.toml.
    """
    import asyncio
    import sys

    import uvloop

    from analyzer.report import to_json
    from loadgen.burst.abort import check_limits
    from loadgen.burst.burst import BurstOptions, burst
    from loadgen.burst.progress import RunProgress
    from loadgen.director.polling.watched import parse_services_given
    from loadgen.load.preflight import check_consent, check_means
    from loadgen.session.files import new_run_directory
    from loadgen.session.output.conclude import conclude, exit_code, print_summary
    from loadgen.session.terminal import print_document
    from loadgen.sites import find_site, stand_in

    options = _options(values)
    checks = checks_given(options.checks)
    cluster = cluster_given(options.cluster)
    plan, why = plan_of(options.load)
    server = page_server_of(options.live)
    metrics = metrics_socket_of(options.openmetrics)
    vip, *others = plan.vips
    capture_on = options.capture.capture_on
    site = find_site(vip, directors, lab_name, servers, capture_on, also=others)
    check_limits(checks.limits, site)
    watching = BurstOptions(
        directory=output or new_run_directory("burst"),
        command_line=without_credentials(sys.argv[1:]),
        capture=capture_given(options.capture),
        observe_s=options.observe,
        timeouts=options.timeouts,
        why_engine=why,
        watched=parse_services_given(options.services) if options.services else None,
        director_cpu=float(options.director_cpu),
        limits=checks.limits,
        left_timeouts=options.left_timeouts,
        live=server,
        openmetrics=metrics,
        cluster=cluster,
    )
    progress = RunProgress(plan.expected_requests, color=not no_color)
    check_consent(plan, in_lab=site.lab is not None, agreed=options.load.agreed)
    stand_in(site, ", ".join(plan.vips), progress.say)
    if cluster is None or cluster.address.local:
        check_means(plan)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        ended = runner.run(burst(plan, site, watching, progress))
    analysis, page = conclude(watching.directory)
    if as_json:
        print_document(to_json(analysis))
    judged = checks.judge(analysis, err=as_json)
    print_summary(analysis, page, err=as_json)
    if server:
        server.hand_over(page)
    return exit_code(analysis, ended) or judged


def _options(values: Mapping[str, Any]) -> BurstFlags:
    return options_as(
        BurstFlags,
        values,
        load=options_as(LoadOptions, values),
        capture=options_as(CaptureFlags, values),
        checks=options_as(CheckFlags, values),
        cluster=options_as(ClusterFlags, values),
    )
