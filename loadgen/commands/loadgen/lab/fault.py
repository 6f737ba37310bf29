"""``loadgen lab fault``."""

from __future__ import annotations

import click

from loadgen.commands.loadgen.lab.common import name_option
from loadgen.session.terminal import report_progress

KINDS = (
    *("link-down", "link-up", "unplug", "replug", "crash", "boot"),
    *("keepalived-stop", "keepalived-start", "keepalived-kill", "nginx-stop", "nginx-start"),
)


@click.command()
@name_option
@click.argument("host")
@click.argument("kind", type=click.Choice(KINDS), metavar="KIND")
def fault(name: str, host: str, kind: str) -> None:
    """Inject a fault into HOST of a running lab, or undo it.

    KIND is one of these:

    \b
    link-down link-up    its own interface; the host notices
    unplug replug        its port on the bridge; the host does not notice
    crash boot           its kernel
    keepalived-stop      by SIGTERM, with priority 0; keepalived-start undoes it
    keepalived-kill      by SIGKILL: the VIP stays
    nginx-stop nginx-start
    """  # noqa: D301 - \b is click's
    from loadgen.lab.faults.faults import inflict
    from loadgen.lab.report import find

    event = inflict(find(name), host, kind)
    report_progress(f"{host}: {kind}: {event.detail}")
