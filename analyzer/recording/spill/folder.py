"""The folder that an analysis spills to: its own, locked while it runs, found after a kill."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from analyzer.errors import RecordingError
from analyzer.recording.directory.files import not_written

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = ".parts-"
_LOCK = "lock"
_YOUNG_S = 60.0
"""A folder without a lock that is no older may be about to have one."""


@contextmanager
def spill_folder(beside: Path) -> Iterator[Path]:
    """A folder in a run's directory, or for temporary files where that takes none; then deleted.

    Raises:
        RecordingError: neither takes one.
    """
    remove_stale(beside)
    folder = _made(beside)
    try:
        with (folder / _LOCK).open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _made(beside: Path) -> Path:
    with suppress(OSError):
        return Path(tempfile.mkdtemp(prefix=PREFIX, dir=beside))
    try:
        return Path(tempfile.mkdtemp(prefix=PREFIX))
    except OSError as error:
        raise RecordingError(not_written(Path(tempfile.gettempdir()), error)) from error


def remove_stale(beside: Path) -> None:
    """Delete what killed analyses left in a run's directory."""
    for folder in beside.glob(f"{PREFIX}*"):
        if not folder.is_symlink() and _is_stale(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _is_stale(folder: Path) -> bool:
    try:
        with (folder / _LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    except FileNotFoundError:
        with suppress(OSError):
            return time.time() - folder.stat().st_mtime > _YOUNG_S
        return False
    except OSError:  # locked, or not ours to look into
        return False
