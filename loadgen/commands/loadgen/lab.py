"""``loadgen lab``: a real IPVS lab on this machine."""

from __future__ import annotations

import click


@click.group()
def lab() -> None:
    """A real IPVS lab on this machine: two directors, two real servers, a client, one VIP."""
    from loadgen.lab.interruption import install

    install()


name_option = click.option(
    "--name", default="lab", show_default=True, help="Which lab: 1 to 16 of a-z, 0-9 and -."
)


@lab.command()
@name_option
@click.option(
    "--timeouts",
    metavar="TCP,TCPFIN,UDP",
    default="900,120,300",
    show_default="the kernel's own, 900,120,300",
    help="The directors' timeouts in seconds, as ipvsadm --set takes them.",
)
def up(name: str, timeouts: str) -> None:
    """Bring the lab up; ends when the VIP answers."""
    from loadgen.lab.lab import Lab
    from loadgen.lab.report import usage
    from loadgen.lab.topology import Timeouts, exercise

    found = Lab.up(exercise(Timeouts.parse(timeouts)), name=name, say=say)
    for line in usage(found):
        say(line)


@lab.command()
@name_option
def down(name: str) -> None:
    """Take the lab down, or remove what is left of one."""
    from loadgen.lab.lab import down as take_down

    removed = take_down(name)
    say(f"lab {name!r} is down" if removed else f"lab {name!r} is not up; nothing to remove")


@lab.command()
@name_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def status(name: str, as_json: bool) -> None:
    """Show the hosts, who holds the VIP, and the directors' timeouts."""
    from loadgen.lab import report

    found = report.inspect(name)
    click.echo(report.as_json(found) if as_json else report.as_text(found))


@lab.command()
@name_option
@click.argument("host")
@click.argument("command", nargs=-1, metavar="[-- COMMAND...]")
def shell(name: str, host: str, command: tuple[str, ...]) -> None:
    """A shell on HOST, or one COMMAND there; its exit code is passed on."""
    from loadgen.lab.shell import replace_process

    replace_process(name, host, command)


def say(line: str) -> None:
    """One line of progress, on standard error; a reader who has gone is no reason to stop."""
    from contextlib import suppress

    with suppress(BrokenPipeError):
        click.echo(line, err=True)
