"""Rows become parts: few of them, of bounded size, and nothing beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analyzer.recording.directory import (
    MANIFEST,
    Recording,
    RecordingWriter,
)
from analyzer.recording.directory.table_writer import PART_ROWS
from tests.unit.analyzer.recording.directory.builders_recording import (
    SOCKETS,
    rows_of,
    sorted_parts,
    two_parts,
)

if TYPE_CHECKING:
    from pathlib import Path


def test_what_waits_in_memory_is_bounded_without_a_flush(tmp_path: Path) -> None:
    writer = RecordingWriter(tmp_path, {})
    for first in range(0, 2_000_000, 400_000):
        numbers = np.arange(first, first + 400_000)
        writer.extend_columns("sockets", SOCKETS | {"at": numbers, "count": numbers})
    assert sorted_parts(tmp_path, "sockets") != []
    writer.close("completed")
    counts = Recording.open(tmp_path).table("sockets")["count"].to_numpy("int64")
    assert np.array_equal(counts, np.arange(2_000_000))


def test_flushes_of_few_rows_make_one_part_that_grows(tmp_path: Path) -> None:
    writer = RecordingWriter(tmp_path, {})
    for number in range(5):
        writer.append("sockets", SOCKETS | {"count": number})
        writer.flush()
        rows = rows_of(Recording.open(tmp_path), "sockets")
        assert [row["count"] for row in rows] == list(range(number + 1))
        assert [part.name for part in sorted_parts(tmp_path, "sockets")] == ["part-00000.parquet"]


def test_a_part_of_enough_rows_is_left_alone(tmp_path: Path) -> None:
    writer = RecordingWriter(tmp_path, {})
    for first in range(0, 3 * PART_ROWS, PART_ROWS // 2):
        numbers = np.arange(first, first + PART_ROWS // 2)
        writer.extend_columns("sockets", SOCKETS | {"count": numbers})
        writer.flush()
    assert len(sorted_parts(tmp_path, "sockets")) == 3
    counts = Recording.open(tmp_path).table("sockets")["count"].to_numpy("int64")
    assert np.array_equal(counts, np.arange(3 * PART_ROWS))


def test_nothing_is_left_beside_the_parts(tmp_path: Path) -> None:
    parts = two_parts(tmp_path)
    assert [part.name for part in parts] == ["part-00000.parquet", "part-00001.parquet"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["requests", MANIFEST]
