"""Tasks for other processes: mapped files go by name where they are seen, else by value."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pytest

from analyzer.parts import Dealt
from analyzer.parts.mapped import mapped
from analyzer.recording.spill import spilled
from analyzer.recording.spill.tasks import dumps, loads

if TYPE_CHECKING:
    from pathlib import Path

ROWS = 10_000
WAYS = pytest.mark.parametrize("by_name", [True, False], ids=["name", "value"])


@WAYS
def test_part_of_a_column_comes_back_as_it_was(tmp_path: Path, *, by_name: bool) -> None:
    with spilled(tmp_path) as store:
        writer = store.columns()
        writer.append({"at_ns": np.arange(ROWS), "odd": np.arange(ROWS) % 2 == 1})
        columns = writer.finish()
        part = {name: column[10:-10] for name, column in columns.items()}
        payload = dumps(part, lambda _: by_name)
        found = loads(payload)
        assert all(np.array_equal(found[name], part[name]) for name in part)
        assert found["odd"].dtype == bool
        assert (len(payload) < 1000) is by_name


@WAYS
def test_a_piece_of_a_capture_comes_back_as_it_was(tmp_path: Path, *, by_name: bool) -> None:
    path = tmp_path / "capture.pcap"
    path.write_bytes(bytes(range(256)) * 100)
    payload = dumps(mapped(path)[300:-300], lambda _: by_name)
    assert bytes(loads(payload)) == path.read_bytes()[300:-300]
    assert (len(payload) < 1000) is by_name


def test_a_piece_of_a_capture_that_was_cut_off_meanwhile_is_zeros_from_there_on(
    tmp_path: Path,
) -> None:
    path = tmp_path / "capture.pcap"
    path.write_bytes(b"abcd" * 100)
    payload = dumps(mapped(path)[100:300], lambda _: True)
    os.truncate(path, 200)
    assert bytes(loads(payload)) == b"abcd" * 25 + bytes(100)


def test_a_capture_goes_by_value_where_only_the_folder_of_the_columns_is_seen(
    tmp_path: Path,
) -> None:
    path, columns = tmp_path / "capture.pcap", tmp_path / "seen"
    path.write_bytes(bytes(ROWS))
    columns.mkdir()
    with spilled(columns) as store:
        writer = store.columns()
        writer.append({"at_ns": np.arange(ROWS)})
        column = writer.finish()["at_ns"]
        payload = dumps((mapped(path), column), lambda folder: folder == store.folder)
        path.unlink()
        content, found = loads(payload)
        assert bytes(content) == bytes(ROWS)
        assert np.array_equal(found, column)
        assert ROWS < len(payload) < ROWS + 1000


def dealt(size: int) -> Dealt:
    return Dealt(np.zeros(size, dtype=np.int64), {"at": np.arange(size)})


@WAYS
def test_a_bucket_has_its_rows_wherever_it_is_read(tmp_path: Path, *, by_name: bool) -> None:
    with spilled(tmp_path) as store:
        buckets = store.deal(1, dealt, [(ROWS,)])
        payload = dumps(buckets.bucket(0), lambda _: by_name)
        assert loads(payload).read()["at"].tolist() == list(range(ROWS))
        assert (len(payload) < 1000) is by_name


@WAYS
def test_what_lies_in_memory_comes_back_as_it_was(*, by_name: bool) -> None:
    value = (np.arange(5)[::2], np.zeros((2, 2)), np.zeros(0), "text", memoryview(b"abc"))
    found = loads(dumps(value, lambda _: by_name))
    assert [one.tolist() for one in found[:3]] == [[0, 2, 4], [[0, 0], [0, 0]], []]
    assert (found[3], bytes(found[4])) == ("text", b"abc")


def test_an_array_of_another_file_than_a_columns_goes_by_value(tmp_path: Path) -> None:
    path = tmp_path / "other"
    path.write_bytes(bytes(8 * ROWS))
    other = np.memmap(path, dtype=np.int64, mode="r")
    assert len(dumps(np.asarray(other), lambda _: True)) > 8 * ROWS
