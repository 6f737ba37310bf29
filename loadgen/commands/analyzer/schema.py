"""``analyzer schema``: what a program may expect of ``--json``."""

from __future__ import annotations

import click

NAMES = (
    *("report", "parse", "predict", "capacity", "capacity-proof", "sweep", "verify"),
    *("check", "compare", "history"),
)


@click.command()
@click.argument("command", type=click.Choice(NAMES), default="report", metavar="[COMMAND]")
def schema(command: str) -> None:
    """Print the JSON Schema of the --json output of COMMAND.

    COMMAND is report (the default; `loadgen burst --json` prints the same document), parse,
    predict, capacity, capacity-proof, sweep, verify, check, compare or history.
    """
    from analyzer.schema import schema_of
    from loadgen.session.terminal import print_document

    print_document(schema_of(command), indent=1)
