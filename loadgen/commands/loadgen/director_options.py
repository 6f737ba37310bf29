"""The options of every command that connects to directors."""

from __future__ import annotations

import click

from loadgen.commands.types import CPU_SHARE, TIMEOUTS

LINKS = "ssh://[user@]host[:port], exec:COMMAND PREFIX or local, after a name for reports if wanted"
LINK_METAVAR = "[NAME=]LINK"

director_option = click.option(
    "--director", "directors", multiple=True, metavar=LINK_METAVAR, help=f"{LINKS}; repeatable."
)
server_option = click.option(
    "--server",
    "servers",
    multiple=True,
    metavar=LINK_METAVAR,
    help="Real server whose sockets are counted too; a link as for --director; repeatable.",
)
lab_of_vip_option = click.option(
    "--lab", "lab_name", envvar="LOADGEN_LAB", help="Name of the lab, if several hold the VIP."
)
lab_option = click.option(
    "--lab", "lab_name", envvar="LOADGEN_LAB", help="Name of the lab, if several are up."
)
director_cpu_option = click.option(
    "--director-cpu",
    type=CPU_SHARE,
    default="2%",
    show_default=True,
    help="Largest share of one CPU of a director that reading its entries may take.",
)
timeouts_option = click.option(
    "--timeouts", type=TIMEOUTS, help="Timeouts of the directors, if they cannot be read."
)
keep_timeouts_option = click.option(
    "--keep-timeouts",
    "left_timeouts",
    is_flag=True,
    callback=lambda _context, _option, keep: "keep" if keep else "put back",
    help="Do not restore timeouts that a killed sweep left behind.",
)
