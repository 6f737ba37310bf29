"""``loadgen lab``: a real IPVS lab on this machine; one click file per subcommand."""

from __future__ import annotations

import click

from loadgen.commands import LazyGroup

HERE = "loadgen.commands.loadgen.lab"


def prepare() -> None:
    """Before any subcommand: go where an ordinary user's labs are.

    From then on SIGTERM and SIGHUP undo what is being done, as Ctrl-C does.
    """
    from loadgen.lab.system import rootless
    from loadgen.lab.system.interruption import install

    rootless.enter(start=click.get_current_context().invoked_subcommand == "up")
    install()


lab = LazyGroup(
    name="lab",
    help="Run a real IPVS lab on this machine.\n\nDirectors, real servers, clients and VIPs.",
    lazy={
        "up": f"{HERE}.up:up",
        "down": f"{HERE}.down:down",
        "status": f"{HERE}.status:status",
        "shell": f"{HERE}.shell:shell",
        "fault": f"{HERE}.fault:fault",
        "weight": f"{HERE}.weight:weight",
        "delay": f"{HERE}.link:delay",
        "loss": f"{HERE}.link:loss",
        "rate": f"{HERE}.link:rate",
        "export": f"{HERE}.export:export",
    },
)
lab.callback = prepare
