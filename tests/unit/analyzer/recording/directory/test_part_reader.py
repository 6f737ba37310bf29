"""What a stored part may hold: what cannot be is not known, what is larger than any is not read."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analyzer.recording.directory import Recording, RecordingWriter, part_reader
from analyzer.recording.directory.part_reader import NEEDED, possible
from analyzer.recording.manifest.bounds import MAX_TEXT
from analyzer.recording.tables import TABLES

if TYPE_CHECKING:
    from pathlib import Path

AT_NS = 1_795_352_064_123_456_789


def row(name: str, **changes: Any) -> dict[str, Any]:
    values: dict[pa.DataType, Any] = {
        pa.timestamp("ns", tz="UTC"): AT_NS,
        pa.string(): "text",
        pa.int64(): 7,
        pa.float64(): 0.25,
    }
    return {column.name: values[column.type] for column in TABLES[name]} | changes


def read(name: str, *rows: dict[str, Any]) -> tuple[list[dict[str, Any]], list[str]]:
    table, problems = possible(pa.Table.from_pylist(list(rows), schema=TABLES[name]), name)
    return table.to_pylist(), problems


@pytest.mark.parametrize("name", TABLES)
def test_possible_values_stay(name: str) -> None:
    (found,), problems = read(name, row(name))
    assert all(value is not None for value in found.values())
    assert problems == []


@pytest.mark.parametrize("name", TABLES)
def test_a_row_without_what_it_is_about_is_left_out_and_counted(name: str) -> None:
    for column in NEEDED[name]:
        found, problems = read(name, row(name), row(name, **{column: None}), row(name))
        assert len(found) == 2
        assert problems == [f"{name}: 1 rows without {column} left out"]


@pytest.mark.parametrize("column", ["protocol", "real_port", "weight", "inactive"])
def test_counts_that_lack_what_they_are_shown_with_are_not_known(column: str) -> None:
    rows = [row("services"), row("services", **{column: None})]
    found, problems = read("services", *rows)
    assert [each["active"] for each in found] == [7, None]
    assert problems == ["services: 1 rows whose counts cannot be used"]


def test_a_service_by_firewall_mark_needs_no_port() -> None:
    (by_mark, by_nothing), _ = read(
        "services", row("services", port=None), row("services", port=None, fwmark=None)
    )
    assert (by_mark["active"], by_nothing["active"]) == (7, None)


@pytest.mark.parametrize(
    ("name", "column", "values"),
    [
        ("requests", "port", [-1, 65536, -(2**63)]),
        ("requests", "started", [-1, 2**62 + 1]),
        ("services", "active", [-1, 2**40 + 1, 2**63 - 1]),
        ("services", "in_bytes", [-1, 2**62 + 1]),
        ("services", "cps", [-1, 2**40 + 1]),
        ("entries", "real_port", [-1, 65536]),
        ("polls", "took_ms", [math.nan, math.inf, -0.1, 1e10]),
        ("polls", "offset_ms", [math.nan, -math.inf, 1e13]),
    ],
)
def test_what_cannot_be_is_not_known(name: str, column: str, values: list[float]) -> None:
    for value in values:
        (found,), problems = read(name, row(name, **{column: value}))
        assert found[column] is None
        (problem,) = problems
        assert problem.startswith(f"{name}: {column}: no ")
        assert problem.endswith("in 1 of 1 rows")


@pytest.mark.parametrize(
    ("name", "column", "values"),
    [
        ("requests", "port", [0, 65535]),
        ("requests", "started", [0, 2**62]),
        ("services", "active", [0, 2**40]),
        ("polls", "offset_ms", [-1e12, 1e12]),
    ],
)
def test_the_bounds_themselves_are_possible(name: str, column: str, values: list[float]) -> None:
    for value in values:
        (found,), problems = read(name, row(name, **{column: value}))
        assert found[column] is not None
        assert problems == []


def recording(path: Path, name: str, rows: pa.Table) -> Recording:
    RecordingWriter(path, {}).close("completed")
    (path / name).mkdir()
    pq.write_table(rows, path / name / "part-00000.parquet")
    return Recording.open(path)


def test_a_text_is_cut_before_it_is_in_every_row(tmp_path: Path) -> None:
    """A dictionary of one text of 4 MB in 10,000 rows would be 40 GB."""
    text = pa.DictionaryArray.from_arrays(pa.array([0] * 10_000), pa.array(["\u00e4" * 2_000_000]))
    rows = pa.table({"at": pa.array([AT_NS] * 10_000), "host": text, "kind": text})
    found = recording(tmp_path, "events", rows)
    before_bytes = pa.total_allocated_bytes()
    table = found.table("events")
    assert set(table["host"]) == {"\u00e4" * MAX_TEXT}
    assert pa.total_allocated_bytes() - before_bytes < 200e6
    assert found.problems == []


def test_a_part_larger_than_any_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part_reader, "MAX_ROWS", 10)
    rows = pa.Table.from_pylist([row("events")] * 11, schema=TABLES["events"])
    found = recording(tmp_path, "events", rows)
    assert len(found.table("events")) == 0
    (problem,) = found.problems
    assert "events/part-00000.parquet: not readable (expected at most 10 rows" in problem


def test_columns_that_no_table_has_are_left_out(tmp_path: Path) -> None:
    rows = pa.Table.from_pylist([row("events") | {"strange": 1}])
    found = recording(tmp_path, "events", rows.cast(rows.schema))
    assert list(found.table("events").columns) == TABLES["events"].names
