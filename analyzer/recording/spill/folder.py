"""Hidden folders for what is not whole yet: locked while they are used, found after a kill."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from analyzer.errors import RecordingError
from analyzer.recording.directory.files import not_written

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = ".loadgen-parts-"
_LOCK, _NEW_LOCK, _WHOLE = "lock", "new-lock", "whole"
_LARGE = "/var/tmp"  # noqa: S108 - each has a folder of its own there
_YOUNG_S = 60.0
"""An empty folder that is no older may be about to have a lock."""


@contextmanager
def spill_folder(beside: Path) -> Iterator[Path]:
    """A folder in a run's directory, or a temporary one where that takes none; then deleted.

    Raises:
        RecordingError: neither can be made.
    """
    with _locked(_made_in_first(beside, *_for_large_files())) as folder:
        yield folder


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder for large temporary files; then deleted.

    Raises:
        RecordingError: there is no place that takes one.
    """
    with _locked(_made_in_first(*_for_large_files())) as folder:
        yield folder


@contextmanager
def directory_until_whole(path: Path) -> Iterator[Path]:
    """Where to make a directory: it is renamed afterwards, or deleted on an error.

    What a kill leaves is deleted when the next one is made beside.

    Raises:
        RecordingError: there is no room for it, or something else has its name by now.
    """
    missing = [parent for parent in path.parents if not parent.exists()]
    try:
        with _locked(_made_in(path.parent, path)) as folder:
            yield folder / _WHOLE
            try:
                (folder / _WHOLE).rename(path)
            except OSError as error:
                raise RecordingError(not_written(path, error)) from error
    except BaseException:
        for parent in missing:
            with suppress(OSError):
                parent.rmdir()
        raise


def _made_in(parent: Path, path: Path) -> Path:
    try:
        parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent.absolute()))
    except OSError as error:
        raise RecordingError(not_written(path, error)) from error


@contextmanager
def _locked(folder: Path) -> Iterator[Path]:
    """A new folder, locked while it is used and then deleted; so are those that nobody uses."""
    try:
        with (folder / _NEW_LOCK).open("wb") as lock:
            with suppress(OSError):  # a file system without locks: then none is found stale there
                fcntl.flock(lock, fcntl.LOCK_EX)
            (folder / _NEW_LOCK).rename(folder / _LOCK)  # nobody finds it before it is locked
            remove_stale(folder.parent, folder)
            yield folder
    finally:
        _remove(folder)


def _made_in_first(*parents: Path) -> Path:
    """A new folder, by a name that other processes know it by, too."""
    for parent in parents:
        with suppress(OSError):
            return Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent.absolute()))
    try:
        return Path(tempfile.mkdtemp(prefix=PREFIX))
    except OSError as error:
        raise RecordingError(not_written(parents[-1], error)) from error


def _for_large_files() -> list[Path]:
    """The machine's folders for large temporary files: /tmp is often kept in memory (hier(7))."""
    return [Path(named) for named in (os.environ.get("TMPDIR"), _LARGE) if named]


def remove_stale(beside: Path, own: Path) -> None:
    """Delete what killed analyses left in a run's directory, beside one's own new folder."""
    now_s = own.stat().st_mtime
    for folder in beside.glob(f"{PREFIX}*"):
        if folder != own and _is_ours(folder) and _is_stale(folder, now_s):
            _remove(folder)


def _remove(folder: Path) -> None:
    """Delete it, the lock last: what an interrupted removal leaves is still found."""
    with suppress(OSError):  # under another name, no task that still runs adds to it
        folder = folder.rename(folder.with_name(f"{folder.name}-gone"))
    with suppress(OSError):
        for path in folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name != _LOCK:
                path.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def _is_ours(folder: Path) -> bool:
    """Whether a folder is this user's: others may put theirs beside, and swap it meanwhile."""
    with suppress(OSError):
        found = folder.lstat()
        return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
    return False


def _is_stale(folder: Path, now_s: float) -> bool:
    """Whether it is one of ours, and nobody works in it."""
    # Nobody knows who made it; NFS locks what may be written alone (flock(2)).
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        lock = os.open(folder / _LOCK, flags)
    except FileNotFoundError:
        _remove_if_empty(folder, now_s)
        return False
    except OSError:  # not ours to look into
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return stat.S_ISREG(os.fstat(lock).st_mode)
    except OSError:  # locked
        return False
    finally:
        os.close(lock)


def _remove_if_empty(folder: Path, now_s: float) -> None:
    """Remove a folder that was made, and its maker killed before it had a lock."""
    with suppress(OSError):
        if now_s - folder.stat().st_mtime > _YOUNG_S:
            (folder / _NEW_LOCK).unlink(missing_ok=True)
            folder.rmdir()
