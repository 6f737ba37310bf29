"""Tasks for other processes: mapped files go by name where they are seen, else by value."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pytest

from analyzer.parts import Dealt
from analyzer.parts.inputs import opened
from analyzer.recording.spill import spilled
from analyzer.recording.spill.tasks import dumps, loads
from analyzer.wire.capture.files import chunks_of
from tests.unit.analyzer.builders_packets import NS, frame_bytes, pcap
from tests.unit.analyzer.builders_packets import pcapng_of as as_pcapng

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Sent = list[tuple[int, bytes]]

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
    payload = dumps(opened(path).read(200, 25_400)[100:-100], lambda _: by_name)
    assert bytes(loads(payload)) == path.read_bytes()[300:-300]
    assert (len(payload) < 1000) is by_name


@pytest.mark.parametrize("kept", [0, 3, 200, 9_000, 14_000, 19_999])
@pytest.mark.parametrize("make", [pcap, as_pcapng], ids=["pcap", "pcapng"])
def test_frames_that_were_cut_off_before_a_worker_read_them_are_unread(
    tmp_path: Path, make: Callable[[Sent], bytes], kept: int
) -> None:
    """No frame is made of what is not there, and none is lost without a word."""
    sent = [(NS + n * NS, bytes([n]) * 120) for n in range(150)]
    path = tmp_path / "capture"
    path.write_bytes(make(sent))
    chunks = [chunk.alone() for chunk in chunks_of(opened(path), 3_000)]
    payloads = [dumps(chunk, lambda _: True) for chunk in chunks]
    assert max(map(len, payloads)) < 4_000  # none has the frames themselves
    os.truncate(path, kept)
    found = [loads(payload).frames() for payload in payloads]
    read = [frame for frames in found for frame in frame_bytes(frames)]
    assert read == [frame for _, frame in sent[: len(read)]]
    assert 0 <= kept - len(make(sent[: len(read)])) < 160 or not read
    lost = sum(len(frame) for _, frame in sent[len(read) :])
    assert lost <= sum(frames.unread for frames in found) <= path.stat().st_size + 2 * lost


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
        content = opened(path).read(0, ROWS)
        payload = dumps((content, column), lambda folder: folder == store.folder)
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
