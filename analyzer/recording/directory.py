"""The run directory: what a run leaves behind, and all that an analysis may know of it.

A recording is a manifest (``run.json``), one Parquet dataset per table (a folder of parts) and the
packets (``capture.pcap``, and ``capture-00001.pcap`` … where it was rotated). Parts are written
under a hidden name and then renamed, so a crash loses at most the rows that were not yet flushed,
and never spoils a part.

This is the only module of the analyzer that touches a disk.
"""

from __future__ import annotations

import json
import mmap
import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from analyzer.errors import RecordingError
from analyzer.ipvs.addresses import ENTRY_KEY
from analyzer.recording.manifest import manifest_of
from analyzer.recording.reading import read_part
from analyzer.recording.tables import TABLES, in_full, table_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from analyzer.recording.manifest import Manifest

SCHEMA_VERSION = 1
CAPTURE = "capture.pcap"
ROTATED = "capture-[0-9]*.pcap"  # capture-00001.pcap follows capture.pcap, and so on
MANIFEST = "run.json"
ANALYSIS = "analysis.json"
REPORT = "report.html"
COMPARISON = "comparison.html"
MOST_DERIVED_BYTES = 64 << 20
"""Of an ``analysis.json`` that is believed; ours have some hundred kilobytes."""

_MOST_CHARACTERS = 200  # of an error about a part

ROWS_HELD = 20_000
"""Rows of a table, added one by one, that wait in memory at most."""

BYTES_HELD = 32 << 20
"""Bytes of a table that wait in memory at most; more are written without waiting for a flush."""


HELD = "held.parquet"
"""In ``entries/``: what was there when the parts before those that are left were deleted."""

PART_ROWS, PART_BYTES = 10_000, 4 << 20
"""A part of fewer rows is written again, whole, with those that come later: a watch of many hours
is not many thousand files, each with a head of its own."""


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


