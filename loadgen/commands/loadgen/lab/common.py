"""What the subcommands share."""

from __future__ import annotations

import click


def _prepare(context: click.Context, _option: click.Parameter, name: str) -> str:
    """Before a subcommand, but not before its help: go where an ordinary user's labs are.

    From then on SIGTERM and SIGHUP undo what is being done, as Ctrl-C does.
    """
    if context.resilient_parsing:
        return name
    from loadgen.lab.system import rootless
    from loadgen.lab.system.interruption import install

    rootless.enter(start=context.info_name == "up")
    install()
    return name


name_option = click.option(
    "--name",
    callback=_prepare,
    envvar="LOADGEN_LAB",
    default="lab",
    show_default=True,
    help="Name of the lab: 1 to 16 of a-z, 0-9 and -.",
)
