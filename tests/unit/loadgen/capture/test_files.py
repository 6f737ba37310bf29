"""Capture files: what was written is read back, and a bound on their size is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.recording.directory import MANIFEST, Recording
from analyzer.wire.capture.files import frame_chunks
from loadgen.capture.files import Deleted, PcapFiles, block_records, clock_time, cut_record
from loadgen.capture.filters import LINK_ETHERNET
from loadgen.capture.model import SNAP_BYTES
from loadgen.rings.blocks import FrameBlock
from tests.unit.loadgen.wire import packets_of

if TYPE_CHECKING:
    from pathlib import Path

NS = 1_000_000_000
frames = st.lists(
    st.tuples(st.integers(NS, 2**31 * NS), st.binary(min_size=14, max_size=300)), max_size=20
)


def block(sent: list[tuple[int, bytes]], vlan: int = 0) -> FrameBlock:
    """Frames as a ring would hand them out, with somebody else's bytes behind each."""
    rows = np.full((len(sent), SNAP_BYTES), 0xEE, dtype=np.uint8)
    for row, (_, frame) in zip(rows, sent, strict=True):
        row[: len(frame)] = np.frombuffer(frame[:SNAP_BYTES], dtype=np.uint8)
    return FrameBlock(
        frames=rows,
        captured=np.array([min(len(frame), SNAP_BYTES) for _, frame in sent], dtype=np.int64),
        length=np.array([len(frame) for _, frame in sent], dtype=np.int64),
        at_ns=np.array([at_ns for at_ns, _ in sent], dtype=np.int64),
        packet_type=np.zeros(len(sent), dtype=np.uint8),
        vlan=np.full(len(sent), vlan, dtype=np.int64),
    )


@given(frames)
def test_a_block_gives_the_records_that_its_frames_give_one_by_one(
    sent: list[tuple[int, bytes]],
) -> None:
    one_by_one = b"".join(cut_record(at_ns, frame, len(frame)) for at_ns, frame in sent)
    assert block_records(block(sent)) == one_by_one


@given(frames)
def test_a_tag_is_put_back_behind_the_addresses(sent: list[tuple[int, bytes]]) -> None:
    tag = b"\x81\x00\x00\x2a"
    tagged = [(at_ns, frame[:12] + tag + frame[12:]) for at_ns, frame in sent]
    one_by_one = b"".join(cut_record(at_ns, frame, len(frame)) for at_ns, frame in tagged)
    assert block_records(block(sent, vlan=0x8100002A)) == one_by_one


def test_the_analyzer_reads_back_the_instants_and_the_lengths(tmp_path: Path) -> None:
    sent = [(NS * 9 + 7 * row, b"x" * (20 + row)) for row in range(200)]
    path = tmp_path / "capture.pcap"
    with PcapFiles(path, LINK_ETHERNET, None, print) as files:
        files.write(block_records(block(sent)), len(sent), sent[-1][0])
    (found,) = frame_chunks(memoryview(path.read_bytes()))
    assert found.at_ns.tolist() == [at_ns for at_ns, _ in sent]
    assert found.length.tolist() == [min(len(frame), SNAP_BYTES) for _, frame in sent]
    assert [frame for _, frame, _ in packets_of(path)] == [frame[:SNAP_BYTES] for _, frame in sent]


def written(path: Path, size_bytes: int | None, seconds: int) -> tuple[PcapFiles, list[Deleted]]:
    """A packet of 100 bytes every second."""
    deleted: list[Deleted] = []
    with PcapFiles(path / "capture.pcap", LINK_ETHERNET, size_bytes, deleted.append) as files:
        for second in range(1, seconds + 1):
            files.write(cut_record(second * NS, b"x" * 84, 84), 1, second * NS)
    return files, deleted


def test_without_a_bound_there_is_one_file(tmp_path: Path) -> None:
    files, deleted = written(tmp_path, None, 1000)
    assert [path.name for path in tmp_path.iterdir()] == ["capture.pcap"]
    assert deleted == []
    assert files.bytes == (tmp_path / "capture.pcap").stat().st_size == 24 + 100_000


def test_a_bound_is_kept_and_the_oldest_packets_go_first(tmp_path: Path) -> None:
    files, deleted = written(tmp_path, 8000, 1000)
    left = sorted(tmp_path.iterdir())
    size_bytes = sum(path.stat().st_size for path in left)
    assert 8000 * 3 / 4 < size_bytes <= 8000
    assert size_bytes == files.bytes
    assert files.packets == 1000
    assert deleted[0].name == "capture.pcap"
    assert [each.name for each in deleted[1:3]] == ["capture-00001.pcap", "capture-00002.pcap"]
    assert left[0].name > deleted[-1].name
    kept = [at_ns for path in left for at_ns, *_ in packets_of(path)]
    assert kept[0] == deleted[-1].last_ns + NS
    assert kept == [second * NS for second in range(kept[0] // NS, 1001)]
    assert sum(each.packets for each in deleted) + len(kept) == 1000


def test_what_is_left_is_handed_out_in_order(tmp_path: Path) -> None:
    written(tmp_path, 8000, 1000)
    (tmp_path / MANIFEST).write_text('{"schema_version": 1}')
    captures = Recording.open(tmp_path).captures()
    firsts = [int(next(frame_chunks(content)).at_ns[0]) for content in captures.values()]
    assert len(firsts) > 2
    assert firsts == sorted(firsts)


def test_nothing_is_written_of_no_packets(tmp_path: Path) -> None:
    files, _ = written(tmp_path, None, 0)
    files.write(b"", 0, 0)
    assert files.packets == files.last_ns == 0


def test_a_directory_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        written(tmp_path / "nowhere", None, 1)


def test_an_instant_is_shown_to_a_millisecond() -> None:
    assert clock_time(1_795_372_100_055_266_803) == "18:28:20.055 UTC"
