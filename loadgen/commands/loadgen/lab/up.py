"""``loadgen lab up``."""

from __future__ import annotations

from typing import Any

import click

from loadgen.commands.loadgen.lab.common import name_option
from loadgen.commands.loadgen.lab.options import topology_options, wanted_topology
from loadgen.session.terminal import print_lines, report_progress


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
        lab = Lab(wanted_topology(options), name=name, say=report_progress).up()
    finally:
        rootless.leave_if_empty(bool(lab_names()))
    print_lines(usage(lab), err=True)
