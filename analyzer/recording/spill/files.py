"""Columns and buckets as files: written in one go, mapped to be read."""

from __future__ import annotations

import mmap
import weakref
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from analyzer.errors import RecordingError
from analyzer.recording.directory.files import MappedFile, not_written

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
                _write(self.files[name], rows.astype(self.kinds[name], copy=False))
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


@dataclass(frozen=True, slots=True)
class FileBucket:
    """Packed records in a file, which need not be there if there are none."""

    path: Path
    dtype: np.dtype[Any] | None

    def read(self) -> Columns:
        """All rows; the file is deleted."""
        if self.dtype is None or not self.path.exists():
            return {}
        records = np.fromfile(self.path, dtype=self.dtype)
        self.path.unlink()
        return {name: np.ascontiguousarray(records[name]) for name in self.dtype.names or ()}


@dataclass(slots=True)
class FileBuckets:
    """Rows dealt out to numbered files, as packed records."""

    stem: Path
    dtype: np.dtype[Any] | None = None

    def append(self, bucket: int, columns: Mapping[str, Array]) -> None:
        """Add rows to a bucket.

        Raises:
            RecordingError: there is no room for them.
        """
        if self.dtype is None:
            self.dtype = np.dtype([(name, rows.dtype) for name, rows in columns.items()])
        records = np.empty(len(next(iter(columns.values()))), dtype=self.dtype)
        for name, rows in columns.items():
            records[name] = rows
        try:
            with self._path(bucket).open("ab", buffering=0) as file:
                _write(file, records)
        except OSError as error:
            raise RecordingError(not_written(self.stem.parent, error)) from error

    def bucket(self, number: int) -> FileBucket:
        """One of them."""
        return FileBucket(self._path(number), self.dtype)

    def _path(self, bucket: int) -> Path:
        return self.stem.with_name(f"{self.stem.name}.{bucket}")


def _write(file: RawIOBase, rows: Array) -> None:
    left = np.ascontiguousarray(rows).view(np.uint8).data
    while left:
        left = left[file.write(left) :]
