"""A store of columns in mapped files, which runs parts here or in other processes."""

from __future__ import annotations

import itertools
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from analyzer.errors import RecordingError
from analyzer.parts import IN_MEMORY, PART_ROWS, fill_here
from analyzer.recording.directory.files import not_written
from analyzer.recording.spill.buckets import Dealing, FileBuckets, write_pieces
from analyzer.recording.spill.files import FileColumns, Mappings
from analyzer.recording.spill.folder import spill_folder
from analyzer.recording.spill.tasks import in_other_processes, mapped_files
from analyzer.recording.spill.turns import Filling, end_turns, filled_kinds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from analyzer.parts import Buckets, ColumnWriter, Dealt, Rows, Store
    from analyzer.parts.mapped import MappedFile
    from analyzer.recording.spill.tasks import Workers

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Spill:
    """Columns in a folder's files.

    Attributes:
        folder: it must be there as long as the store is used.
        part_rows: packets of a part, about.
        workers: run the parts; by default this process does.
        progress: is told how many packets, and what share of the captures, have been read.
        requests_progress: is told the same of the rows of requests.
    """

    folder: Path
    part_rows: int = PART_ROWS
    workers: Workers | None = None
    progress: Callable[[int, float], None] | None = None
    requests_progress: Callable[[int, float], None] | None = None
    _mappings: Mappings = field(default_factory=Mappings)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def columns(self) -> ColumnWriter:
        """New columns, each in a file of its own."""
        return FileColumns(self._stem(), self._mappings)

    def reading(self, packets: int, share: float) -> None:
        """Hand it on."""
        if self.progress:
            self.progress(packets, share)

    def reading_requests(self, rows: int, share: float) -> None:
        """Hand it on."""
        if self.requests_progress:
            self.requests_progress(rows, share)

    def see(self, file: MappedFile) -> None:
        """Release a mapped file of another store too."""
        self._mappings.see(file)

    def release(self) -> None:
        """Take columns out of memory: the files still have them."""
        self._mappings.release()

    def map(
        self, function: Callable[..., Result], tasks: Iterable[tuple[Any, ...]]
    ) -> Iterator[Result]:
        """What a function returns for each task's arguments, here or in other processes."""
        workers = self.workers
        results = (
            in_other_processes(workers, function, tasks)
            if workers
            else (function(*task) for task in tasks)
        )
        for result in results:
            yield result
            self.release()

    def apart(
        self, function: Callable[..., Result], tasks: Iterable[tuple[Any, ...]]
    ) -> Iterator[Result]:
        """As ``map``, with a store for each task, by processes of this host; else with this one."""
        if self._in_turns():
            return self.map(_Apart(function, self._stem(), self.part_rows), _numbered(tasks))
        return (function(self, *task) for task in tasks)

    def fill(
        self,
        writer: ColumnWriter,
        function: Callable[..., Rows[Result]],
        tasks: Iterable[tuple[Any, ...]],
    ) -> Iterator[Result]:
        """Add what a function makes of each task to columns, by who runs it; the rest of it."""
        if not isinstance(writer, FileColumns) or not self._in_turns():
            yield from fill_here(writer, self.map(function, tasks))
            return
        yield from self.map(Filling(function, writer.stem), _numbered(tasks))
        writer.kinds = filled_kinds(writer.stem)
        end_turns(writer.stem)

    def deal(
        self, count: int, function: Callable[..., Dealt], tasks: Iterable[tuple[Any, ...]]
    ) -> Buckets:
        """So many buckets of what a function makes of each task, written by who runs it."""
        if not self._in_turns():
            return self.keep(count, self.map(function, tasks))
        stem = self._stem()
        return FileBuckets(stem, list(self.map(Dealing(function, stem, count), tasks)))

    def keep(self, count: int, made: Iterable[Dealt]) -> Buckets:
        """So many buckets of rows that are here, written by this process."""
        stem, pieces = self._stem(), []
        for dealt in made:
            pieces.append(write_pieces(stem, count, dealt))
            self.release()
        return FileBuckets(stem, pieces)

    def _in_turns(self) -> bool:
        """Whether tasks are run by others, which write to the folder and begin them in order."""
        return self.workers is not None and self.workers.in_order

    def _stem(self) -> Path:
        return self.folder / f"{next(self._numbers):06}"


@dataclass(frozen=True, slots=True)
class _Apart(Generic[Result]):
    """A function that is given a store of its own, in a folder beside ``stem``."""

    function: Callable[..., Result]
    stem: Path
    part_rows: int

    def __call__(self, number: int, *task: Any) -> Result:
        """Run task ``number``.

        Raises:
            RecordingError: there is no room for what it keeps.
        """
        folder = self.stem.with_name(f"{self.stem.name}.{number}")
        try:
            folder.mkdir()
        except OSError as error:
            raise RecordingError(not_written(folder.parent, error)) from error
        store = Spill(folder, self.part_rows)
        for file in mapped_files(task):
            store.see(file)
        try:
            return self.function(store, *task)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _numbered(tasks: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    return ((number, *task) for number, task in enumerate(tasks))


SPILLED_BYTES = 48 << 20
"""What the analysis of a run keeps is in memory if it is about fewer bytes: ``long_bytes``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What a long analysis may use, and whom it tells how far it is; as in ``Spill``.

    Attributes:
        workers_from_bytes: runs of fewer ``long_bytes`` are analysed without the workers: they
            take time to start.
    """

    workers: Workers | None = None
    workers_from_bytes: int = 0
    progress: Callable[[int, float], None] | None = None
    requests_progress: Callable[[int, float], None] | None = None

    def uses_workers(self, long_bytes: int) -> bool:
        """Whether workers run the parts of what is about so many bytes; in memory nobody does."""
        from_bytes = max(SPILLED_BYTES, self.workers_from_bytes)
        return self.workers is not None and long_bytes >= from_bytes


ALONE = Means()


@contextmanager
def store_for(beside: Path, long_bytes: int, means: Means = ALONE) -> Iterator[Store]:
    """A store for what is about so many bytes: files only where they are many.

    Args:
        beside: the run's directory, for the files.
        long_bytes: of its captures, and some for each row of its long tables.
        means: for a long run.

    Raises:
        RecordingError: there is no room for the files.
    """
    if long_bytes < SPILLED_BYTES:
        yield IN_MEMORY
        return
    if not means.uses_workers(long_bytes):
        means = replace(means, workers=None)
    with spilled(beside, means=means) as store:
        yield store


@contextmanager
def spilled(beside: Path, part_rows: int = PART_ROWS, means: Means = ALONE) -> Iterator[Spill]:
    """A store whose files lie in a hidden folder of a run's directory, and go with it.

    Raises:
        RecordingError: there is no room for it.
    """
    with spill_folder(beside) as folder:
        yield Spill(folder, part_rows, means.workers, means.progress, means.requests_progress)
