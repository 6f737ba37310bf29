"""``loadgen burst``: requests at a virtual IP, and the directors watched as they forget them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from loadgen.commands.types import ADDRESS, DURATION, METHOD, OBSERVE, TIMEOUTS, URL_PATH
from loadgen.plan import ClosedModel, LoadPlan, Request, Target


@click.command()
@click.option("--vip", required=True, type=ADDRESS, help="The virtual IP.")
@click.option("--port", type=click.IntRange(1, 65535), default=80, show_default=True)
@click.option("--path", type=URL_PATH, default="/", show_default=True, help="Path of the URL.")
@click.option(
    "-X", "method", type=METHOD, default="HEAD", show_default=True, help="Request method."
)
@click.option(
    "-n",
    "requests",
    type=click.IntRange(1),
    default=50,
    show_default=True,
    help="Requests, each its own connection.",
)
@click.option(
    "-c",
    "concurrency",
    type=click.IntRange(1, 10_000),
    default=1,
    show_default=True,
    help="Requests at a time.",
)
@click.option("--timeout", type=DURATION, default=30, show_default=True, help="For a request.")
@click.option(
    "--connect-timeout", type=DURATION, default=10, show_default=True, help="For its connection."
)
@click.option(
    "--director",
    "directors",
    multiple=True,
    metavar="LINK",
    help="ssh://[user@]host[:port], exec:COMMAND PREFIX or local; repeatable.",
)
@click.option(
    "--server",
    "servers",
    multiple=True,
    metavar="LINK",
    help="A real server whose sockets are counted too; a link as for --director; repeatable.",
)
@click.option(
    "--lab", "lab_name", envvar="LOADGEN_LAB", help="Which lab, where several hold the VIP."
)
@click.option("--timeouts", type=TIMEOUTS, help="The directors', where they cannot be read.")
@click.option("--interface", help="To capture on; the one that leads to the VIP unless told.")
@click.option(
    "--observe",
    type=OBSERVE,
    default="auto",
    show_default=True,
    help="How long to watch after the burst; 0 ends with it.",
)
@click.option("--no-capture", is_flag=True, help="Do without the packets.")
@click.option("-o", "output", type=click.Path(path_type=Path), help="The run's directory.")
@click.option("--json", "as_json", is_flag=True, help="Print the analysis as one JSON document.")
@click.option("--no-color", is_flag=True, help="No colours in the progress bars.")
def burst(
    directors: tuple[str, ...],
    servers: tuple[str, ...],
    lab_name: str | None,
    output: Path | None,
    as_json: bool,
    no_color: bool,
    **options: Any,
) -> int:
    """Fire a burst at a virtual IP and say why its directors remember it.

    With a lab up that holds the VIP, the lab's client sends and its directors are watched.
    """
    import asyncio
    import sys

    import uvloop

    from loadgen.burst import BurstOptions, burst, new_run_directory
    from loadgen.conclude import as_json as to_text
    from loadgen.conclude import conclude, exit_code, print_summary
    from loadgen.progress import RunProgress
    from loadgen.sites import find_site, stand_in

    plan = _plan(options)
    site = find_site(plan.target.vip, directors, lab_name, servers)
    watching = BurstOptions(
        directory=output or new_run_directory("burst"),
        command_line=sys.argv[1:],
        capture=not options["no_capture"],
        interface=options["interface"],
        observe_s=options["observe"],
        timeouts=options["timeouts"],
    )
    progress = RunProgress(plan.expected_requests, color=not no_color)
    stand_in(site, plan.target.vip, progress.say)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        ended = runner.run(burst(plan, site, watching, progress))
    analysis, page = conclude(watching.directory)
    if as_json:
        click.echo(to_text(analysis))
    print_summary(analysis, page, err=as_json)
    return exit_code(analysis, ended)


def _plan(options: dict[str, Any]) -> LoadPlan:
    return LoadPlan(
        target=Target(vip=options["vip"], port=options["port"]),
        arrivals=ClosedModel(requests=options["requests"], concurrency=options["concurrency"]),
        request=Request(method=options["method"], path=options["path"]),
        timeout_s=options["timeout"],
        connect_timeout_s=options["connect_timeout"],
    )
