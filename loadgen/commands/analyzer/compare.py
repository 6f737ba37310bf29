"""``analyzer compare``: two or more runs side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from loadgen.commands.types import PathType

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN RUN...", type=PathType())
@click.option(
    "-o",
    "output",
    type=PathType(),
    help="Output page; by default comparison.html in the last RUN.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as one JSON document.")
def compare(runs: tuple[Path, ...], output: Path | None, as_json: bool) -> None:
    """Compare RUNs with the first: what differs, by how much.

    Each difference has its uncertainty.
    """
    from analyzer.across_runs.compare import comparable
    from analyzer.across_runs.compare import compare as compared
    from analyzer.across_runs.document import to_json
    from analyzer.analysis import analyse
    from analyzer.recording.directory import COMPARISON, Recording, write_derived
    from loadgen.session.means.progress import progress_of
    from loadgen.session.output.links import report_links
    from loadgen.session.terminal import columns, print_document, print_lines, report_progress
    from reports.across_runs.comparison import comparison_document
    from reports.document.html import page_of
    from reports.document.text import lines_of

    if len(runs) < 2:
        raise click.UsageError("expected two runs or more")
    recordings = [Recording.open(run) for run in runs]
    analyses = (
        analyse(each, means=progress_of("analyzer compare", report_progress)) for each in recordings
    )
    comparison = compared(list(map(comparable, analyses)))
    page = output or runs[-1] / COMPARISON
    names = [run.name for run in comparison.runs]
    pages = report_links(dict(zip(names, runs, strict=True)), page)
    document = comparison_document(comparison, pages)
    write_derived(page, page_of(document))
    if as_json:
        print_document(to_json(comparison))
    print_lines((*lines_of(document, columns(err=as_json)), f"page: {page}"), err=as_json)
