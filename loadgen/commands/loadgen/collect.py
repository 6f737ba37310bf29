"""``loadgen collect``: directors watched without load, for as long as it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from loadgen.commands.loadgen.capture_options import (
    CaptureFlags,
    capture_given,
    options_of_wanted_capture,
)
from loadgen.commands.loadgen.director_options import (
    director_cpu_option,
    director_option,
    keep_timeouts_option,
    lab_option,
    server_option,
    timeouts_option,
)
from loadgen.commands.loadgen.live_option import (
    live_option,
    metrics_socket_of,
    openmetrics_option,
    page_server_of,
)
from loadgen.commands.options import options_as
from loadgen.commands.types import DURATION, FILTER, KEEP, PathType

if TYPE_CHECKING:
    from fractions import Fraction
    from pathlib import Path

    from analyzer.ipvs.states import Timeouts
    from loadgen.collect.keep import Keep
    from loadgen.director.timeouts.restore import LeftTimeouts
    from loadgen.live.selection import Filter, Order


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectFlags:
    """The flags of a watch, but for those that name hosts and outputs."""

    capture: CaptureFlags
    duration: float | None
    interval: float
    order: Order
    filters: tuple[Filter, ...]
    openmetrics: tuple[str, int] | None
    keep: Keep
    director_cpu: Fraction
    timeouts: Timeouts | None
    left_timeouts: LeftTimeouts
    live: tuple[str, int] | None


@click.command()
@director_option
@click.option(
    "--service",
    "services",
    multiple=True,
    metavar="VIP[:PORT]",
    help="Services to watch, also [VIP]:PORT or fwmark:N; repeatable; by default all.",
)
@server_option
@lab_option
@click.option("-z", "--duration", type=DURATION, help="Duration; by default until Ctrl-C.")
@click.option(
    "-i",
    "--interval",
    type=DURATION,
    default=1,
    show_default=True,
    help="Refresh interval of the table.",
)
@openmetrics_option
@click.option(
    "--sort",
    "order",
    type=click.Choice(["listed", "active", "inactive", "new", "weight"]),
    default="listed",
    show_default=True,
    help="Order of the table: the largest first, of weight the smallest.",
)
@click.option(
    "--filter",
    "filters",
    type=FILTER,
    multiple=True,
    help="Show only rows with this text, or for which active>100, inactive, new or weight=0 "
    "holds; repeatable: all must hold. All is recorded.",
)
@click.option(
    "--keep",
    type=KEEP,
    default="1G",
    show_default=True,
    help="How much of the watch to keep on disk; older data is deleted.",
)
@director_cpu_option
@timeouts_option
@keep_timeouts_option
@options_of_wanted_capture
@live_option
@click.option("-o", "output", type=PathType(), help="Run directory.")
@click.option("--json", "as_json", is_flag=True, help="Print the analysis as one JSON document.")
@click.option("--no-color", is_flag=True, help="No colours in the table.")
def collect(
    directors: tuple[str, ...],
    services: tuple[str, ...],
    servers: tuple[str, ...],
    lab_name: str | None,
    output: Path | None,
    as_json: bool,
    no_color: bool,
    **values: Any,
) -> int:
    """Watch directors without load; say when a server is empty.

    Shows entries, new connections, and when a real server of weight 0 may be rebooted.

    Without --director, those of loadgen.toml or LOADGEN_DIRECTOR are watched; where none are
    configured, or with --lab, those of the running lab. Ctrl-C ends the watch and makes the report.
    """
    import asyncio
    import sys

    import uvloop

    from analyzer.report import to_json
    from loadgen.collect.collect import CollectOptions
    from loadgen.collect.collect import collect as watch
    from loadgen.director.polling.watched import parse_services_given
    from loadgen.live.selection import Selection
    from loadgen.live.table import LiveTable
    from loadgen.session.files import new_run_directory
    from loadgen.session.output.conclude import conclude, exit_code, print_summary
    from loadgen.session.terminal import print_document
    from loadgen.sites import find_site, stand_in

    options = options_as(CollectFlags, values, capture=options_as(CaptureFlags, values))
    watched = parse_services_given(services)
    vip = watched.named[0].vip if watched.named else None
    metrics = metrics_socket_of(options.openmetrics)
    server = page_server_of(options.live)
    site = find_site(vip, directors, lab_name, servers, options.capture.capture_on, sends=False)
    watching = CollectOptions(
        directory=output or new_run_directory("collect"),
        command_line=sys.argv[1:],
        watched=watched,
        duration_s=options.duration,
        every_s=max(options.interval, 0.1),
        capture=capture_given(options.capture),
        keep=options.keep,
        openmetrics=metrics,
        timeouts=options.timeouts,
        director_cpu=float(options.director_cpu),
        left_timeouts=options.left_timeouts,
        live=server,
    )
    table = LiveTable(
        color=not no_color,
        selection=Selection(order=options.order, filters=options.filters),
        watches_all=watched.named is None,
    )
    stand_in(site, vip, table.say)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        ended = runner.run(watch(site, watching, table))
    analysis, page = conclude(watching.directory)
    if as_json:
        print_document(to_json(analysis))
    print_summary(analysis, page, err=as_json)
    if server:
        server.hand_over(page)
    return exit_code(analysis, ended)
