"""Rows for every table, and what a run directory holds of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import strategies as st

from analyzer.recording.directory import (
    Recording,
    RecordingWriter,
    table_writer,
)
from analyzer.recording.tables import TABLES

if TYPE_CHECKING:
    from pathlib import Path

AT_NS = 1_795_352_064_123_456_789
ENDS = {"protocol": "TCP", "client_ip": "::1", "client_port": 9, "vip": "::2", "port": 80}
SOCKETS = {"at": AT_NS, "host": "client", "state": "LISTEN"}
INT64 = st.integers(-(2**63), 2**63 - 1)
CELLS = {
    pa.timestamp("ns", tz="UTC"): st.integers(0, 4 * 10**18),
    pa.string(): st.text(max_size=12),
    pa.int64(): INT64,
    pa.float64(): st.floats(allow_nan=False),
}


def plain(value: Any) -> Any:
    """A cell as it went in."""
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, pd.Timestamp):
        return value.value
    if isinstance(value, float) and value != value:
        return None
    return value


def rows_of(recording: Recording, table: str) -> list[dict[str, Any]]:
    frame = recording.table(table).astype(object)
    return plain_rows(frame)


def stored_rows(run: Path, table: str) -> list[dict[str, Any]]:
    """As they lie there, also those that no reader is given."""
    parts = [pq.read_table(part, partitioning=None) for part in sorted_parts(run, table)]
    stored = pa.concat_tables([TABLES[table].empty_table(), *parts])
    return plain_rows(
        stored.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get).astype(object)
    )


def plain_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {str(name): plain(value) for name, value in row.items()} for row in frame.to_dict("records")
    ]


def filled(table: str, number: int) -> dict[str, Any]:
    """A row with a value in every column."""
    values: dict[pa.DataType, Any] = {
        pa.timestamp("ns", tz="UTC"): AT_NS + number,
        pa.string(): f"text {number}",
        pa.int64(): number,
        pa.float64(): number / 4,
    }
    return {column.name: values[column.type] for column in TABLES[table]}


def sorted_parts(run: Path, table: str) -> list[Path]:
    return sorted((run / table).glob("[!.]*"))


@st.composite
def any_rows(draw: st.DrawFn) -> tuple[str, list[dict[str, Any]]]:
    table = draw(st.sampled_from(sorted(TABLES)))
    columns = {column.name: CELLS[column.type] | st.none() for column in TABLES[table]}
    return table, draw(st.lists(st.fixed_dictionaries(columns), max_size=6))


def two_parts(path: Path) -> list[Path]:
    writer = RecordingWriter(path, {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table_writer, "PART_ROWS", 1)
        for number in range(2):
            writer.append("requests", {"id": number})
            writer.flush()
    return sorted((path / "requests").iterdir())
