"""``analyzer sweep``: the answer of a sweep once more, from its recordings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from loadgen.commands.types import PathType

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@click.argument("folder", type=PathType())
@click.option(
    "-o",
    "output",
    type=PathType(),
    help="Output page; by default sweep.html there.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the answer as one JSON document.")
def sweep(folder: Path, output: Path | None, as_json: bool) -> None:
    """Compare the runs in a sweep's FOLDER.

    Reports what each value of tcpfin costs, and how small it may be.
    """
    from analyzer.documents import to_json
    from loadgen.session.output.conclude import conclude_sweep
    from loadgen.session.terminal import print_document, print_lines

    comparison, page, lines = conclude_sweep(folder, output)
    if as_json:
        print_document(to_json(comparison))
    print_lines((*lines, "", f"page: {page}"), err=as_json)