class RecordingWriter:
    """Streams one run to its directory.

    A write that fails (a full disk, a limit of the size of files) raises RecordingError, unless
    the run is to outlive its recording (``outlive``): then nothing more is written.

    Attributes:
        stopped: which file could not be written, and why; None as long as all could.

    Raises:
        RecordingError: the directory holds a recording already, or cannot be written.
    """

    def __init__(self, path: Path, manifest: Mapping[str, Any]) -> None:
        try:
            if (path / MANIFEST).exists():
                raise RecordingError(f"{path}: holds a recording already; name another directory")
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            why = error.strerror
            raise RecordingError(f"{path}: cannot be made a run directory: {why}") from error
        self.path = path
        self.stopped: str | None = None
        self._on_stop: Callable[[str], object] | None = None
        self._manifest = {"schema_version": SCHEMA_VERSION} | dict(manifest)
        self._rows: dict[str, list[Mapping[str, Any]]] = {name: [] for name in TABLES}
        self._held: dict[str, list[pa.Table]] = {name: [] for name in TABLES}
        self._bytes = dict.fromkeys(TABLES, 0)
        self._growing: dict[str, list[pa.Table]] = {name: [] for name in TABLES}
        self._parts = dict.fromkeys(TABLES, 0)
        self._followers: dict[str, list[Callable[[Mapping[str, Any]], object]]] = {}
        self.update_manifest({})

    @property
    def manifest(self) -> Mapping[str, Any]:
        """``run.json`` as it stands."""
        return self._manifest

    @property
    def capture_path(self) -> Path:
        """Where the packets go."""
        return self.path / CAPTURE

    def outlive(self, on_stop: Callable[[str], object]) -> None:
        """From now on a write that fails ends the recording, not the run.

        Args:
            on_stop: called once, with the file that could not be written and why.
        """
        self._on_stop = on_stop

    def append(self, table: str, row: Mapping[str, Any]) -> None:
        """Add one row; columns that it does not name are null."""
        for follower in self._followers.get(table, ()):
            follower(row)
        if self.stopped is not None:
            return
        rows = self._rows[table]
        rows.append(row)
        if len(rows) >= ROWS_HELD:
            self._gather(table)

    def follow(self, table: str, follower: Callable[[Mapping[str, Any]], object]) -> None:
        """Show each row that is added singly from now on to somebody else, too."""
        self._followers.setdefault(table, []).append(follower)

    def extend(self, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add many rows."""
        for row in rows:
            self.append(table, row)

    def extend_columns(self, table: str, columns: Mapping[str, Any] | pa.Table) -> None:
        """Add many rows as columns, a million in a fraction of a second.

        Args:
            table: the table's name.
            columns: as ``analyzer.recording.tables.table_of`` takes them.

        Raises:
            ValueError: columns that do not fit the table.
        """
        made = table_of(table, columns)
        if self.stopped is not None:
            return
        self._gather(table)
        self._hold(table, made)

    def write_capture(self, name: str, pieces: Iterable[bytes]) -> None:
        """Write the packets of a capture that was made before.

        Args:
            name: the file's, as ``Recording.captures`` gives it.
            pieces: of a capture file, one after the other.
        """
        path = self.path / name
        with self._writing(path), path.open("wb") as file:
            file.writelines(pieces)

    def update_manifest(self, values: Mapping[str, Any]) -> None:
        """Set top-level keys of ``run.json`` and write it, whole or not at all."""
        self._manifest |= values
        text = json.dumps(self._manifest, indent=1, ensure_ascii=False, default=str)
        path = self.path / MANIFEST
        with self._writing(path):
            write_whole(path, text.encode())

    def flush(self) -> None:
        """Write what has gathered, one part per table that has rows."""
        for name in TABLES:
            self._gather(name)
            if self._held[name]:
                self._write_part(name)

    def size_bytes(self) -> int:
        """What the tables take on disk."""
        return sum(path.stat().st_size for name in TABLES for path in self._files(name))

    def full_parts(self) -> list[Part]:
        """The parts of all tables that nothing is written to any more, the oldest first."""
        found = []
        for name in TABLES:
            for path in self._files(name):
                if path.name != HELD and path.name < self._part_name(name):
                    known = path.stat()
                    found.append(
                        Part(
                            table=name,
                            path=path,
                            size_bytes=known.st_size,
                            ended_ns=known.st_mtime_ns,
                        )
                    )
        return sorted(found, key=lambda part: part.ended_ns)

    def drop(self, part: Part) -> None:
        """Delete a table's oldest full part.

        Of entries, what was there at its end is written first, as if it appeared when it last
        changed: the table at any later instant can still be rebuilt.
        """
        with self._writing(part.path):
            if part.table == "entries":
                self._keep_held(part.path)
            part.path.unlink()

    def _keep_held(self, part: Path) -> None:
        target = part.with_name(HELD)
        parts = [path for path in (target, part) if path.exists()]
        rows = pa.concat_tables([in_full(pq.read_table(p), TABLES["entries"]) for p in parts])
        changes = rows.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
        last = changes.sort_values("at", kind="stable").drop_duplicates([*ENTRY_KEY], keep="last")
        held = last[last["change"] != "gone"].assign(change="appeared")
        table = pa.Table.from_pandas(held, schema=TABLES["entries"], preserve_index=False)
        _write_table(table, target)

    def _files(self, name: str) -> list[Path]:
        return sorted((self.path / name).glob("[!.]*.parquet"))

    def _part_name(self, name: str) -> str:
        """Of the part that is written next, or again."""
        return f"part-{self._parts[name]:05d}.parquet"

    def close(self, ended: str) -> None:
        """Flush, and say in the manifest how the run ended."""
        self.flush()
        self.update_manifest(
            {"ended": ended if self.stopped is None else f"failed: {self.stopped}"}
        )

    @contextmanager
    def _writing(self, path: Path) -> Iterator[None]:
        """A write of a file, which may fail as this recording lets it."""
        try:
            yield
        except OSError as error:
            line = not_written(path, error)
            if self._on_stop is None:
                raise RecordingError(line) from error
            if self.stopped is None:
                self.stopped = line
                self._forget_rows()
                self._on_stop(line)

    def _forget_rows(self) -> None:
        for waiting in (self._rows, self._held, self._growing):
            for rows in waiting.values():
                rows.clear()

    def _gather(self, name: str) -> None:
        """Turn the rows that came one by one into columns, which take a tenth of the memory."""
        rows = self._rows[name]
        if rows:
            made = pa.Table.from_pylist(rows, schema=TABLES[name])
            rows.clear()
            self._hold(name, made)

    def _hold(self, name: str, rows: pa.Table) -> None:
        self._held[name].append(rows)
        self._bytes[name] += rows.nbytes
        if self._bytes[name] > BYTES_HELD:
            self._write_part(name)

    def _write_part(self, name: str) -> None:
        part = self.path / name / self._part_name(name)
        rows = pa.concat_tables([*self._growing[name], *self._held[name]]).combine_chunks()
        with self._writing(part):
            part.parent.mkdir(exist_ok=True)
            _write_table(rows, part)
        if self.stopped is not None:
            return
        self._held[name].clear()
        self._bytes[name] = 0
        is_full = rows.num_rows >= PART_ROWS or rows.nbytes >= PART_BYTES
        self._growing[name] = [] if is_full else [rows]
        self._parts[name] += is_full


@dataclass(frozen=True, slots=True)
class Recording:
    """One run, opened for reading.

    Attributes:
        manifest: ``run.json``.
        problems: parts that could not be read, a line each; their rows are missing.
    """

    path: Path
    manifest: Manifest
    problems: list[str] = field(default_factory=list)

    @classmethod
    def open(cls, path: Path) -> Recording:
        """Open a run directory, also one whose run was cut off.

        Raises:
            RecordingError: no recording there, of a schema version that this program does not
                know, or with a manifest that is odd.
        """
        document, where = _read_manifest(path), str(path / MANIFEST)
        if document.get("schema_version") != SCHEMA_VERSION:
            raise RecordingError(f"{where}: schema_version: expected {SCHEMA_VERSION}")
        return cls(path, manifest_of(document, where))

    def table(self, name: str) -> pd.DataFrame:
        """A table whole, with the columns and types of ``TABLES``; empty if none was written.

        A column that a part was written without, by an older program, is null there.
        """
        table = pa.concat_tables([TABLES[name].empty_table(), *self.parts(name)])
        frame: pd.DataFrame = table.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
        return frame

    def parts(self, name: str) -> Iterator[pa.Table]:
        """A table part by part, so that no more than one is in memory; unreadable ones left out."""
        for path in sorted((self.path / name).glob("[!.]*.parquet")):
            part = self._read_part(path, name)
            if part is not None:
                yield part

    def captures(self) -> dict[str, memoryview]:
        """The capture files' bytes, mapped, by name, the earliest first; empty ones are left out.

        Raises:
            RecordingError: one cannot be read.
        """
        first, rest = self.path / CAPTURE, self.path.glob(ROTATED)
        numbered = sorted(rest, key=lambda path: (len(path.name), path.name))
        found = {path.name: mapped(path) for path in (first, *numbered) if path.is_file()}
        return {name: content for name, content in found.items() if len(content)}

    def fresh_analysis(self) -> dict[str, Any] | None:
        """``analysis.json`` as it lies there; None if it is missing, older than the run, or odd."""
        path = self.path / ANALYSIS
        try:
            made_ns = path.stat().st_mtime_ns
            if path.stat().st_size > MOST_DERIVED_BYTES or made_ns < self._written_ns():
                return None
            document = json.loads(path.read_bytes())
        except (OSError, ValueError, RecursionError):
            return None
        known = isinstance(document, dict) and document.get("schema_version") == SCHEMA_VERSION
        return document if known else None

    def _written_ns(self) -> int:
        """When the last of what was recorded was written."""
        tables = [path for name in TABLES for path in (self.path / name).glob("[!.]*.parquet")]
        packets = [self.path / CAPTURE, *self.path.glob(ROTATED)]
        recorded = [self.path / MANIFEST, *tables, *packets]
        return max(path.stat().st_mtime_ns for path in recorded if path.exists())

    def write_derived(self, path: Path, text: str) -> Path:
        """Write what was derived, whole or not at all; its path.

        Args:
            path: such as ``analysis.json`` in the run's directory.
            text: its content.

        Raises:
            RecordingError: it cannot be written.
        """
        try:
            write_whole(path, text.encode())
        except OSError as error:
            raise RecordingError(not_written(path, error)) from error
        return path

    def _read_part(self, part: Path, name: str) -> pa.Table | None:
        where = part.relative_to(self.path)
        try:
            table, problems = read_part(part, name)
        except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
            self.problems.append(f"{where}: not readable ({_in_short(error)})")
            return None
        self.problems.extend(f"{where}: {problem}" for problem in problems)
        return table


def _in_short(error: Exception) -> str:
    """The first line of an error, which may quote the file."""
    return next(iter(str(error).splitlines()), type(error).__name__)[:_MOST_CHARACTERS]


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((path / MANIFEST).read_bytes())
    except FileNotFoundError:
        raise RecordingError(f"{path}: no {MANIFEST} there; expected a run directory") from None
    except (OSError, ValueError, RecursionError) as error:
        raise RecordingError(f"{path / MANIFEST}: not readable: {error}") from error
    if not isinstance(manifest, dict):
        raise RecordingError(f"{path / MANIFEST}: expected a JSON object")
    return manifest


def mapped(path: Path) -> memoryview:
    """A file's bytes, mapped.

    Raises:
        RecordingError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            if path.stat().st_size == 0:
                return memoryview(b"")
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except OSError as error:
        raise RecordingError(f"{path}: not readable: {error.strerror}") from error


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under a hidden name, then give it its own: whole or not at all."""
    with _hidden(path) as hidden:
        hidden.write_bytes(content)


def _write_table(rows: pa.Table, path: Path) -> None:
    """Write a part of a table, whole or not at all."""
    with _hidden(path) as hidden:
        pq.write_table(rows, hidden, compression="zstd")


@contextmanager
def _hidden(path: Path) -> Iterator[Path]:
    """A name to write under; the file gets its own afterwards, or is deleted."""
    hidden = path.with_name(f".{path.name[:40]}.{os.getpid()}")  # no longer than a name may be
    try:
        yield hidden
        hidden.rename(path)
    except BaseException:
        with suppress(OSError):
            hidden.unlink(missing_ok=True)
        raise


def not_written(path: Path, error: OSError) -> str:
    """Which file could not be written, and the machine's reason, without its library's words."""
    why = os.strerror(error.errno) if error.errno else str(error)
    return f"{path}: cannot be written: {why}"
