"""Files that are written whole or not at all, and files mapped into memory."""

from __future__ import annotations

import mmap
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from analyzer.errors import RecordingError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class MappedFile(mmap.mmap):
    """A file, mapped to be read; ``path`` says which."""

    path: Path

    @classmethod
    def of(cls, path: Path) -> MappedFile:
        """Map a file that is not empty; raises OSError."""
        with path.open("rb") as file:
            content = cls(file.fileno(), 0, access=mmap.ACCESS_READ)
        content.path = path.absolute()
        return content


def mapped(path: Path) -> memoryview:
    """A file's bytes, mapped (``MappedFile``).

    Raises:
        RecordingError: it cannot be read.
    """
    try:
        return memoryview(MappedFile.of(path) if path.stat().st_size else b"")
    except OSError as error:
        raise RecordingError(f"{path}: not readable: {error.strerror}") from error


def release(content: memoryview) -> None:
    """Take a mapped file's pages out of memory; what is read again comes back from the file."""
    if isinstance(content.obj, mmap.mmap):
        content.obj.madvise(mmap.MADV_DONTNEED)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under a hidden name and rename it: whole or not at all."""
    with hidden_until_whole(path) as hidden:
        hidden.write_bytes(content)


def write_derived(path: Path, text: str) -> Path:
    """Write what was derived from recordings, whole or not at all; its path.

    Raises:
        RecordingError: it cannot be written.
    """
    try:
        write_whole(path, text.encode())
    except OSError as error:
        raise RecordingError(not_written(path, error)) from error
    return path


@contextmanager
def hidden_until_whole(path: Path) -> Iterator[Path]:
    """A hidden name to write a file under; it is renamed afterwards, or deleted on an error."""
    hidden = path.with_name(f".{path.name[:40]}.{os.getpid()}")  # no longer than a name may be
    try:
        yield hidden
        hidden.rename(path)
    except BaseException:
        with suppress(OSError):
            hidden.unlink(missing_ok=True)
        raise


def not_written(path: Path, error: OSError) -> str:
    """Which file could not be written, and the machine's reason, without its library's words."""
    why = os.strerror(error.errno) if error.errno else str(error)
    return f"{path}: cannot be written: {why}"
