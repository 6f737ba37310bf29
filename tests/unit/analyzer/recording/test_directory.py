"""The run directory: everything that goes in comes out, and nothing half-written ever does."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.errors import RecordingError
from analyzer.recording import directory as recording
from analyzer.recording.directory import (
    CAPTURE,
    MANIFEST,
    PART_ROWS,
    SCHEMA_VERSION,
    Recording,
    RecordingWriter,
)
from analyzer.recording.reading import NEEDED
from analyzer.recording.tables import TABLES
from tests.unit.properties import examples

if TYPE_CHECKING:
    from collections.abc import Mapping

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


@st.composite
def any_rows(draw: st.DrawFn) -> tuple[str, list[dict[str, Any]]]:
    table = draw(st.sampled_from(sorted(TABLES)))
    columns = {column.name: CELLS[column.type] | st.none() for column in TABLES[table]}
    return table, draw(st.lists(st.fixed_dictionaries(columns), max_size=6))


@given(any_rows())
@examples(60)
def test_columns_come_back_as_rows_do(told: tuple[str, list[dict[str, Any]]]) -> None:
    table, rows = told
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


def test_what_waits_in_memory_is_bounded_without_a_flush(tmp_path: Path) -> None:
    writer = RecordingWriter(tmp_path, {})
    for first in range(0, 2_000_000, 400_000):
        numbers = np.arange(first, first + 400_000)
        writer.extend_columns("sockets", SOCKETS | {"at": numbers, "count": numbers})
    assert sorted_parts(tmp_path, "sockets") != []
    writer.close("completed")
    counts = Recording.open(tmp_path).table("sockets")["count"].to_numpy("int64")
    assert np.array_equal(counts, np.arange(2_000_000))


def test_an_instant_keeps_its_last_nanosecond(tmp_path: Path) -> None:
    writer = RecordingWriter(tmp_path / "run", {})
    writer.append("events", {"at": AT_NS, "host": "client", "kind": "note"})
    writer.close("completed")
    assert rows_of(Recording.open(tmp_path / "run"), "events")[0]["at"] == AT_NS


@given(any_rows(), st.integers(0, 3))
@examples(60)
def test_any_rows_come_back(told: tuple[str, list[dict[str, Any]]], flush_after: int) -> None:
    table, rows = told
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


def two_parts(path: Path) -> list[Path]:
    writer = RecordingWriter(path, {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recording, "PART_ROWS", 1)
        for number in range(2):
            writer.append("requests", {"id": number})
            writer.flush()
    return sorted((path / "requests").iterdir())


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


def test_a_recording_is_never_written_over(tmp_path: Path) -> None:
    RecordingWriter(tmp_path / "run", {"plan": 1}).close("completed")
    with pytest.raises(RecordingError, match="name another directory"):
        RecordingWriter(tmp_path / "run", {})
    assert json.loads((tmp_path / "run" / MANIFEST).read_text())["plan"] == 1


def test_a_directory_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordingError, match="cannot be made"):
        RecordingWriter(tmp_path / "file" / "run", {})


def test_a_capture_is_handed_out_byte_by_byte(tmp_path: Path) -> None:
    writer = RecordingWriter(tmp_path, {})
    assert writer.capture_path == tmp_path / CAPTURE
    recording = Recording.open(tmp_path)
    assert recording.captures() == {}
    writer.capture_path.write_bytes(b"")
    assert recording.captures() == {}  # opened, and nothing written yet
    writer.capture_path.write_bytes(b"\xa1\xb2")
    ((name, content),) = recording.captures().items()
    assert (name, bytes(content)) == (CAPTURE, b"\xa1\xb2")


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


def test_what_was_derived_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    RecordingWriter(tmp_path, {}).close("completed")
    recording = Recording.open(tmp_path)
    page = tmp_path / "report.html"
    assert recording.write_derived(page, "<p>ü") == page
    assert page.read_text(encoding="utf-8") == "<p>ü"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    with pytest.raises(RecordingError, match="cannot be written"):
        recording.write_derived(tmp_path / "nowhere" / "report.html", "")


def test_nothing_is_left_beside_the_parts(tmp_path: Path) -> None:
    parts = two_parts(tmp_path)
    assert [part.name for part in parts] == ["part-00000.parquet", "part-00001.parquet"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["requests", MANIFEST]
