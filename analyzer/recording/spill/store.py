"""A store of columns in mapped files, which runs parts here or in other processes."""

from __future__ import annotations

import itertools
import mmap
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from analyzer.parts import IN_MEMORY, PART_ROWS
from analyzer.recording.spill.files import FileBuckets, FileColumns, Mappings
from analyzer.recording.spill.folder import spill_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from analyzer.parts import Buckets, ColumnWriter, Store

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Spill:
    """Columns in a folder's files.

    Attributes:
        folder: it must be there as long as the store is used.
        part_rows: packets of a part, about.
    """

    folder: Path
    part_rows: int = PART_ROWS
    _mappings: Mappings = field(default_factory=Mappings)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def columns(self) -> ColumnWriter:
        """New columns, each in a file of its own."""
        return FileColumns(self._stem(), self._mappings)

    def buckets(self, count: int) -> Buckets:
        """New buckets, each in a file of its own; ``count`` is not needed."""
        del count
        return FileBuckets(self._stem())

    def release(self, *captures: memoryview) -> None:
        """Take columns, and these mapped captures, out of memory: the files still have them."""
        self._mappings.release()
        for content in captures:
            if isinstance(content.obj, mmap.mmap):
                content.obj.madvise(mmap.MADV_DONTNEED)

    def map(
        self, function: Callable[..., Result], tasks: Iterable[tuple[Any, ...]]
    ) -> Iterator[Result]:
        """What a function returns for each task's arguments, one after another."""
        for task in tasks:
            yield function(*task)
            self.release()

    def _stem(self) -> Path:
        return self.folder / f"{next(self._numbers):06}"


SPILLED_BYTES = 48 << 20
"""Captures of fewer bytes are analysed in memory."""


@contextmanager
def store_for(beside: Path, capture_bytes: int) -> Iterator[Store]:
    """A store for captures of so many bytes: files only where they are large.

    Args:
        beside: the run's directory, for the files.
        capture_bytes: of all captures together.

    Raises:
        RecordingError: there is no room for the files.
    """
    if capture_bytes < SPILLED_BYTES:
        yield IN_MEMORY
        return
    with spilled(beside) as store:
        yield store


@contextmanager
def spilled(beside: Path, part_rows: int = PART_ROWS) -> Iterator[Spill]:
    """A store whose files lie in a hidden folder of a run's directory, and go with it.

    Raises:
        RecordingError: there is no room for it.
    """
    with spill_folder(beside) as folder:
        yield Spill(folder, part_rows)
