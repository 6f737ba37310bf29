"""``loadgen lab up``."""

from __future__ import annotations

from typing import Any

import click

from loadgen.commands.loadgen.lab.common import name_option, say
from loadgen.commands.loadgen.lab.options import topology_options, wanted_topology


@click.command()
@name_option
@topology_options
def up(name: str, **options: Any) -> None:
    """Bring the lab up; ends when every VIP answers.

    By default: two directors, two real servers, a client, one VIP that keepalived
    moves, and the kernel's own timeouts.
    """
    from loadgen.lab.lab import Lab
    from loadgen.lab.report import usage
    from loadgen.lab.state import lab_names
    from loadgen.lab.system import rootless

    try:
        lab = Lab(wanted_topology(options), name=name, say=say).up()
    finally:
        rootless.leave_if_empty(bool(lab_names()))
    for line in usage(lab):
        say(line)
