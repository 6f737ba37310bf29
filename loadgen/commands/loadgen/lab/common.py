"""What the subcommands share."""

from __future__ import annotations

from contextlib import suppress

import click

name_option = click.option(
    "--name",
    envvar="LOADGEN_LAB",
    default="lab",
    show_default=True,
    help="Name of the lab: 1 to 16 of a-z, 0-9 and -.",
)


def say(line: str) -> None:
    """One line of progress, on standard error; a reader who has gone is no reason to stop."""
    with suppress(BrokenPipeError):
        click.echo(line, err=True)
