"""One table of a run directory: rows that wait in memory, and the parts that they become."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from analyzer.ipvs.addresses import ENTRY_KEY
from analyzer.recording.directory.files import hidden_until_whole
from analyzer.recording.directory.layout import part_files
from analyzer.recording.tables import TABLES, in_full

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

ROWS_HELD = 20_000
"""Rows of a table, added one by one, that wait in memory at most."""

BYTES_HELD = 32 << 20
"""Bytes of a table that wait in memory at most; more are written without waiting for a flush."""

PART_ROWS, PART_BYTES = 10_000, 4 << 20
"""A part of fewer rows is written again, whole, with those that come later: a watch of many hours
is not many thousand files, each with a head of its own."""

HELD = "held.parquet"
"""In ``entries/``: what was there when the parts before those that are left were deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of a table that is full: nothing is written to it any more.

    Attributes:
        ended_ns: when its last rows were written, Unix time.
    """

    table: str
    path: Path
    size_bytes: int
    ended_ns: int


class TableWriter:
    """Writes the rows of one table as parts.

    Args:
        run: the run directory.
        name: the table's.
        writing: wraps each write of a file; it may swallow that write's OSError.
    """

    def __init__(
        self, run: Path, name: str, writing: Callable[[Path], AbstractContextManager[None]]
    ) -> None:
        self._run = run
        self._name = name
        self._writing = writing
        self._rows: list[Mapping[str, Any]] = []
        self._columns: list[pa.Table] = []
        self._bytes = 0
        self._growing: list[pa.Table] = []  # what the next part has on disk already
        self._full_parts = 0

    def append(self, row: Mapping[str, Any]) -> None:
        """Add one row; columns that it does not name are null."""
        self._rows.append(row)
        if len(self._rows) >= ROWS_HELD:
            self._gather()

    def extend(self, rows: pa.Table) -> None:
        """Add rows with all of the table's columns."""
        self._gather()
        self._hold(rows)

    def flush(self) -> None:
        """Write what waits."""
        self._gather()
        if self._columns:
            self._write_part()

    def forget(self) -> None:
        """Let go of what waits, unwritten."""
        for waiting in (self._rows, self._columns, self._growing):
            waiting.clear()

    def size_bytes(self) -> int:
        """What the parts take on disk."""
        return sum(path.stat().st_size for path in part_files(self._run, self._name))

    def full_parts(self) -> Iterator[Part]:
        """The parts that nothing is written to any more, the oldest first."""
        for path in part_files(self._run, self._name):
            if path.name != HELD and path.name < self._next_part().name:
                stat = path.stat()
                yield Part(
                    table=self._name,
                    path=path,
                    size_bytes=stat.st_size,
                    ended_ns=stat.st_mtime_ns,
                )

    def _next_part(self) -> Path:
        """The part that is written next, or again."""
        return self._run / self._name / f"part-{self._full_parts:05d}.parquet"

    def _gather(self) -> None:
        """Turn the rows that came one by one into columns, which take a tenth of the memory."""
        if self._rows:
            columns = pa.Table.from_pylist(self._rows, schema=TABLES[self._name])
            self._rows.clear()
            self._hold(columns)

    def _hold(self, rows: pa.Table) -> None:
        self._columns.append(rows)
        self._bytes += rows.nbytes
        if self._bytes > BYTES_HELD:
            self._write_part()

    def _write_part(self) -> None:
        part, is_written = self._next_part(), False
        rows = pa.concat_tables([*self._growing, *self._columns]).combine_chunks()
        with self._writing(part):
            part.parent.mkdir(exist_ok=True)
            _write_rows(rows, part)
            is_written = True
        if not is_written:
            return
        self._columns.clear()
        self._bytes = 0
        is_full = rows.num_rows >= PART_ROWS or rows.nbytes >= PART_BYTES
        self._growing = [] if is_full else [rows]
        self._full_parts += is_full


def keep_entries_held(part: Path) -> None:
    """Write which entries there were at the end of a part of ``entries``, the oldest one left.

    Each stands there as if it appeared when it last changed, so that the table at any later
    instant can still be rebuilt once the part is deleted.
    """
    from pyarrow.parquet import read_table

    target = part.with_name(HELD)
    parts = [path for path in (target, part) if path.exists()]
    rows = pa.concat_tables([in_full(read_table(p), TABLES["entries"]) for p in parts])
    changes = rows.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    last = changes.sort_values("at", kind="stable").drop_duplicates([*ENTRY_KEY], keep="last")
    held = last[last["change"] != "gone"].assign(change="appeared")
    table = pa.Table.from_pandas(held, schema=TABLES["entries"], preserve_index=False)
    _write_rows(table, target)


def _write_rows(rows: pa.Table, path: Path) -> None:
    from pyarrow.parquet import write_table  # a recording without rows needs none of it

    with hidden_until_whole(path) as hidden:
        write_table(rows, hidden, compression="zstd")
