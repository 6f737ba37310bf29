"""The run directory: what a run leaves behind, and all that an analysis may know of it.

A recording is a manifest (``run.json``), one Parquet dataset per table (a folder of parts) and the
packets (``capture.pcap``). Parts are written under a hidden name and then renamed, so a crash loses
at most the rows that were not yet flushed, and never spoils a part.

Every instant is Unix time in nanoseconds on the client's clock.

This is the only module of the analyzer that touches a disk.
"""

from __future__ import annotations

import json
import mmap
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from analyzer.errors import RecordingError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

SCHEMA_VERSION = 1
MANIFEST = "run.json"
CAPTURE = "capture.pcap"
ANALYSIS = "analysis.json"
REPORT = "report.html"

_AT = pa.timestamp("ns", tz="UTC")
_NAME = pa.string()
_INT = pa.int64()
_FLOAT = pa.float64()


def _schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema(list(columns.items()))


TABLES: Mapping[str, pa.Schema] = {
    # One row is one request; an instant that was not reached is null.
    "requests": _schema(
        id=_INT,
        kind=_NAME,  # the request method, or the script that an engine played
        host=_NAME,
        protocol=_NAME,  # TCP, UDP
        vip=_NAME,
        port=_INT,
        scheduled=_AT,  # when it was due
        started=_AT,
        connected=_AT,
        first_byte=_AT,
        ended=_AT,
        source_ip=_NAME,
        source_port=_INT,
        status=_INT,  # HTTP status
        bytes=_INT,  # of the response's body
        error=_NAME,  # null if it succeeded
        closer=_NAME,  # client, server, reset, none
    ),
    # One row is one real server in one poll.
    "services": _schema(
        at=_AT,
        director=_NAME,
        protocol=_NAME,
        vip=_NAME,
        port=_INT,
        fwmark=_INT,
        scheduler=_NAME,
        real_server=_NAME,
        real_port=_INT,
        forwarding=_NAME,  # dr, nat, tun, local
        weight=_INT,
        active=_INT,
        inactive=_INT,
        conns=_INT,
        in_packets=_INT,
        out_packets=_INT,
        in_bytes=_INT,
        out_bytes=_INT,
    ),
    # One row is one change of an entry; gone stands at the first poll that missed it.
    "entries": _schema(
        at=_AT,
        director=_NAME,
        change=_NAME,  # appeared, state, gone
        protocol=_NAME,
        state=_NAME,
        expires_s=_INT,
        origin=_NAME,  # LOCAL, SYNC
        client_ip=_NAME,
        client_port=_INT,
        vip=_NAME,
        port=_INT,
        real_server=_NAME,
        real_port=_INT,
    ),
    # One row is one poll; with it the table at any poll of entries can be rebuilt.
    "polls": _schema(
        at=_AT,
        director=_NAME,
        what=_NAME,  # services, or entries (which includes services)
        took_ms=_FLOAT,  # from asked to answered
        entries=_INT,  # lines read; null where entries were not asked for
        offset_ms=_FLOAT,  # this poll's own reading of the boot instant, less boot_at
        asked=_AT,
        director_uptime_s=_FLOAT,
    ),
    "sockets": _schema(at=_AT, host=_NAME, state=_NAME, count=_INT),
    "events": _schema(at=_AT, host=_NAME, kind=_NAME, detail=_NAME),
}


