"""``analyzer history``: the runs of a folder, and what changed between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from loadgen.commands.types import PathType

if TYPE_CHECKING:
    from pathlib import Path

    from analyzer.across_runs.history import History

_MOST_CHARACTERS = 200


@click.command()
@click.argument("folder", metavar="DIR", type=PathType())
@click.option(
    "-o",
    "output",
    type=PathType(),
    help="Output page; by default history.html in DIR.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the history as one JSON document.")
def history(folder: Path, output: Path | None, as_json: bool) -> None:
    """Show trends over the runs in DIR.

    Changes beyond noise are marked.
    """
    from analyzer.documents import to_json
    from loadgen.session.files import write_text
    from loadgen.session.output.links import report_links
    from loadgen.session.terminal import columns, print_document, print_lines
    from reports.across_runs.history import history_document
    from reports.document.html import page_of
    from reports.document.text import lines_of

    trends = _read(folder)
    page = output or folder / "history.html"
    runs = {run.name: folder / run.name for run in trends.runs}
    document = history_document(trends, report_links(runs, page))
    write_text(page, page_of(document))
    if as_json:
        print_document(to_json(trends))
    print_lines((*lines_of(document, columns(err=as_json)), f"page: {page}"), err=as_json)


def _read(folder: Path) -> History:
    from analyzer.across_runs.history import Unreadable, history
    from analyzer.across_runs.past_run import past_run
    from analyzer.errors import AnalyzerError
    from analyzer.recording.directory import Recording
    from loadgen.errors import UsageProblem
    from loadgen.session.means.progress import READING_RUNS, ReadingProgress
    from loadgen.session.terminal import report_progress

    try:
        places = sorted(path for path in folder.iterdir() if _may_be_a_run(path))
    except OSError as error:
        raise UsageProblem(f"{folder}: cannot be read: {error.strerror}") from error
    runs, unreadable = [], []
    progress = ReadingProgress("analyzer history", report_progress, words=READING_RUNS)
    for number, place in enumerate(places):
        progress.read(number, number / len(places))
        try:
            recording = Recording.open(place)
            runs.append(past_run(place.name, recording.manifest, _document(recording)))
        except AnalyzerError as error:
            unreadable.append(Unreadable(name=place.name, why=str(error)))
        except Exception as error:  # one run must not hide all others
            what = f"{type(error).__name__}: {error}"[:_MOST_CHARACTERS]
            unreadable.append(Unreadable(name=place.name, why=f"a fault of ours: {what}"))
    if not runs:
        raise UsageProblem(f"{folder}: no run could be read there; expected a folder of runs")
    return history(str(folder), runs, unreadable)


def _may_be_a_run(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".")


def _document(recording: Any) -> dict[str, Any]:
    """The analysis that lies beside the run, if it is newer than all it was made from."""
    from analyzer.analysis import analyse
    from analyzer.report import to_json

    known: dict[str, Any] | None = recording.fresh_analysis()
    return known or to_json(analyse(recording))
