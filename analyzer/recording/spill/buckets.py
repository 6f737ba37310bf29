"""Rows dealt out to buckets, as files: one for each bucket and each process that writes to it.

So processes write at the same time, a bucket's room is given back as it is read, and there are no
more files than buckets, however many tasks deal rows out.
"""

from __future__ import annotations

import itertools
import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import get_native_id
from typing import TYPE_CHECKING, Any

import numpy as np

from analyzer.errors import RecordingError
from analyzer.recording.directory.files import not_written
from analyzer.recording.spill.files import append_bytes, bytes_of, read_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import numpy.typing as npt

    from analyzer.parts import Columns, Dealt

    Kinds = tuple[tuple[str, np.dtype[Any]], ...]
    Bytes = npt.NDArray[np.int64]
    Counts = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Pieces:
    """The rows of one task, in the buckets' files of the process that ran it.

    Attributes:
        writer: of the process: a part of the files' names.
        kinds: the columns' names and types, in the order in which each piece has them.
        starts: where the piece begins in each bucket's file, bytes; shape (buckets,).
        sizes: the rows of each piece; shape (buckets,).
    """

    writer: str
    kinds: Kinds
    starts: Bytes
    sizes: Counts


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows in a file, one column after another; ``start`` is where, ``size`` how many rows."""

    path: Path
    start: int
    size: int


@dataclass(frozen=True, slots=True)
class FileBucket:
    """A bucket's pieces, those with rows; ``kinds`` as those of the pieces."""

    kinds: Kinds
    pieces: Sequence[Piece]

    def read(self) -> Columns:
        """All rows, in the order of the tasks; no column if there are none. The files go."""
        if not self.pieces:
            return {}
        *firsts, size = itertools.accumulate((piece.size for piece in self.pieces), initial=0)
        columns: Columns = {name: np.empty(size, kind) for name, kind in self.kinds}
        raw = _raw(columns)
        with _opened({piece.path for piece in self.pieces}) as files:
            for piece, first in zip(self.pieces, firsts, strict=True):
                read_bytes(files[piece.path], _cut(raw, first, first + piece.size), piece.start)
        return columns


@dataclass(frozen=True, slots=True)
class FileBuckets:
    """What several tasks have dealt out, in their order; ``stem`` of the files' names."""

    stem: Path
    tasks: Sequence[Pieces]

    def rows(self) -> int:
        """How many there were in all."""
        return sum(int(task.sizes.sum(dtype=np.int64)) for task in self.tasks)

    def bucket(self, number: int) -> FileBucket:
        """One of them."""
        found = [task for task in self.tasks if task.sizes[number]]
        writers = {task.writer for task in found}
        paths = {writer: Path(_path(self.stem, writer, number)) for writer in writers}
        pieces = [
            Piece(paths[task.writer], int(task.starts[number]), int(task.sizes[number]))
            for task in found
        ]
        return FileBucket(found[0].kinds if found else (), pieces)


@dataclass(frozen=True, slots=True)
class Dealing:
    """A function whose rows are written by the process that runs it; returns the pieces.

    Attributes:
        function: of a module, or a partial of one.
        stem: of the files' names.
        count: of buckets.
    """

    function: Callable[..., Dealt]
    stem: Path
    count: int

    def __call__(self, *task: Any) -> Pieces:
        """Run a task.

        Raises:
            RecordingError: there is no room for its rows.
        """
        return write_pieces(self.stem, self.count, self.function(*task))


def write_pieces(stem: Path, count: int, dealt: Dealt) -> Pieces:
    """Add the rows of a task to the files of ``count`` buckets.

    Raises:
        RecordingError: there is no room for them.
    """
    columns, bounds = dealt.in_buckets(count)
    writer = f"{os.getpid()}-{get_native_id()}"
    raw, starts = _raw(columns), np.zeros(count, dtype=np.int64)
    try:
        for bucket, (first, last) in enumerate(itertools.pairwise(bounds.tolist())):
            if first < last:
                path = _path(stem, writer, bucket)
                starts[bucket] = append_bytes(path, _cut(raw, first, last))
    except OSError as error:
        raise RecordingError(not_written(stem.parent, error)) from error
    kinds = tuple((name, column.dtype) for name, column in columns.items())
    return Pieces(writer, kinds, starts, np.diff(bounds).astype(np.int32))


def _path(stem: Path, writer: str, bucket: int) -> str:
    return f"{stem}.{writer}.{bucket}"


def _raw(columns: Columns) -> list[tuple[memoryview, int]]:
    """The bytes of each column, and how many a row has."""
    return [(bytes_of(column), column.itemsize) for column in columns.values()]


def _cut(raw: list[tuple[memoryview, int]], first: int, last: int) -> list[memoryview]:
    return [content[first * size : last * size] for content, size in raw]


@contextmanager
def _opened(paths: Iterable[Path]) -> Iterator[dict[Path, int]]:
    """Files to be read, which then go."""
    files = {path: os.open(path, os.O_RDONLY) for path in paths}
    try:
        yield files
    finally:
        for path, file in files.items():
            os.close(file)
            path.unlink()
