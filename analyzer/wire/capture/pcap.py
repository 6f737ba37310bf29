"""Classic pcap (draft-ietf-opsawg-pcap): how a file and its records begin."""

from __future__ import annotations

import struct

from analyzer.units import NS_PER_S

HEADER_BYTES, RECORD_BYTES = 24, 16
MAX_FRAME_BYTES = 262_144  # what libpcap and tcpdump write at most (MAXIMUM_SNAPLEN)
MAX_NS = NS_PER_S << 32
"""A record tells seconds in 32 bits."""

MAGIC = {  # byte order, nanoseconds in one unit of the fraction
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\x3c\x4d": (">", 1),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
}

_HEADER = struct.Struct("<IHHiIII")
_RECORD = struct.Struct("<IIII")
_MAGIC_NS = 0xA1B23C4D


def pcap_header(link_type: int, snap_bytes: int) -> bytes:
    """What a file with nanosecond stamps begins with; ``link_type`` is a LINKTYPE_…."""
    return _HEADER.pack(_MAGIC_NS, 2, 4, 0, 0, snap_bytes, link_type)


def pcap_record(at_ns: int, frame: bytes, length: int) -> bytes:
    """One packet: its instant (below ``MAX_NS``), what was kept of it, its length on the wire."""
    return _RECORD.pack(*divmod(at_ns, NS_PER_S), len(frame), length) + frame
