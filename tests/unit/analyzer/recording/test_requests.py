"""Rows of requests as narrow columns: what the recording has, in the order of the ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from analyzer.parts import IN_MEMORY, InMemory
from analyzer.recording import requests as module
from analyzer.recording.directory import Recording, RecordingWriter
from analyzer.recording.requests import COLUMNS, RequestRows, request_rows
from analyzer.recording.spill import spilled
from analyzer.recording.tables import TABLES
from tests.unit.analyzer.builders_packets import BOOT_NS, table
from tests.unit.properties import examples

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from analyzer.parts import Store

ROWS: list[dict[str, Any]] = [
    {"id": 1, "started": BOOT_NS + 1, "source_ip": "10.0.0.1", "source_port": 65535, "port": 80},
    {"id": 2, "started": None, "error": "connection refused", "failure": "refused"},
    {"id": 3, "started": BOOT_NS, "ended": BOOT_NS + 5, "status": 999, "vip": "fd00::1"},
    {"id": 3, "started": BOOT_NS + 6, "followed": 1, "reused": 1, "closed": BOOT_NS + 7},
    {"id": 2**40, "scheduled": BOOT_NS, "connected": BOOT_NS, "first_byte": BOOT_NS},
]


def pieces(rows: list[dict[str, Any]], size: int) -> Iterable[pa.Table]:
    for first in range(0, len(rows), size):
        yield pa.Table.from_pylist(rows[first : first + size], schema=TABLES["requests"])


def read(rows: list[dict[str, Any]], size: int = 100, store: Store = IN_MEMORY) -> RequestRows:
    return request_rows(pieces(rows, size), store)


def test_the_columns_have_the_values_and_types_of_the_table() -> None:
    assert_frame_equal(read(ROWS).frame(), table("requests", ROWS)[list(COLUMNS)])


def test_pieces_make_the_whole_and_every_text_has_one_number() -> None:
    rows = [row | {"source_ip": f"10.0.0.{number % 2}"} for number, row in enumerate(ROWS)]
    found = read(rows, 2)
    assert_frame_equal(found.frame(), read(rows).frame())
    assert found.texts["source_ip"] == ("10.0.0.0", "10.0.0.1")


@examples(30)
@given(st.lists(st.integers(0, 9), max_size=40), st.sampled_from([1, 3, 100]))
def test_rows_are_in_the_order_of_their_ids_and_those_of_one_as_recorded(
    ids: list[int], part_rows: int
) -> None:
    rows = [{"id": number, "started": BOOT_NS + place} for place, number in enumerate(ids)]
    found = read(rows, 4, InMemory(part_rows))
    wanted = table("requests", rows).sort_values("id", kind="stable", ignore_index=True)
    assert_frame_equal(found.frame(), wanted[list(COLUMNS)])
    parts = [set(part.columns["id"].tolist()) for part in found.parts()]
    assert sum(map(len, parts)) == len(set(ids))


def test_rows_in_files_are_the_same(tmp_path: Path) -> None:
    rows = [row | {"id": 7 - number} for number, row in enumerate(ROWS)]
    with spilled(tmp_path, 2) as store:
        found = read(rows, 3, store)
        assert_frame_equal(found.frame(), read(rows).frame())
        assert sum(map(len, found.parts())) == len(rows)


def test_a_part_knows_the_row_after_its_last() -> None:
    found = read(ROWS, store=InMemory(2))
    ids = [part.frame(with_following=True)["id"].tolist() for part in found.parts()]
    assert ids == [[1, 2], [2, 3], [3, 3, 2**40]]


def test_the_rows_that_pass_a_test_are_found_in_all_parts() -> None:
    found = read(ROWS, store=InMemory(1)).where(lambda columns: columns["id"] >= 3)
    assert found.frame()["id"].tolist() == [3, 3, 2**40]


def test_more_different_texts_than_any_run_has_are_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_TEXTS", 2)
    rows = [{"id": number, "error": f"error {number % 4}"} for number in range(8)]
    errors = read(rows).frame()["error"].tolist()
    assert errors == ["error 0", "error 1", "other", "other"] * 2


def test_a_number_that_does_not_fit_is_not_known() -> None:
    assert read([{"id": 0, "followed": 300}]).frame()["followed"].isna().all()


def test_no_rows_are_no_rows() -> None:
    none = read([])
    assert len(none) == 0
    assert [len(part) for part in none.parts()] == [0]
    assert list(none.frame()) == list(COLUMNS)


# -- from a directory ------------------------------------------------------------------------------


@pytest.fixture
def recorded(tmp_path: Path) -> Recording:
    writer = RecordingWriter(tmp_path / "run", {})
    columns = {"id": np.arange(5000), "status": np.where(np.arange(5000) % 1000, 200, 5000)}
    writer.extend_columns("requests", columns)
    writer.close("completed")
    return Recording.open(tmp_path / "run")


def test_pieces_of_a_part_are_small_and_its_problems_are_counted_together(
    recorded: Recording,
) -> None:
    sizes = [len(piece) for piece in recorded.pieces("requests", 1024)]
    assert max(sizes) <= 1024
    assert sum(sizes) == 5000
    (problem,) = recorded.problems
    assert problem.endswith("requests: status: no possible number in 5 of 5000 rows")


def test_of_a_damaged_part_the_pieces_before_the_damage_are_read(recorded: Recording) -> None:
    (part,) = (recorded.path / "requests").iterdir()
    content = bytearray(part.read_bytes())
    content[len(content) // 3 : len(content) // 2] = b"\0" * (len(content) // 2 - len(content) // 3)
    part.write_bytes(content)
    assert sum(map(len, recorded.pieces("requests", 1024))) < 5000
    (problem,) = recorded.problems
    assert "requests/part-00000.parquet: not readable" in problem
