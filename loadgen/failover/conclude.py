"""From a folder of repeated fail-overs to what the operator reads: each run's page, and theirs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import count, takewhile
from typing import TYPE_CHECKING, Any

from analyzer.documents import as_text
from analyzer.failover.repeats import Repeats, repeats
from analyzer.recording.directory import MANIFEST, write_derived
from analyzer.report import to_json
from loadgen.session.output.conclude import conclude
from loadgen.session.output.links import link
from loadgen.session.terminal import columns, print_document, print_lines
from reports.document.html import page_of
from reports.document.text import lines_of
from reports.failover.repeats import repeats_document
from reports.run.text import directors_line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from analyzer.report import Analysis

SUMMARY, PAGE = "repeats.json", "repeats.html"


@dataclass(frozen=True, slots=True, kw_only=True)
class Concluded:
    """What became of a row of runs.

    Attributes:
        folder: of the runs.
        analyses: one for each, in their order.
        summary: the summary of all runs.
        page: of all of them.
        lines: the same for the terminal.
    """

    folder: Path
    analyses: Sequence[Analysis]
    summary: Repeats
    page: Path
    lines: Sequence[str]


def run_name(number: int) -> str:
    """The folder of a run within that of all, by its number from 0."""
    return f"run-{number + 1:03}"


def is_repeats(folder: Path) -> bool:
    """Whether it is a folder of runs, and no run itself."""
    return bool(_runs(folder)) and not (folder / MANIFEST).exists()


def conclude_repeats(folder: Path, page: Path | None = None) -> Concluded:
    """Analyse every run that was recorded, write its page, and figures and page of all.

    Args:
        folder: of the runs.
        page: the path of the page of all; by default ``repeats.html`` in the folder.

    Raises:
        RecordingError: a run is no recording, or a page cannot be written.
    """
    target = page or folder / PAGE
    concluded_runs = [conclude(run) for run in _runs(folder)]
    analyses = [analysis for analysis, _ in concluded_runs]
    failovers = [analysis.failover for analysis in analyses if analysis.failover]
    summary = repeats(failovers, _planned(analyses))
    pages = {
        number: link(run_page, target)
        for number, (_, run_page) in enumerate(concluded_runs, start=1)
    }
    document = repeats_document(summary, failovers, where=str(folder), pages=pages)
    write_derived(target, page_of(document))
    concluded = Concluded(
        folder=folder,
        analyses=analyses,
        summary=summary,
        page=target,
        lines=lines_of(document, columns()),
    )
    write_derived(folder / SUMMARY, as_text(to_document(concluded)))
    return concluded


def _planned(analyses: Sequence[Analysis]) -> int | None:
    """How many runs there were to be, as the first of them says."""
    facts = analyses[0].manifest.failover
    return facts.runs_planned if facts else None


def _runs(folder: Path) -> list[Path]:
    paths = (folder / run_name(number) for number in count())
    return list(takewhile(lambda path: (path / MANIFEST).is_file(), paths))


def to_document(concluded: Concluded) -> dict[str, Any]:
    """The document that ``--json`` prints."""
    return {
        "schema_version": 1,
        "runs": [
            to_json(analysis)["failover"] | {"run": analysis.run} for analysis in concluded.analyses
        ],
        "repeats": asdict(concluded.summary),
    }


def print_repeats(concluded: Concluded, *, as_json: bool) -> None:
    """The end of the output: the runs, the sentence, the page, and last their folder."""
    if as_json:
        print_document(to_document(concluded))
    directors = directors_line(concluded.analyses[0].manifest)
    lines = [*concluded.lines, "", *directors, f"page: {concluded.page}", concluded.folder]
    print_lines(lines, err=as_json)
