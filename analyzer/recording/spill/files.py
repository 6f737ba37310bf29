"""Columns as files: written in one go, mapped to be read."""

from __future__ import annotations

import errno
import mmap
import os
import weakref
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from analyzer.errors import RecordingError
from analyzer.parts.mapped import MappedFile
from analyzer.recording.directory.files import not_written

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from io import RawIOBase
    from pathlib import Path

    import numpy.typing as npt

    from analyzer.parts import Columns

    Array = npt.NDArray[Any]


@dataclass(slots=True)
class Mappings:
    """The files that are mapped now. Each is deleted when nothing refers to its column any more."""

    alive: dict[int, weakref.ref[MappedFile]] = field(default_factory=dict)

    def column(self, path: Path, dtype: np.dtype[Any]) -> Array:
        """A column whose file has been written."""
        if not path.stat().st_size:
            path.unlink()
            return np.zeros(0, dtype=dtype)
        content = MappedFile.of(path)
        number = id(content)
        self.alive[number] = weakref.ref(content)
        weakref.finalize(content, self._forget, number, path)
        return np.frombuffer(content, dtype=dtype)

    def see(self, content: MappedFile) -> None:
        """Release this file too, which somebody else has written."""
        self.alive[id(content)] = weakref.ref(content)

    def release(self) -> None:
        """Take the files' pages out of memory; what is read again comes back from the files."""
        for reference in list(self.alive.values()):
            content = reference()
            if content is not None:
                content.madvise(mmap.MADV_DONTNEED)

    def _forget(self, number: int, path: Path) -> None:
        self.alive.pop(number, None)
        path.unlink(missing_ok=True)


@dataclass(slots=True)
class FileColumns:
    """Columns that grow in files, one file for each."""

    stem: Path
    mappings: Mappings
    kinds: dict[str, np.dtype[Any]] = field(default_factory=dict)
    files: dict[str, RawIOBase] = field(default_factory=dict)
    closing: ExitStack = field(default_factory=ExitStack)

    def append(self, columns: Mapping[str, Array]) -> None:
        """Add rows.

        Raises:
            RecordingError: there is no room for them.
        """
        try:
            for name, rows in columns.items():
                if name not in self.files:
                    self.kinds[name] = rows.dtype
                    self.files[name] = self.closing.enter_context(
                        self._path(name).open("wb", buffering=0)
                    )
                write_all(self.files[name], rows.astype(self.kinds[name], copy=False))
        except OSError as error:
            self.closing.close()
            raise RecordingError(not_written(self.stem.parent, error)) from error

    def finish(self) -> Columns:
        """The whole columns, mapped."""
        self.closing.close()
        return {
            name: self.mappings.column(self._path(name), dtype)
            for name, dtype in self.kinds.items()
        }

    def _path(self, name: str) -> Path:
        return column_path(self.stem, name)


def column_path(stem: Path, name: str) -> Path:
    """The file of a column."""
    return stem.with_name(f"{stem.name}.{name}")


def write_all(file: RawIOBase, rows: Array) -> None:
    """Write rows as they lie in memory; raises OSError."""
    left = bytes_of(rows)
    while left:
        left = left[file.write(left) :]


def append_bytes(path: str, buffers: Sequence[memoryview]) -> int:
    """Add buffers, none of them empty, to a file; return where they begin. Raises OSError."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        start, left = os.fstat(file).st_size, buffers
        while left:
            left = _after(left, os.writev(file, left))
    finally:
        os.close(file)
    return start


def read_bytes(file: int, buffers: Sequence[memoryview], start: int) -> None:
    """Fill buffers with what a file has from ``start`` on; raises OSError if it ends before."""
    left = buffers
    while left:
        count = os.preadv(file, left, start)
        if not count:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        left, start = _after(left, count), start + count


def bytes_of(column: Array) -> memoryview:
    """The bytes of a column, or of a copy of one that does not lie in one piece."""
    return np.ascontiguousarray(column).view(np.uint8).data


def _after(buffers: Sequence[memoryview], count: int) -> Sequence[memoryview]:
    """What is left of buffers after so many bytes."""
    for number, buffer in enumerate(buffers):
        if count < len(buffer):
            return [buffer[count:], *buffers[number + 1 :]]
        count -= len(buffer)
    return ()
