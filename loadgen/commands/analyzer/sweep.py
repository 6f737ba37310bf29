"""``analyzer sweep``: the answer of a sweep once more, from its recordings."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "output",
    type=click.Path(path_type=Path),
    help="Output page; by default sweep.html there.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the answer as one JSON document.")
def sweep(folder: Path, output: Path | None, as_json: bool) -> None:
    """Compare the runs in a sweep's FOLDER, and report how small tcpfin may be."""
    from analyzer.documents import as_text, to_json
    from loadgen.session.conclude import conclude_sweep
    from reports.run.text import printable

    comparison, page, lines = conclude_sweep(folder, output)
    if as_json:
        click.echo(as_text(to_json(comparison)))
    for line in (*lines, "", f"page: {page}"):
        click.echo(printable(line), err=as_json)
