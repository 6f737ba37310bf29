"""A run directory is read as far as it can be; what cannot be is named."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.errors import RecordingError
from analyzer.recording.directory import (
    CAPTURE,
    MANIFEST,
    Recording,
    RecordingWriter,
)
from analyzer.recording.tables import TABLES
from tests.unit.analyzer.recording.directory.builders_recording import (
    AT_NS,
    rows_of,
    two_parts,
)
from tests.unit.properties import examples


def test_a_part_under_its_hidden_name_is_not_there_yet(tmp_path: Path) -> None:
    _, second = two_parts(tmp_path)
    second.rename(second.with_name(f".{second.name}"))
    found = Recording.open(tmp_path)
    assert [row["id"] for row in rows_of(found, "requests")] == [0]
    assert found.problems == []


@pytest.mark.parametrize(
    "damage",
    [b"", b"PAR1", b"nothing of the kind" * 100],
    ids=["empty", "only its mark", "garbage"],
)
def test_a_part_that_cannot_be_read_costs_itself_and_is_named(
    damage: bytes, tmp_path: Path
) -> None:
    first, _ = two_parts(tmp_path)
    first.write_bytes(damage)
    found = Recording.open(tmp_path)
    assert [row["id"] for row in rows_of(found, "requests")] == [1]
    (problem,) = found.problems
    assert "requests/part-00000.parquet" in problem


def test_a_part_cut_in_half_costs_itself(tmp_path: Path) -> None:
    first, _ = two_parts(tmp_path)
    first.write_bytes(first.read_bytes()[:200])
    found = Recording.open(tmp_path)
    assert [row["id"] for row in rows_of(found, "requests")] == [1]
    assert len(found.problems) == 1


def test_a_part_with_other_columns_costs_itself(tmp_path: Path) -> None:
    first, _ = two_parts(tmp_path)
    pq.write_table(pa.table({"colour": ["red"]}), first)
    found = Recording.open(tmp_path)
    assert [row["id"] for row in rows_of(found, "requests")] == [1]
    assert len(found.problems) == 1


def test_columns_that_a_part_was_written_without_are_null(tmp_path: Path) -> None:
    first, _ = two_parts(tmp_path)
    pq.write_table(pa.table({"id": [7], "started": [AT_NS]}), first)
    found = Recording.open(tmp_path)
    nulls: dict[str, Any] = dict.fromkeys(TABLES["requests"].names)
    assert rows_of(found, "requests") == [nulls | {"id": 7, "started": AT_NS}, nulls | {"id": 1}]
    assert found.problems == []


def test_a_part_with_columns_of_other_types_costs_itself(tmp_path: Path) -> None:
    first, _ = two_parts(tmp_path)
    texts = {name: ["x"] for name in TABLES["requests"].names}
    pq.write_table(pa.table(texts), first)
    found = Recording.open(tmp_path)
    assert [row["id"] for row in rows_of(found, "requests")] == [1]
    assert len(found.problems) == 1


def test_a_part_that_is_missing_is_not_missed(tmp_path: Path) -> None:
    first, _ = two_parts(tmp_path)
    first.unlink()
    assert [row["id"] for row in rows_of(Recording.open(tmp_path), "requests")] == [1]


def test_a_table_whose_folder_is_missing_is_empty(tmp_path: Path) -> None:
    two_parts(tmp_path)
    shutil.rmtree(tmp_path / "requests")
    assert rows_of(Recording.open(tmp_path), "requests") == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"7",
        b'{"schema_version": 99}',
        b'{"schema_version": "1"}',
        b"{}",
        b"\xff\xfe\x00",
        b"[" * 100_000,
    ],
)
def test_a_manifest_that_is_none_is_one_clear_error(content: bytes, tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_bytes(content)
    with pytest.raises(RecordingError) as caught:
        Recording.open(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.binary(max_size=60))
@examples(60)
def test_no_bytes_of_a_manifest_crash_it(content: bytes) -> None:
    with TemporaryDirectory() as folder:
        (Path(folder) / MANIFEST).write_bytes(content)
        with pytest.raises(RecordingError):
            Recording.open(Path(folder))


def test_a_directory_without_a_recording_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"run\.json"):
        Recording.open(tmp_path)
    with pytest.raises(RecordingError, match=r"run\.json"):
        Recording.open(tmp_path / "nowhere")


def test_a_file_is_no_recording(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordingError):
        Recording.open(tmp_path / "file")


def test_a_capture_is_handed_out_byte_by_byte(tmp_path: Path) -> None:
    writer = RecordingWriter(tmp_path, {})
    assert writer.capture_path == tmp_path / CAPTURE
    recording = Recording.open(tmp_path)
    assert recording.captures() == {}
    writer.capture_path.write_bytes(b"")
    assert recording.captures() == {}  # opened, and nothing written yet
    writer.capture_path.write_bytes(b"\xa1\xb2")
    ((name, content),) = recording.captures().items()
    assert (name, bytes(content.read(0, 99))) == (CAPTURE, b"\xa1\xb2")


def test_a_rotated_capture_is_handed_out_in_the_order_of_its_files(tmp_path: Path) -> None:
    RecordingWriter(tmp_path, {})
    numbers = [2, 1, 10, 99_999, 100_000]
    for number in numbers:
        (tmp_path / f"capture-{number:05d}.pcap").write_bytes(bytes([number % 256]))
    (tmp_path / "capture-00003.pcap").write_bytes(b"")  # rotated to it a moment ago
    (tmp_path / CAPTURE).write_bytes(b"first")
    (tmp_path / "capture-notes.pcap").write_bytes(b"a stranger's")
    names = [f"capture-{number:05d}.pcap" for number in sorted(numbers)]
    assert list(Recording.open(tmp_path).captures()) == [CAPTURE, *names]
    (tmp_path / CAPTURE).unlink()  # a ring keeps the latest
    assert list(Recording.open(tmp_path).captures()) == names
