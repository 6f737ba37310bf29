"""From a recorded proof to what the operator reads: the page, the lines, the exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.capacity.proof.document import to_json
from analyzer.capacity.proof.manifest import proof_of
from analyzer.documents import as_text
from analyzer.recording.directory import ANALYSIS, REPORT, Recording, write_derived
from loadgen.errors import INTERRUPTED_EXIT_CODE, CheckFailed
from loadgen.session.terminal import columns, print_document, print_lines
from reports.capacity.proof import proof_document
from reports.document.html import page_of
from reports.document.text import lines_of

if TYPE_CHECKING:
    from pathlib import Path

    from analyzer.capacity.proof.model import Proof
    from loadgen.session.run import Ended


def conclude_proof(directory: Path, page: Path | None = None) -> tuple[Proof, Path]:
    """Analyse a proof, write ``analysis.json`` and the page beside it.

    Args:
        directory: the run's.
        page: the page's path; by default ``report.html`` in the run's directory.

    Raises:
        RecordingError: it is no recording of a proof, or the page cannot be written.
    """
    proof = proof_of(Recording.open(directory))
    write_derived(directory / ANALYSIS, as_text(to_json(proof)))
    html = page_of(proof_document(proof))
    return proof, write_derived(page or directory / REPORT, html)


def print_proof(proof: Proof, page: Path, *, as_json: bool) -> None:
    """The end of the output: figures, verdict, the page, and last the run's directory."""
    if as_json:
        print_document(to_json(proof))
    lines = (*lines_of(proof_document(proof), columns(err=as_json)), "", f"page: {page}", proof.run)
    print_lines(lines, err=as_json)


def exit_code(proof: Proof, ended: Ended) -> int:
    """The contract's."""
    if ended == "interrupted":
        return INTERRUPTED_EXIT_CODE
    return 0 if proof.holds else CheckFailed.exit_code
