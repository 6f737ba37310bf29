"""The ``analyzer`` script: reads recordings; sends nothing, changes nothing."""

from loadgen.commands import LazyGroup, run_cli

HERE = "loadgen.commands.analyzer"

group = LazyGroup(
    name="analyzer",
    help="Analyse a run directory: what the directors' tables held, and why.",
    lazy={
        "import": f"{HERE}.import_:import_",
        "report": f"{HERE}.report:report",
        "compare": f"{HERE}.compare:compare",
        "sweep": f"{HERE}.sweep:sweep",
        "history": f"{HERE}.history:history",
        "predict": f"{HERE}.predict:predict",
        "check": f"{HERE}.check:check",
        "parse": f"{HERE}.parse:parse",
        "capacity": f"{HERE}.capacity:capacity",
        "anonymise": f"{HERE}.anonymise:anonymise",
        "schema": f"{HERE}.schema:schema",
    },
)


def main() -> None:
    """Entry point of the ``analyzer`` script."""
    run_cli(group)
