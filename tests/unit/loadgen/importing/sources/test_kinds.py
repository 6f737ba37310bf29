"""What a file is, by its content; what is nothing to import is named."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from loadgen.errors import UsageProblem
from loadgen.importing.sources.kinds import Kind, kind_of
from tests.unit.analyzer.builders_packets import ACK, BOOT_NS, pcap, request
from tests.unit.loadgen.importing.sources.builders_packed import PACKERS

if TYPE_CHECKING:
    from pathlib import Path

PCAP = pcap([(BOOT_NS, request(ACK))])
PCAPNG = struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
TABLE = b"2026-11-28 03:59:40\nIP Virtual Server version 1.2.1 (size=4096)\n"


@pytest.mark.parametrize("pack", [None, *PACKERS])
@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (PCAP, Kind.CAPTURE),
        (PCAPNG, Kind.CAPTURE),
        (TABLE, Kind.TEXT_LOG),
        (b'{"t": 1e9, "services": ""}\n', Kind.JSON_LOG),
        (b'{"log":"TCP  10.0.0.1:80 wlc\\n","time":"2026-11-20T04:10:01.1Z"}\n', Kind.TEXT_LOG),
        (b"1795838380\nTCP  10.0.0.1:80 wlc\n", Kind.TEXT_LOG),
        (b"some prose\n", Kind.UNKNOWN_TEXT),
        (b'{"name": "x"}\n', Kind.UNKNOWN_JSON),
    ],
)
def test_a_file_is_told_by_its_content(
    tmp_path: Path, content: bytes, kind: Kind, pack: str | None
) -> None:
    for name in ("x", "x.pcap", "x.log", "x.jsonl.gz", "x.PCAP0"):
        (tmp_path / name).write_bytes(PACKERS[pack](content) if pack else content)
        assert kind_of(tmp_path / name) is kind


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"", "the file is empty"),
        (bytes(300), "neither a capture (pcap, pcapng) nor a text"),
        (b"PK\x03\x04" + bytes(60), "a ZIP archive; expected what is in it"),
        (bytes(257) + b"ustar\x0000", "a tar archive; expected what is in it"),
        (b"\x5d\0\0\x80\0" + bytes(60), "packed by lzma; expected what is in it"),
        (PACKERS["gzip"](PACKERS["gzip"](PCAP)), "packed twice; expected what is in it"),
        (b"snoop\0\0\0" + bytes(60), "another format (snoop); expected pcap or pcapng: editcap"),
    ],
)
def test_what_is_nothing_to_import_is_named(tmp_path: Path, content: bytes, named: str) -> None:
    (tmp_path / "x.pcap").write_bytes(content)
    with pytest.raises(UsageProblem) as caught:
        kind_of(tmp_path / "x.pcap")
    assert str(caught.value).startswith(f"{tmp_path / 'x.pcap'}: ")
    assert named in str(caught.value)


def test_a_file_of_pzstd_is_unpacked(tmp_path: Path) -> None:
    """It begins with a frame that holds the next one's size."""
    size = b"\x5a\x2a\x4d\x18" + struct.pack("<I", 4) + b"size"
    (tmp_path / "x").write_bytes(size + PACKERS["Zstandard"](PCAP))
    assert kind_of(tmp_path / "x") is Kind.CAPTURE
