"""A run directory: everything that goes in comes out, and nothing half-written ever does."""

from __future__ import annotations

import errno
import json
import os
import resource
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.errors import RecordingError
from analyzer.parts.inputs import opened
from analyzer.recording.directory import (
    CAPTURE,
    MANIFEST,
    SCHEMA_VERSION,
    Recording,
    RecordingWriter,
)
from analyzer.recording.directory.part_reader import NEEDED
from analyzer.recording.tables import TABLES
from tests.unit.analyzer.recording.directory.builders_recording import (
    AT_NS,
    ENDS,
    INT64,
    any_rows,
    filled,
    rows_of,
    stored_rows,
)
from tests.unit.properties import examples

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analyzer.recording.directory.writer import TakenBy


@pytest.mark.parametrize("table", TABLES)
def test_every_table_comes_back_as_it_went_in(table: str, tmp_path: Path) -> None:
    writer = RecordingWriter(tmp_path / "run", {})
    rows: list[Mapping[str, Any]] = [filled(table, number) for number in range(5)]
    needed = {name: rows[0][name] for name in NEEDED[table]}
    nulls: dict[str, Any] = dict.fromkeys(TABLES[table].names) | needed
    writer.append(table, rows[0])
    writer.extend(table, rows[1:3])
    writer.flush()
    writer.extend(table, [*rows[3:], nulls])
    writer.close("completed")
    assert rows_of(Recording.open(tmp_path / "run"), table) == [*rows, nulls]


@pytest.mark.parametrize("table", TABLES)
def test_a_table_has_the_columns_and_types_that_are_stated_also_when_empty(
    table: str, tmp_path: Path
) -> None:
    RecordingWriter(tmp_path / "run", {}).close("completed")
    frame = Recording.open(tmp_path / "run").table(table)
    assert list(frame.columns) == TABLES[table].names
    assert len(frame) == 0
    kinds = {"timestamp[ns, tz=UTC]": "datetime64[ns, UTC]", "int64": "Int64", "double": "float64"}
    for column in TABLES[table]:
        expected = kinds.get(str(column.type))
        assert expected is None or str(frame.dtypes[column.name]) == expected


def test_columns_that_a_row_does_not_name_are_null(tmp_path: Path) -> None:
    writer = RecordingWriter(tmp_path / "run", {})
    writer.append("requests", {"id": 7})
    writer.close("completed")
    (row,) = rows_of(Recording.open(tmp_path / "run"), "requests")
    assert row == dict.fromkeys(TABLES["requests"].names) | {"id": 7}


@given(any_rows())
@examples(60)
def test_columns_come_back_as_rows_do(table_and_rows: tuple[str, list[dict[str, Any]]]) -> None:
    table, rows = table_and_rows
    with TemporaryDirectory() as folder:
        writer = RecordingWriter(Path(folder), {})
        writer.extend(table, rows)
        columns = {name: [row[name] for row in rows] for name in TABLES[table].names}
        writer.extend_columns(table, columns)
        writer.extend_columns(table, pa.Table.from_pylist(rows, schema=TABLES[table]))
        writer.extend(table, rows)
        writer.close("completed")
        assert stored_rows(Path(folder), table) == rows * 4


def test_arrays_of_numpy_are_columns_and_one_text_stands_for_every_row(tmp_path: Path) -> None:
    writer = RecordingWriter(tmp_path, {})
    writer.extend_columns(
        "entries",
        {
            "at": np.array([AT_NS, AT_NS + 1]),
            "director": "bal01",
            "change": "state",
            **ENDS,
            "expires_s": 8,
            "real_port": np.ma.array([80, 81], mask=[False, True]),
            "state": None,
        },
    )
    writer.close("completed")
    nulls: dict[str, Any] = dict.fromkeys(TABLES["entries"].names)
    nulls |= {"director": "bal01", "change": "state", "expires_s": 8} | ENDS
    assert rows_of(Recording.open(tmp_path), "entries") == [
        nulls | {"at": AT_NS, "real_port": 80},
        nulls | {"at": AT_NS + 1},
    ]


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"colour": ["red"]}, "no column colour"),
        ({"at": [1, 2], "host": ["a"]}, "length"),
        ({"at": ["at noon"]}, "at noon"),
    ],
)
def test_columns_that_do_not_fit_the_table_are_refused_and_spoil_nothing(
    columns: dict[str, Any], why: str, tmp_path: Path
) -> None:
    writer = RecordingWriter(tmp_path, {})
    with pytest.raises(ValueError, match=why):
        writer.extend_columns("events", columns)
    writer.close("completed")
    assert rows_of(Recording.open(tmp_path), "events") == []


def test_an_instant_keeps_its_last_nanosecond(tmp_path: Path) -> None:
    writer = RecordingWriter(tmp_path / "run", {})
    writer.append("events", {"at": AT_NS, "host": "client", "kind": "note"})
    writer.close("completed")
    assert rows_of(Recording.open(tmp_path / "run"), "events")[0]["at"] == AT_NS