class RecordingWriter:
    """Streams one run to its directory.

    Raises:
        RecordingError: the directory holds a recording already, or cannot be written.
    """

    def __init__(self, path: Path, manifest: Mapping[str, Any]) -> None:
        if (path / MANIFEST).exists():
            raise RecordingError(f"{path}: holds a recording already; name another directory")
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RecordingError(f"{path}: cannot be made a run directory: {error}") from error
        self.path = path
        self._manifest = {"schema_version": SCHEMA_VERSION} | dict(manifest)
        self._rows: dict[str, list[Mapping[str, Any]]] = {name: [] for name in TABLES}
        self._parts = dict.fromkeys(TABLES, 0)
        self.update_manifest({})

    @property
    def manifest(self) -> Mapping[str, Any]:
        """``run.json`` as it stands."""
        return self._manifest

    @property
    def capture_path(self) -> Path:
        """Where the packets go."""
        return self.path / CAPTURE

    def append(self, table: str, row: Mapping[str, Any]) -> None:
        """Add one row; columns that it does not name are null."""
        self._rows[table].append(row)

    def extend(self, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add many rows."""
        self._rows[table].extend(rows)

    def update_manifest(self, values: Mapping[str, Any]) -> None:
        """Set top-level keys of ``run.json`` and write it, whole or not at all."""
        self._manifest |= values
        text = json.dumps(self._manifest, indent=1, ensure_ascii=False, default=str)
        _write_whole(self.path / MANIFEST, text.encode())

    def flush(self) -> None:
        """Write what has gathered, one part per table that has rows."""
        for name, rows in self._rows.items():
            if rows:
                self._write_part(name, rows)
                rows.clear()

    def close(self, ended: str) -> None:
        """Flush, and say in the manifest how the run ended."""
        self.flush()
        self.update_manifest({"ended": ended})

    def _write_part(self, name: str, rows: list[Mapping[str, Any]]) -> None:
        folder = self.path / name
        folder.mkdir(exist_ok=True)
        part = folder / f"part-{self._parts[name]:05d}.parquet"
        hidden = part.with_name(f".{part.name}")
        pq.write_table(pa.Table.from_pylist(rows, schema=TABLES[name]), hidden)
        hidden.rename(part)
        self._parts[name] += 1


@dataclass(frozen=True, slots=True)
class Recording:
    """One run, opened for reading.

    Attributes:
        manifest: ``run.json``.
        problems: parts that could not be read, a line each; their rows are missing.
    """

    path: Path
    manifest: Mapping[str, Any]
    problems: list[str] = field(default_factory=list)

    @classmethod
    def open(cls, path: Path) -> Recording:
        """Open a run directory, also one whose run was cut off.

        Raises:
            RecordingError: no recording there, or of a schema version that this program does not
                know.
        """
        manifest = _read_manifest(path)
        version = manifest.get("schema_version")
        if version != SCHEMA_VERSION:
            raise RecordingError(
                f"{path / MANIFEST}: schema_version {version!r}, expected {SCHEMA_VERSION}"
            )
        return cls(path, manifest)

    def table(self, name: str) -> pd.DataFrame:
        """A table whole, with the columns and types of ``TABLES``; empty if none was written."""
        schema = TABLES[name]
        parts = [self._read_part(part, schema) for part in self._parts(name)]
        table = pa.concat_tables([schema.empty_table(), *(part for part in parts if part)])
        frame: pd.DataFrame = table.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
        return frame

    def capture(self) -> memoryview | None:
        """The pcap file's bytes, mapped; None without a capture."""
        path = self.path / CAPTURE
        if not path.exists() or path.stat().st_size == 0:
            return None
        with path.open("rb") as file:
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))

    def write_derived(self, path: Path, text: str) -> Path:
        """Write what was derived, whole or not at all; its path.

        Args:
            path: such as ``analysis.json`` in the run's directory.
            text: its content.

        Raises:
            RecordingError: it cannot be written.
        """
        try:
            _write_whole(path, text.encode())
        except OSError as error:
            raise RecordingError(f"{path}: cannot be written: {error.strerror}") from error
        return path

    def _parts(self, name: str) -> list[Path]:
        return sorted((self.path / name).glob("[!.]*.parquet"))

    def _read_part(self, part: Path, schema: pa.Schema) -> pa.Table | None:
        try:
            return pq.read_table(part, partitioning=None).select(schema.names).cast(schema)
        except (pa.ArrowException, OSError, KeyError) as error:
            self.problems.append(f"{part.relative_to(self.path)}: not readable ({error})")
            return None


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


def _write_whole(path: Path, content: bytes) -> None:
    hidden = path.with_name(f".{path.name}.{os.getpid()}")
    hidden.write_bytes(content)
    hidden.rename(path)
