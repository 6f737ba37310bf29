"""``analyzer import``: captures and poll logs made elsewhere to a run directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from loadgen.commands.types import PathType

if TYPE_CHECKING:
    from pathlib import Path


@click.command("import")
@click.argument("paths", nargs=-1, required=True, type=PathType())
@click.option("-o", "output", required=True, type=PathType(), help="Run directory.")
def import_(paths: tuple[Path, ...], output: Path) -> None:
    """Make a run directory of captures and logs made elsewhere.

    PATHS are captures, logs of one director and a meta.json, packed or not, told by their content;
    or a folder of them. `analyzer report PATHS` also analyses them.
    """
    from loadgen.importing.folder import imported
    from loadgen.session.means.heap import keep_freed_memory
    from loadgen.session.means.progress import progress_of
    from loadgen.session.terminal import print_line, report_progress

    keep_freed_memory()
    with imported(paths, output, progress_of("analyzer import", report_progress)) as found:
        for warning in found.doubts[:20]:
            print_line(f"analyzer import: {warning}", err=True)
    print_line(output)
