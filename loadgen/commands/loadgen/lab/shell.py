"""``loadgen lab shell``."""

from __future__ import annotations

import click

from loadgen.commands.loadgen.lab.common import name_option


@click.command()
@name_option
@click.argument("host")
@click.argument("command", nargs=-1, metavar="[-- COMMAND...]")
def shell(name: str, host: str, command: tuple[str, ...]) -> None:
    """Open a shell on HOST, or run COMMAND there.

    The exit code is COMMAND's.
    """
    from loadgen.lab.hosts.shell import replace_process

    replace_process(name, host, command)
