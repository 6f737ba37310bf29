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
    from collections.abc import Mapping
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
    left = np.ascontiguousarray(rows).view(np.uint8).data
    while left:
        left = left[file.write(left) :]


def read_all(file: RawIOBase, rows: Array) -> None:
    """Fill rows with what comes next in a file; raises OSError if it ends before."""
    left = rows.view(np.uint8).data
    while left:
        count = file.readinto(left)
        if not count:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        left = left[count:]