@given(any_rows(), st.integers(0, 3))
@examples(60)
def test_any_rows_come_back(
    table_and_rows: tuple[str, list[dict[str, Any]]], flush_after: int
) -> None:
    table, rows = table_and_rows
    with TemporaryDirectory() as folder:
        writer = RecordingWriter(Path(folder), {})
        for number, row in enumerate(rows):
            writer.append(table, row)
            if number == flush_after:
                writer.flush()
        writer.close("completed")
        assert stored_rows(Path(folder), table) == rows


@given(st.recursive(st.none() | st.booleans() | INT64 | st.text(), st.lists, max_leaves=5))
@examples(40)
def test_a_manifest_comes_back(value: Any) -> None:
    with TemporaryDirectory() as folder:
        writer = RecordingWriter(Path(folder), {"notes": value})
        writer.update_manifest({"more": value})
        writer.close("completed")
        found = Recording.open(Path(folder)).manifest.raw
    assert found == {
        "schema_version": SCHEMA_VERSION,
        "notes": value,
        "more": value,
        "ended": "completed",
    }


def test_a_run_that_was_killed_lost_only_what_was_not_flushed(tmp_path: Path) -> None:
    writer = RecordingWriter(tmp_path / "run", {"ended": None})
    writer.extend("requests", [{"id": 0}, {"id": 1}])
    writer.flush()
    writer.append("requests", {"id": 2})  # and then kill -9
    found = Recording.open(tmp_path / "run")
    assert [row["id"] for row in rows_of(found, "requests")] == [0, 1]
    assert found.manifest.raw["ended"] is None


def test_a_recording_is_never_written_over(tmp_path: Path) -> None:
    RecordingWriter(tmp_path / "run", {"plan": 1}).close("completed")
    with pytest.raises(RecordingError, match="name another directory"):
        RecordingWriter(tmp_path / "run", {})
    assert json.loads((tmp_path / "run" / MANIFEST).read_text())["plan"] == 1


def test_a_directory_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordingError, match="cannot be made"):
        RecordingWriter(tmp_path / "file" / "run", {})


@pytest.mark.parametrize("by", ["copy", "link"])
def test_a_capture_that_is_taken_in_is_the_same_file_byte_for_byte(
    tmp_path: Path, by: TakenBy
) -> None:
    source = tmp_path / "taken.pcap"
    source.write_bytes(bytes(range(256)) * 9)
    writer = RecordingWriter(tmp_path / "run", {})
    assert writer.take_capture(CAPTURE, opened(source), by) == 2304
    taken = tmp_path / "run" / CAPTURE
    assert taken.read_bytes() == source.read_bytes()
    assert taken.samefile(source) is (by == "link")


@pytest.mark.parametrize("refused", ["copy_file_range", "link"])
def test_a_file_system_that_shares_no_blocks_and_has_no_links_gets_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise OSError(errno.EXDEV, "")

    source = tmp_path / "taken.pcap"
    source.write_bytes(bytes(range(256)) * 9)
    writer = RecordingWriter(tmp_path / "run", {})
    monkeypatch.setattr(os, refused, refuse)
    writer.take_capture(CAPTURE, opened(source), "link" if refused == "link" else "copy")
    taken = tmp_path / "run" / CAPTURE
    assert taken.read_bytes() == source.read_bytes()
    assert not taken.samefile(source)


@pytest.mark.parametrize("by_kernel", [True, False])
@pytest.mark.parametrize(
    ("size", "taken"), [(300, 256), (256, 256), (100, 100), (0, 0)], ids=lambda size: str(size)
)
def test_a_capture_is_taken_in_as_it_was_opened_less_what_was_cut_off_since(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, taken: int, *, by_kernel: bool
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.EXDEV, "")

    if not by_kernel:
        monkeypatch.setattr(os, "copy_file_range", refuse)
    source = tmp_path / "another.pcap"
    source.write_bytes(bytes(range(256)))
    file = opened(source)
    os.truncate(source, size)
    source.rename(tmp_path / "elsewhere.pcap")
    writer = RecordingWriter(tmp_path / "run", {})
    assert writer.take_capture(CAPTURE, file, "copy") == taken
    assert (tmp_path / "run" / CAPTURE).read_bytes() == bytes(range(taken))


def test_a_copy_that_the_kernel_gives_up_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_kernel, steps = os.copy_file_range, iter([100])

    def given_up(source: int, target: int, _: int, at: int) -> int:
        for size in steps:
            return by_kernel(source, target, size, at)
        raise OSError(errno.EINVAL, "")

    source = tmp_path / "taken.pcap"
    source.write_bytes(bytes(range(256)) * 9)
    writer = RecordingWriter(tmp_path / "run", {})
    monkeypatch.setattr(os, "copy_file_range", given_up)
    writer.take_capture(CAPTURE, opened(source), "copy")
    assert (tmp_path / "run" / CAPTURE).read_bytes() == source.read_bytes()


def test_a_copy_that_the_disk_takes_in_part_is_an_error_and_no_shorter_capture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.EXDEV, "")

    source = tmp_path / "taken.pcap"
    source.write_bytes(bytes(9000))
    writer = RecordingWriter(tmp_path / "run", {})
    monkeypatch.setattr(os, "copy_file_range", refuse)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (6000, before[1]))
    try:
        with pytest.raises(RecordingError, match=r"capture.pcap: cannot be written: File too l"):
            writer.take_capture(CAPTURE, opened(source), "copy")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
