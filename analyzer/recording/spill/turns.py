"""Rows that other processes write to files themselves, each task's where they belong.

The tasks are begun in their order, so that one may wait for what those before it say: how many
rows they have. Then all write at once.
"""

from __future__ import annotations

import json
import os
import struct
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from analyzer.errors import RecordingError
from analyzer.recording.directory.files import not_written
from analyzer.recording.spill.files import column_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import numpy.typing as npt

    from analyzer.parts import Columns, Rows

Result = TypeVar("Result")

_PLACE = struct.Struct("=bqq")
"""Of each task: how it went, and the rows and numbers up to its end."""

_DONE, _FAILED = 1, 2
_ASK_EVERY_S = 0.0005


@dataclass(frozen=True, slots=True)
class Filling(Generic[Result]):
    """A function whose columns are written by the process that runs it; returns the rest.

    Attributes:
        function: of a module, or a partial of one.
        stem: of the columns' files.
    """

    function: Callable[..., Rows[Result]]
    stem: Path

    def __call__(self, number: int, *task: Any) -> Result:
        """Run task ``number``.

        Raises:
            RecordingError: there is no room for its rows.
        """
        with _turn(self.stem, number) as turn:
            made = self.function(*task)
            size = len(next(iter(made.columns.values()), ()))
            rows, numbers = turn.wait()
            kinds = _kinds(self.stem, made.columns)
            turn.pass_on(rows + size, numbers + made.count)
            for name, column in made.counted_from(numbers).items():
                _write_at(
                    column_path(self.stem, name), rows, column.astype(kinds[name], copy=False)
                )
        return made.rest


@dataclass(slots=True)
class _Turn:
    file: int
    number: int
    passed_on: bool = False

    def wait(self) -> tuple[int, int]:
        """What the tasks before have in all: rows, and numbers."""
        if self.number == 0:
            return 0, 0
        at = (self.number - 1) * _PLACE.size
        while True:
            found = os.pread(self.file, _PLACE.size, at)
            how, rows, numbers = _PLACE.unpack(found) if len(found) == _PLACE.size else (0, 0, 0)
            if how == _DONE:
                return rows, numbers
            # Where the analysis has been given up, its folder is gone, and nobody waits for this.
            if how == _FAILED or os.fstat(self.file).st_nlink == 0:
                raise RecordingError("a part before this one could not be analysed")
            time.sleep(_ASK_EVERY_S)

    def pass_on(self, rows: int, numbers: int, how: int = _DONE) -> None:
        os.pwrite(self.file, _PLACE.pack(how, rows, numbers), self.number * _PLACE.size)
        self.passed_on = True


@contextmanager
def _turn(stem: Path, number: int) -> Iterator[_Turn]:
    """The turn of a task: whatever happens, those after it do not wait for ever."""
    try:
        file = os.open(_with(stem, "turns"), os.O_RDWR | os.O_CREAT, 0o600)
        turn = _Turn(file, number)
        try:
            yield turn
        finally:
            if not turn.passed_on:
                turn.pass_on(0, 0, _FAILED)
            os.close(file)
    except OSError as error:
        raise RecordingError(not_written(stem.parent, error)) from error


def _with(stem: Path, suffix: str) -> Path:
    return stem.with_name(f"{stem.name}-{suffix}")


def _kinds(stem: Path, columns: Columns) -> dict[str, np.dtype[Any]]:
    """The columns' types: those of the first rows; only whose turn it is asks."""
    known = filled_kinds(stem)
    if known or not columns:
        return known
    for name in columns:
        column_path(stem, name).touch()
    kinds = {name: column.dtype.str for name, column in columns.items()}
    _with(stem, "kinds").write_text(json.dumps(kinds), encoding="ascii")
    return filled_kinds(stem)


def filled_kinds(stem: Path) -> dict[str, np.dtype[Any]]:
    """The types of the columns that have been filled; empty of none."""
    try:
        kinds = json.loads(_with(stem, "kinds").read_text(encoding="ascii"))
    except FileNotFoundError:
        return {}
    return {name: np.dtype(kind) for name, kind in kinds.items()}


def end_turns(stem: Path) -> None:
    """Delete what the tasks told each other."""
    for suffix in ("turns", "kinds"):
        _with(stem, suffix).unlink(missing_ok=True)


def _write_at(path: Path, row: int, column: npt.NDArray[Any]) -> None:
    left = np.ascontiguousarray(column).view(np.uint8).data
    at = row * column.dtype.itemsize
    file = os.open(path, os.O_WRONLY)
    try:
        while left:
            written = os.pwrite(file, left, at)
            left, at = left[written:], at + written
    finally:
        os.close(file)
