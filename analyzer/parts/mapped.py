"""Files mapped into memory: read as if they were there, and gone from it when asked."""

from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from analyzer.errors import RecordingError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt


class MappedFile(mmap.mmap):
    """A file, mapped to be read; ``path`` says which, ``inode`` what that name stood for."""

    path: Path
    inode: tuple[int, int]

    @classmethod
    def of(cls, path: Path) -> MappedFile:
        """Map a file that is not empty; raises OSError."""
        with path.open("rb") as file:
            content = cls(file.fileno(), 0, access=mmap.ACCESS_READ)
            content.inode = _inode(file.fileno())
        content.path = path.absolute()
        return content


def _inode(file: int) -> tuple[int, int]:
    found = os.fstat(file)
    return found.st_dev, found.st_ino


class Copied(np.ndarray[tuple[int], np.dtype[np.uint8]]):
    """Bytes of a file, in memory; ``path`` and ``first`` say where they are from."""

    path: Path
    first: int


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


def copied(part: memoryview) -> memoryview:
    """A part of a mapped file, read: shorter where the file was cut off since.

    To read it from the map would be SIGBUS then. What lies in memory, or in a file that has been
    deleted or renamed, comes back as it is.
    """
    file = mapped_file_of(part)
    if file is None or not len(part):
        return part
    made = np.empty(len(part), dtype=np.uint8).view(Copied)
    made.path, made.first = file.path, place_of(part, file)
    try:
        with file.path.open("rb", buffering=0) as opened:
            if _inode(opened.fileno()) != file.inode:
                return part
            return made.data[: os.preadv(opened.fileno(), [made.data], made.first)]
    except OSError:
        return part


def is_whole(rows: memoryview) -> bool:
    """Whether a mapped file still has all the bytes that it had: to read others is SIGBUS."""
    file = mapped_file_of(rows)
    return file is None or file.size() >= len(file)


def release(rows: memoryview | npt.NDArray[Any]) -> None:
    """Take a mapped file's pages out of memory; what is read again comes back from the file."""
    file = mapped_file_of(rows)
    if file is not None:
        file.madvise(mmap.MADV_DONTNEED)
