"""Capture files, classic pcap and pcapng, to frames: when each was seen, and where its bytes lie.

Only the record headers are walked one by one; a frame's own bytes stay where they are and are
gathered later, from all frames at once. A file that ends in the middle of a record gives the
frames before it. Formats: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from analyzer.errors import ParseError

if TYPE_CHECKING:
    from collections.abc import Iterator

Ints = npt.NDArray[np.int64]
UInt8s = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]

_NS = 1_000_000_000
_PCAP_MAGIC = {  # byte order, nanoseconds in one unit of the fraction
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\x3c\x4d": (">", 1),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
}
_PCAP_HEADER = 24
_PCAP_RECORD = 16
_SECTION = 0x0A0D0D0A
_SECTION_ORDER = {b"\x1a\x2b\x3c\x4d": ">", b"\x4d\x3c\x2b\x1a": "<"}
_INTERFACE, _SIMPLE, _ENHANCED = 1, 3, 6
_OPTION_RESOLUTION, _OPTION_OFFSET = 9, 14
_DEFAULT_UNITS_PER_S = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """Frames in the order of the file; every array but ``content`` has shape (n,).

    Attributes:
        content: the whole file.
        at_ns: Unix time, the capturing host's clock.
        start: offset of the frame's first byte in ``content``.
        length: bytes captured of it.
        link_type: what the frame begins with (LINKTYPE_…).
    """

    content: UInt8s
    at_ns: Ints
    start: Ints
    length: Ints
    link_type: Ints

    def gather(self, offset: Ints, width: int) -> Ints:
        """Big-endian numbers of ``width`` bytes, at most 7, at each offset."""
        value = np.zeros(len(offset), dtype=np.int64)
        for index in range(width):
            value = value << 8 | self.content[offset + index]
        return value

    def holds(self, end: Ints) -> Bools:
        """Which frames were captured at least to this offset."""
        return end <= self.start + self.length


def read_frames(content: memoryview) -> Frames:
    """The frames of a capture file.

    Raises:
        ParseError: neither pcap nor pcapng.
    """
    magic = bytes(content[:4])
    if magic in _PCAP_MAGIC and len(content) >= _PCAP_HEADER:
        rows = list(_pcap(content, *_PCAP_MAGIC[magic]))
    elif magic == _SECTION.to_bytes(4, "big"):
        rows = list(_pcapng(content))
    else:
        raise ParseError("capture: neither pcap nor pcapng (its first bytes are of no known kind)")
    columns = np.array(rows, dtype=np.int64).reshape(-1, 4)
    return Frames(
        content=np.frombuffer(content, dtype=np.uint8),
        at_ns=columns[:, 0].copy(),
        start=columns[:, 1].copy(),
        length=columns[:, 2].copy(),
        link_type=columns[:, 3].copy(),
    )


def _pcap(content: memoryview, order: str, unit_ns: int) -> Iterator[tuple[int, int, int, int]]:
    (link_type,) = struct.unpack_from(order + "I", content, 20)
    link_type &= 0xFFFF
    record = struct.Struct(order + "III")
    offset, end = _PCAP_HEADER, len(content)
    while offset + _PCAP_RECORD <= end:
        seconds, fraction, captured = record.unpack_from(content, offset)
        offset += _PCAP_RECORD
        if offset + captured > end:
            return  # the run was cut off while this packet was written
        yield seconds * _NS + fraction * unit_ns, offset, captured, link_type
        offset += captured


@dataclass(frozen=True, slots=True)
class _Interface:
    link_type: int
    units_per_s: int
    offset_s: int

    def at_ns(self, units: int) -> int:
        return units * _NS // self.units_per_s + self.offset_s * _NS


def _pcapng(content: memoryview) -> Iterator[tuple[int, int, int, int]]:
    order = "<"
    interfaces: list[_Interface] = []
    offset, end = 0, len(content)
    while offset + 12 <= end:
        if bytes(content[offset : offset + 4]) == _SECTION.to_bytes(4, "big"):
            order = _SECTION_ORDER.get(bytes(content[offset + 8 : offset + 12]), order)
            interfaces = []
        kind, length = struct.unpack_from(order + "II", content, offset)
        if length < 12 or length % 4 or offset + length > end:
            return
        body, body_end = offset + 8, offset + length - 4
        if kind == _INTERFACE and body + 8 <= body_end:
            interfaces.append(_interface(content, order, body, body_end))
        elif kind == _ENHANCED and body + 20 <= body_end:
            number, high, low, captured = struct.unpack_from(order + "IIII", content, body)
            if number < len(interfaces) and body + 20 + captured <= body_end:
                found = interfaces[number]
                at_ns = min(found.at_ns(high << 32 | low), 2**63 - 1)
                yield at_ns, body + 20, captured, found.link_type
        offset += length


def _interface(content: memoryview, order: str, body: int, end: int) -> _Interface:
    (link_type,) = struct.unpack_from(order + "H", content, body)
    units_per_s, offset_s = _DEFAULT_UNITS_PER_S, 0
    option = body + 8
    while option + 4 <= end:
        code, length = struct.unpack_from(order + "HH", content, option)
        value = option + 4
        if code == 0 or value + length > end:
            break
        if code == _OPTION_RESOLUTION and length == 1:
            power = content[value]
            units_per_s = 2 ** (power & 0x7F) if power & 0x80 else 10 ** min(power, 18)
        elif code == _OPTION_OFFSET and length == 8:
            (offset_s,) = struct.unpack_from(order + "q", content, value)
            offset_s = offset_s if abs(offset_s) < 2**33 else 0
        option = value + (length + 3) // 4 * 4
    return _Interface(link_type, units_per_s, offset_s)
