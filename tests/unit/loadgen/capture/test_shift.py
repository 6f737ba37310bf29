"""A capture brought to another clock."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from analyzer.wire.capture.pcap import pcap_header, pcap_record
from loadgen.capture.shift import shift_capture

if TYPE_CHECKING:
    from pathlib import Path

HEADER = pcap_header(1, 160)
AT_NS = 1_795_360_280_900_000_000


def written(path: Path, *pieces: bytes) -> Path:
    file = path / "capture.pcap"
    file.write_bytes(HEADER + b"".join(pieces))
    return file


@pytest.mark.parametrize("piece_bytes", [16, 77, 100, 1 << 20])
@pytest.mark.parametrize("by_ns", [0, 1, 250_000_000, -950_000_000, -3_600 * 10**9])
def test_every_record_moves_by_the_same_and_keeps_its_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_ns: int, piece_bytes: int
) -> None:
    monkeypatch.setattr("loadgen.capture.shift._PIECE_BYTES", piece_bytes)
    frames = [b"x" * 60, b"y" * 61, b""]
    file = written(tmp_path, *(pcap_record(AT_NS + k, f, 90) for k, f in enumerate(frames)))

    shift_capture(file, by_ns)

    moved = (pcap_record(AT_NS + k + by_ns, f, 90) for k, f in enumerate(frames))
    assert file.read_bytes() == HEADER + b"".join(moved)


def test_a_record_that_is_cut_off_ends_it(tmp_path: Path) -> None:
    record = pcap_record(AT_NS, b"x" * 60, 60)
    file = written(tmp_path, record, record[:10])

    shift_capture(file, 1)

    assert file.read_bytes() == HEADER + pcap_record(AT_NS + 1, b"x" * 60, 60) + record[:10]


def test_a_length_beyond_the_file_does_no_harm(tmp_path: Path) -> None:
    file = written(tmp_path, struct.pack("<IIII", 1, 2, 2**32 - 1, 5))

    shift_capture(file, 1)

    assert file.stat().st_size == len(HEADER) + 16


def test_an_instant_before_1970_is_left(tmp_path: Path) -> None:
    record = pcap_record(5, b"x", 1)
    file = written(tmp_path, record)

    shift_capture(file, -(10**12))

    assert file.read_bytes() == HEADER + record


def test_an_empty_capture_stays_empty(tmp_path: Path) -> None:
    file = tmp_path / "capture.pcap"
    file.write_bytes(b"")

    shift_capture(file, 5)

    assert file.read_bytes() == b""
