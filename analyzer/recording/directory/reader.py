"""A run directory opened for reading."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from analyzer.errors import RecordingError
from analyzer.parts.inputs import opened
from analyzer.recording.directory.layout import (
    ANALYSIS,
    MANIFEST,
    SCHEMA_VERSION,
    capture_files,
    part_files,
    vrrp_capture_name,
)
from analyzer.recording.directory.part_reader import distinct_texts, read_part, read_pieces
from analyzer.recording.manifest import manifest_of
from analyzer.recording.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

    from analyzer.parts.inputs import InputFile
    from analyzer.recording.manifest import Manifest

MOST_DERIVED_BYTES = 64 << 20
"""Of an ``analysis.json`` that is believed; ours have some hundred kilobytes."""

_MOST_CHARACTERS = 200  # of an error about a part
_UNREADABLE = (pa.ArrowException, OSError, ValueError, MemoryError)


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
        return _frame([TABLES[name].empty_table(), *self.parts(name)])

    def frames(self, name: str, rows: int) -> Iterator[pd.DataFrame]:
        """A table as ``table`` gives it, about so many rows at a time; at least once."""
        waiting, count = [TABLES[name].empty_table()], 0
        for part in self.pieces(name, rows):
            waiting.append(part)
            count += len(part)
            if count >= rows:
                yield _frame(waiting)
                waiting, count = waiting[:1], 0
        yield _frame(waiting)

    def parts(self, name: str) -> Iterator[pa.Table]:
        """A table part by part, so that no more than one is in memory; unreadable ones left out."""
        for path in part_files(self.path, name):
            part = self._read_part(path, name)
            if part is not None:
                yield part

    def pieces(self, name: str, most_rows: int) -> Iterator[pa.Table]:
        """A table at most so many rows at a time.

        Of a part that turns out to be damaged, the pieces before that are there.
        """
        for path in part_files(self.path, name):
            rows = 0
            try:
                for piece, problems in read_pieces(path, name, most_rows):
                    rows += len(piece)
                    self._note(path, problems)
                    yield piece
            except _UNREADABLE as error:
                after = f" after {rows:,} rows" if rows else ""
                self._note(path, [f"not readable{after} ({_in_short(error)})"])

    def texts(self, name: str, columns: Collection[str]) -> set[str]:
        """The different texts in some columns of a table; those of unreadable parts left out."""
        found: set[str] = set()
        for path in part_files(self.path, name):
            with suppress(*_UNREADABLE):
                found |= distinct_texts(path, columns)
        return found

    def table_size(self, name: str) -> tuple[int, int]:
        """The rows of a table, as its readable parts state them, and the bytes of their files."""
        from pyarrow.parquet import read_metadata  # a recording without tables needs none of it

        rows = size_bytes = 0
        for path in part_files(self.path, name):
            with suppress(*_UNREADABLE):
                rows += read_metadata(path).num_rows
                size_bytes += path.stat().st_size
        return rows, size_bytes

    def captures(self) -> dict[str, InputFile]:
        """The capture files by name, the earliest first; empty ones are left out.

        Raises:
            RecordingError: one cannot be read.
        """
        contents = {path.name: opened(path) for path in capture_files(self.path)}
        return {name: content for name, content in contents.items() if len(content)}

    def capture_bytes(self) -> int:
        """The size of all captures together."""
        return sum(path.stat().st_size for path in capture_files(self.path))

    def vrrp_captures(self) -> dict[str, InputFile]:
        """VRRP as each director saw it, by the director's name; empty ones are left out.

        Raises:
            RecordingError: one cannot be read.
        """
        facts = self.manifest.failover
        names = facts.vrrp_captured_on if facts else ()
        paths = {name: self.path / vrrp_capture_name(n) for n, name in enumerate(names)}
        contents = {name: opened(path) for name, path in paths.items() if path.is_file()}
        return {name: content for name, content in contents.items() if len(content)}

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
        tables = [path for name in TABLES for path in part_files(self.path, name)]
        recorded = [self.path / MANIFEST, *tables, *capture_files(self.path)]
        return max(path.stat().st_mtime_ns for path in recorded if path.exists())

    def _read_part(self, part: Path, name: str) -> pa.Table | None:
        try:
            table, problems = read_part(part, name)
        except _UNREADABLE as error:
            self._note(part, [f"not readable ({_in_short(error)})"])
            return None
        self._note(part, problems)
        return table

    def _note(self, part: Path, problems: Iterable[str]) -> None:
        """Add problems of a part, but for those that were found before."""
        where = part.relative_to(self.path)
        lines = (f"{where}: {problem}" for problem in problems)
        self.problems.extend(line for line in lines if line not in self.problems)


def _frame(parts: list[pa.Table]) -> pd.DataFrame:
    types = {pa.int64(): pd.Int64Dtype()}
    frame: pd.DataFrame = pa.concat_tables(parts).to_pandas(types_mapper=types.get)
    return frame


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
