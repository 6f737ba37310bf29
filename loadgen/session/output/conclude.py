"""From a recording to what the operator reads: the analysis, the page, the end of the output."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from analyzer.analysis import analyse
from analyzer.documents import as_text
from analyzer.errors import RecordingError
from analyzer.recording.directory import ANALYSIS, REPORT, Recording, write_derived
from analyzer.recording.spill import ALONE
from analyzer.report import to_json
from loadgen.errors import INTERRUPTED_EXIT_CODE, CheckFailed, RunFailed
from loadgen.session.files import read_text
from loadgen.session.output.links import report_links
from loadgen.session.terminal import columns, print_line, print_lines
from reports.run.page import render_page
from reports.run.text import directors_line, summary_lines

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from analyzer.evidence.captures import ReadOnce
    from analyzer.other_settings.what_if import Assumption
    from analyzer.recording.spill import Means
    from analyzer.report import Analysis
    from analyzer.sweep.results import Sweep
    from loadgen.session.run import Ended


def conclude(
    directory: Path,
    page: Path | None = None,
    assumptions: Sequence[Assumption] = (),
    name: str | None = None,
    means: Means = ALONE,
    read: ReadOnce | None = None,
) -> tuple[Analysis, Path]:
    """Analyse a run, write ``analysis.json`` and the page beside it.

    Args:
        directory: the run's.
        page: the page's path; by default ``report.html`` in the run's directory.
        assumptions: what is taken to be otherwise, for a ``what_if``.
        name: what the run is called; by default its directory.
        means: what the analysis of a long capture may use.
        read: the run's captures, where their packets were read before.

    Raises:
        RecordingError: it is not a recording, or the page cannot be written.
    """
    analysis = analyse_run(directory, assumptions, name, means, read)
    try:
        return analysis, write_derived(page or directory / REPORT, render_page(analysis))
    except RecordingError:
        print_lines(
            summary_lines(analysis, columns(err=True)), err=True
        )  # what is there is reported all the same
        raise


def analyse_run(
    directory: Path,
    assumptions: Sequence[Assumption] = (),
    name: str | None = None,
    means: Means = ALONE,
    read: ReadOnce | None = None,
) -> Analysis:
    """Analyse a run, and write ``analysis.json`` if the run's directory takes it.

    Raises:
        RecordingError: it is not a recording.
    """
    analysis = analyse(Recording.open(directory), assumptions, means=means, read=read)
    analysis = analysis if name is None else replace(analysis, run=name)
    try:
        write_derived(directory / ANALYSIS, as_json(analysis))
    except RecordingError as error:
        print_line(f"warning: {error}", err=True)
    return analysis


def conclude_sweep(
    folder: Path, page: Path | None = None, *, pages_of_runs: bool = False
) -> tuple[Sweep, Path, list[str]]:
    """Analyse the runs of a sweep together, write the page of the comparison; the lines of it too.

    Args:
        folder: the sweep's.
        page: its path; by default ``sweep.html`` in the folder.
        pages_of_runs: write each run's own analysis and page too.

    Raises:
        RecordingError: it is no folder of a sweep, or something cannot be read or written.
    """
    from analyzer.sweep.folder import FOLDER_FILE, MAX_BYTES, PAGE, parse_folder
    from analyzer.sweep.points import sweep_of
    from reports.document.html import page_of
    from reports.document.text import lines_of
    from reports.sweep.document import sweep_document

    path = folder / FOLDER_FILE
    found = parse_folder(read_text(path, MAX_BYTES), str(path))
    analyses = [(value_s, _analysis(folder / name, pages_of_runs)) for value_s, name in found.runs]
    sweep = sweep_of(str(folder), analyses, found.planned, found.before)
    target = page or folder / PAGE
    pages = report_links({name: folder / name for _, name in found.runs}, target)
    document = sweep_document(sweep, analyses, pages)
    return sweep, write_derived(target, page_of(document)), lines_of(document, columns())


def _analysis(directory: Path, with_page: bool) -> Analysis:
    return conclude(directory)[0] if with_page else analyse(Recording.open(directory))


def print_summary(analysis: Analysis, page: Path | None, *, err: bool, what: str = "page") -> None:
    """The end of the output: figures, verdict, directors, page, and last the run's directory."""
    directors = directors_line(analysis.manifest)
    written = [f"{what}: {page}"] if page else []
    figures = summary_lines(analysis, columns(err=err))
    lines = (*figures, "", *directors, *written, analysis.run)
    print_lines(lines, err=err)


def exit_code(analysis: Analysis, ended: Ended) -> int:
    """The contract's exit code of a run that left a recording."""
    if ended == "interrupted":
        return INTERRUPTED_EXIT_CODE
    if ended == "unrecorded":
        return RunFailed.exit_code
    sent = analysis.requests.sent
    if sent and not analysis.requests.succeeded:
        return RunFailed.exit_code
    if ended == "aborted":
        return CheckFailed.exit_code
    lost = any(worker.why is not None for worker in analysis.workers)
    return RunFailed.exit_code if lost else 0


def as_json(analysis: Analysis) -> str:
    """The document that ``--json`` prints."""
    return as_text(to_json(analysis))
