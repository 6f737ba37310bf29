"""``loadgen lab down``."""

from __future__ import annotations

import click

from loadgen.commands.loadgen.lab.common import name_option
from loadgen.session.terminal import report_progress


@click.command()
@name_option
def down(name: str) -> None:
    """Take the lab down, or remove what is left of one."""
    from loadgen.lab.lab import down as take_down
    from loadgen.lab.state import lab_names
    from loadgen.lab.system import rootless

    removed = take_down(name)
    rootless.leave_if_empty(bool(lab_names()))
    report_progress(
        f"lab {name!r} is down" if removed else f"lab {name!r} is not up; nothing to remove"
    )
