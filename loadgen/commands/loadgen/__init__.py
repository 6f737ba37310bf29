"""The ``loadgen`` script: sends, watches, runs the lab."""

from loadgen.commands import LazyGroup, run_cli

HERE = "loadgen.commands.loadgen"

group = LazyGroup(
    name="loadgen",
    help="Fire a burst at an IPVS virtual IP and explain what its directors keep of it.",
    lazy={
        "burst": f"{HERE}.burst:burst",
        "collect": f"{HERE}.collect:collect",
        "failover": f"{HERE}.failover:failover",
        "sweep": f"{HERE}.sweep:sweep",
        "verify": f"{HERE}.verify:verify",
        "capacity-proof": f"{HERE}.capacity_proof:capacity_proof",
        "lab": f"{HERE}.lab:lab",
    },
)


def main() -> None:
    """Entry point of the ``loadgen`` script."""
    run_cli(group)
