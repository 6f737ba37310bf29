"""What the subcommands share."""

from __future__ import annotations

import click

name_option = click.option(
    "--name",
    envvar="LOADGEN_LAB",
    default="lab",
    show_default=True,
    help="Name of the lab: 1 to 16 of a-z, 0-9 and -.",
)
