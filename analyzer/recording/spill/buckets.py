"""Rows dealt out to buckets, as files: one for what each task makes of each bucket.

So tasks write at the same time, and a bucket's room is given back as it is read.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from analyzer.errors import RecordingError
from analyzer.recording.directory.files import not_written
from analyzer.recording.spill.files import read_all, write_all

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from analyzer.parts import Columns, Dealt

    Kinds = tuple[tuple[str, np.dtype[Any]], ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows in a file, one column after another.

    Attributes:
        path: of the file.
        kinds: the columns' names and types, in the order of the file.
        size: how many rows.
    """

    path: Path
    kinds: Kinds
    size: int

    def read_into(self, columns: Columns, row: int) -> None:
        """Read the rows to where they belong, from ``row`` of the columns on; the file goes."""
        with self.path.open("rb", buffering=0) as file:
            for name, _ in self.kinds:
                read_all(file, columns[name][row : row + self.size])
        self.path.unlink()


@dataclass(frozen=True, slots=True)
class FileBucket:
    """A bucket's pieces, those with rows."""

    pieces: Sequence[Piece]

    def read(self) -> Columns:
        """All rows, in the order of the tasks; no column if there are none. The files go."""
        if not self.pieces:
            return {}
        *starts, size = itertools.accumulate((piece.size for piece in self.pieces), initial=0)
        columns: Columns = {name: np.empty(size, kind) for name, kind in self.pieces[0].kinds}
        for piece, start in zip(self.pieces, starts, strict=True):
            piece.read_into(columns, start)
        return columns


@dataclass(frozen=True, slots=True)
class FileBuckets:
    """What several tasks have dealt out: the pieces of each, by their buckets."""

    pieces: Sequence[dict[int, Piece]]

    def rows(self) -> int:
        """How many there were in all."""
        return sum(piece.size for task in self.pieces for piece in task.values())

    def bucket(self, number: int) -> FileBucket:
        """One of them."""
        return FileBucket([task[number] for task in self.pieces if number in task])


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

    def __call__(self, number: int, *task: Any) -> dict[int, Piece]:
        """Run task ``number``.

        Raises:
            RecordingError: there is no room for its rows.
        """
        return write_pieces(self.stem, self.count, number, self.function(*task))


def write_pieces(stem: Path, count: int, number: int, dealt: Dealt) -> dict[int, Piece]:
    """Write the rows of task ``number`` to a file for each of ``count`` buckets.

    Raises:
        RecordingError: there is no room for them.
    """
    columns, bounds = dealt.in_buckets(count)
    kinds = tuple((name, column.dtype) for name, column in columns.items())
    pieces: dict[int, Piece] = {}
    try:
        for bucket, (first, last) in enumerate(itertools.pairwise(bounds.tolist())):
            if first == last:
                continue
            path = stem.with_name(f"{stem.name}.{number}.{bucket}")
            with path.open("wb", buffering=0) as file:
                for column in columns.values():
                    write_all(file, column[first:last])
            pieces[bucket] = Piece(path, kinds, last - first)
    except OSError as error:
        raise RecordingError(not_written(stem.parent, error)) from error
    return pieces
