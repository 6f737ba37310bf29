"""Captures, pcap and pcapng: packets, connections and announcements of VRRP."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING

from analyzer.evidence.captures import ReadOnce, read_captures
from analyzer.wire.packets import read_packets
from analyzer.wire.services import busiest_end
from analyzer.wire.vrrp import read_announcements
from tests.fuzz.mutate import damaged

if TYPE_CHECKING:
    import random

DATA = Path(__file__).parents[1] / "data"
MAX_BYTES = 60_000
CAPTURES = [file.read_bytes()[:MAX_BYTES] for file in sorted(DATA.glob("**/*.pcap"))]


def attempt(chance: random.Random, _folder: Path) -> None:
    """One capture, read as an analysis does."""
    capture = chance.choice(CAPTURES)
    content = memoryview(damaged(as_pcapng(capture) if chance.random() < 0.5 else capture, chance))
    end = busiest_end(read_packets(content))
    read_captures(ReadOnce({"capture.pcap": content}), {end} if end else set(), frozenset())
    read_announcements(content)


def as_pcapng(capture: bytes) -> bytes:
    """The frames of a little-endian pcap as enhanced packet blocks."""
    (link,) = struct.unpack_from("<I", capture, 20)
    blocks = [_block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))]
    blocks.append(_block(1, struct.pack("<HHI", link & 0xFFFF, 0, 262_144)))
    at = 24
    while at + 16 <= len(capture):
        seconds, fraction, kept, length = struct.unpack_from("<IIII", capture, at)
        instant = seconds * 1_000_000 + fraction % 1_000_000
        head = struct.pack("<IIIII", 0, instant >> 32, instant & 0xFFFFFFFF, kept, length)
        blocks.append(_block(6, head + capture[at + 16 : at + 16 + kept]))
        at += 16 + kept
    return b"".join(blocks)


def _block(kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    length = len(body) + 12
    return struct.pack("<II", kind, length) + body + struct.pack("<I", length)
