"""``loadgen lab weight``."""

from __future__ import annotations

import click

from loadgen.commands.loadgen.lab.common import name_option
from loadgen.session.terminal import report_progress


@click.command()
@name_option
@click.argument("server")
@click.argument("weight", type=click.IntRange(0, 65535))
def weight(name: str, server: str, weight: int) -> None:
    """Set the WEIGHT of SERVER on every director."""
    from loadgen.lab.faults.changes import set_weight
    from loadgen.lab.report import find

    event = set_weight(find(name), server, weight)
    report_progress(f"{server}: weight {event.detail}")
