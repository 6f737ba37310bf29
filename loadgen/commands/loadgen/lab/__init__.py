"""``loadgen lab``: a real IPVS lab on this machine; one click file per subcommand."""

from __future__ import annotations

from loadgen.commands import LazyGroup

HERE = "loadgen.commands.loadgen.lab"


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
