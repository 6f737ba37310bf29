"""The run that an analysis is made of: the one that was named, or one that is made of files."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from analyzer.errors import RecordingError
from analyzer.recording.directory import MANIFEST, capture_files
from analyzer.recording.spill import ALONE, temporary_folder
from loadgen.errors import UsageProblem
from loadgen.importing.sources.find import expanded
from loadgen.session.files import new_run_directory

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from analyzer.evidence.captures import ReadOnce
    from analyzer.recording.spill import Means
    from loadgen.importing.folder import Imported


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run directory.

    Attributes:
        path: where it is.
        thrown_away: what it was made of, where it is gone when the analysis is done; else None.
        doubts: lines for the operator about what it was made of.
        read: its captures, where it was made now; as long as the run is there.
    """

    path: Path
    thrown_away: str | None = None
    doubts: Sequence[str] = ()
    read: ReadOnce | None = None


@contextmanager
def run_of(paths: Sequence[Path], *, keep: bool, means: Means = ALONE) -> Iterator[Run]:
    """The run directory that was named, or a new one that is made of captures and logs.

    Args:
        paths: a run directory, its ``run.json``, or what ``folder.imported`` reads.
        keep: the new one beside the first file; else it is thrown away on leaving.
        means: what the reading of long captures may use.

    Raises:
        UsageProblem: nothing to import, or a run beside something else.
        RecordingError: there is no room for the new one.
    """
    found = expanded(paths)
    runs = [run for path in found if (run := _named_run(path))]
    if runs and len(found) > 1:
        raise UsageProblem(f"{runs[0]}: a run directory; expected one alone, or captures and logs")
    if runs:
        yield Run(path=runs[0])
    elif keep:
        first = found[0]
        run = new_run_directory("import", first if first.is_dir() else first.parent)
        with ExitStack() as closing:
            made = _kept(found, run, means, closing)
            yield Run(path=run, doubts=made.doubts, read=made.read)
    else:
        with ExitStack() as closing:
            run = closing.enter_context(temporary_folder()) / "run"
            made = _made(found, run, means, closing, thrown_away=True)
            yield Run(path=run, thrown_away=_name(found), doubts=made.doubts, read=made.read)


def captured_bytes(paths: Sequence[Path]) -> int:
    """The size of a run's captures, or of files, packed ones as they are; nothing is opened.

    Raises:
        UsageProblem: nothing there.
    """
    found = expanded(paths)
    runs = [run for path in found if (run := _named_run(path))]
    if runs:
        files: Iterable[Path] = chain.from_iterable(map(capture_files, runs))
    else:
        files = chain.from_iterable(path.iterdir() if path.is_dir() else (path,) for path in found)
    total = 0
    with suppress(OSError):  # what cannot be looked at is refused by who reads it
        for file in files:
            total += file.stat().st_size
    return total


def _kept(paths: Sequence[Path], run: Path, means: Means, closing: ExitStack) -> Imported:
    try:
        return _made(paths, run, means, closing, thrown_away=False)
    except RecordingError as error:
        if run.exists():
            raise
        raise RecordingError(f"{error} (--no-run keeps none)") from error


def _made(
    paths: Sequence[Path], run: Path, means: Means, closing: ExitStack, *, thrown_away: bool
) -> Imported:
    from loadgen.importing.folder import imported  # a run that is named needs none of it

    return closing.enter_context(imported(paths, run, means, thrown_away=thrown_away))


def _name(paths: Sequence[Path]) -> str:
    return f"{paths[0]} and {len(paths) - 1} more" if len(paths) > 1 else str(paths[0])


def _named_run(path: Path) -> Path | None:
    """The run directory that a path stands for; a folder of several runs is one, too."""
    if path.name == MANIFEST and path.is_file():
        return path.parent
    if not path.is_dir():
        return None
    holds_runs = (path / MANIFEST).exists() or any(path.glob(f"*/{MANIFEST}"))
    return path if holds_runs else None
