"""A run directory that is being written."""

from __future__ import annotations

import errno
import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from analyzer.errors import RecordingError
from analyzer.recording.directory.files import not_written, write_whole
from analyzer.recording.directory.layout import CAPTURE, MANIFEST, SCHEMA_VERSION
from analyzer.recording.directory.table_writer import Part, TableWriter, keep_entries_held
from analyzer.recording.tables import TABLES, table_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    import pyarrow as pa

    from analyzer.parts.inputs import InputFile


TakenBy = Literal["copy", "link"]

_READ_BYTES = 1 << 20
_COPIED_BY_READING = {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}


def _copy(source: InputFile, target: Path) -> int:
    """Copy a file; a file system that can have two files share their blocks copies none."""
    done, size = 0, len(source)
    with target.open("wb") as written:
        ends = source.fileno(), written.fileno()
        try:
            while done < size and (count := os.copy_file_range(*ends, size - done, done)):
                done += count
        except OSError as error:
            if error.errno not in _COPIED_BY_READING:
                raise
            while piece := source.read(done, done + _READ_BYTES):
                written.write(piece)
                done += len(piece)
    return done


def _link(source: InputFile, target: Path) -> int:
    try:
        target.hardlink_to(source.path)
    except OSError:  # a file system without links
        return _copy(source, target)
    return len(source)


_TAKE: Mapping[TakenBy, Callable[[InputFile, Path], int]] = {"copy": _copy, "link": _link}


class RecordingWriter:
    """Streams one run to its directory.

    A write that fails (a full disk, a limit of the size of files) raises RecordingError, unless
    the run is to outlive its recording (``outlive``): then nothing more is written.

    Args:
        path: the directory.
        manifest: what ``run.json`` says at first.
        shown_as: what errors call the directory, where that is not its path.

    Attributes:
        stopped: which file could not be written, and why; None as long as all could.

    Raises:
        RecordingError: the directory holds a recording already, or cannot be written.
    """

    def __init__(
        self, path: Path, manifest: Mapping[str, Any], shown_as: Path | None = None
    ) -> None:
        try:
            if (path / MANIFEST).exists():
                raise RecordingError(f"{path}: holds a recording already; name another directory")
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            why = error.strerror
            raise RecordingError(f"{path}: cannot be made a run directory: {why}") from error
        self.path = path
        self._shown_as = shown_as or path
        self.stopped: str | None = None
        self._on_stop: Callable[[str], object] | None = None
        self._manifest = {"schema_version": SCHEMA_VERSION} | dict(manifest)
        self._tables = {name: TableWriter(path, name, self._writing) for name in TABLES}
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
        if self.stopped is None:
            self._tables[table].append(row)

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
        rows = table_of(table, columns)
        if self.stopped is None:
            self._tables[table].extend(rows)

    def write_capture(self, name: str, pieces: Iterable[bytes]) -> None:
        """Write the packets of a capture that was made before.

        Args:
            name: the file's, as ``Recording.captures`` gives it.
            pieces: of a capture file, one after the other.
        """
        path = self.path / name
        with self._writing(path), path.open("wb") as file:
            file.writelines(pieces)

    def take_capture(self, name: str, source: InputFile, by: TakenBy) -> int:
        """Take in a file with the packets of a capture that was made before.

        Args:
            name: as ``write_capture``.
            source: the file, as long as it was when it was opened.
            by: ``copy``; or ``link``, of a whole one that nobody writes to any more.

        Returns:
            How many bytes of it the recording has: fewer where it was cut off since.

        Raises:
            RecordingError: as any write of this recording.
        """
        path = self.path / name
        with self._writing(path):
            return _TAKE[by](source, path)
        return 0  # the recording is over, and the run goes on

    def update_manifest(self, values: Mapping[str, Any]) -> None:
        """Set top-level keys of ``run.json`` and write it, whole or not at all."""
        self._manifest |= values
        text = json.dumps(self._manifest, indent=1, ensure_ascii=False, default=str)
        path = self.path / MANIFEST
        with self._writing(path):
            write_whole(path, text.encode())

    def flush(self) -> None:
        """Write what has gathered, one part per table that has rows."""
        for table in self._tables.values():
            table.flush()

    def size_bytes(self) -> int:
        """What the tables take on disk."""
        return sum(table.size_bytes() for table in self._tables.values())

    def full_parts(self) -> list[Part]:
        """The parts of all tables that nothing is written to any more, the oldest first."""
        parts = [part for table in self._tables.values() for part in table.full_parts()]
        return sorted(parts, key=lambda part: part.ended_ns)

    def drop(self, part: Part) -> None:
        """Delete a table's oldest full part.

        Of entries, what was there at its end is written first, as if it appeared when it last
        changed: the table at any later instant can still be rebuilt.
        """
        with self._writing(part.path):
            if part.table == "entries":
                keep_entries_held(part.path)
            part.path.unlink()

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
            line = not_written(self._shown_as / path.relative_to(self.path), error)
            if self._on_stop is None:
                raise RecordingError(line) from error
            if self.stopped is None:
                self.stopped = line
                for table in self._tables.values():
                    table.forget()
                self._on_stop(line)
