"""Files of our own mapped into memory: read as if they were there, and gone from it when asked."""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, Any

import numpy as np

from analyzer.errors import RecordingError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt


class MappedFile(mmap.mmap):
    """A file, mapped to be read; ``path`` says which. Nobody else may cut it off meanwhile."""

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


def mapped_file_of(rows: memoryview | npt.NDArray[Any]) -> MappedFile | None:
    """The mapped file that a view or an array of it lies in; None of what lies in memory."""
    owner: Any = rows
    while isinstance(owner, np.ndarray):
        owner = owner.base
    owner = owner.obj if isinstance(owner, memoryview) else owner
    return owner if isinstance(owner, MappedFile) else None


def place_of(part: memoryview | npt.NDArray[Any], whole: mmap.mmap | npt.NDArray[Any]) -> int:
    """Where in a mapped file, or in other bytes, a part of it begins."""
    begins, first = (
        rows if isinstance(rows, np.ndarray) else np.frombuffer(rows, dtype=np.uint8)
        for rows in (part, whole)
    )
    return int(begins.ctypes.data - first.ctypes.data)


def release(rows: memoryview | npt.NDArray[Any]) -> None:
    """Take a mapped file's pages out of memory; what is read again comes back from the file."""
    file = mapped_file_of(rows)
    if file is not None:
        file.madvise(mmap.MADV_DONTNEED)
