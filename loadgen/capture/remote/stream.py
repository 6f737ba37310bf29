"""A pcap that comes in pieces from a host that nobody vouches for: checked and cut as it comes."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from analyzer.units import NS_PER_S
from analyzer.wire.capture.pcap import HEADER_BYTES, MAGIC, MAX_FRAME_BYTES, RECORD_BYTES
from loadgen.errors import LoadgenError

if TYPE_CHECKING:
    from collections.abc import Container


Packet = tuple[int, bytes, int]
"""When it was seen (Unix ns, the sender's clock), what was kept of it, its length on the wire."""


class NotPcap(LoadgenError):
    """What came is no capture."""


class PcapStream:
    """Takes a file's bytes as they come, and gives its packets.

    Args:
        header: the file's first ``HEADER_BYTES``.
        link_types: LINKTYPE_… that are taken.

    Attributes:
        link_type: LINKTYPE_… of the frames.

    Raises:
        NotPcap: it does not begin as a pcap file, or holds frames that nobody can read.
    """

    def __init__(self, header: bytes, link_types: Container[int]) -> None:
        if header[:4] not in MAGIC or len(header) != HEADER_BYTES:
            raise NotPcap("what came does not begin as a pcap file")
        order, self._unit_ns = MAGIC[header[:4]]
        self._record = struct.Struct(order + "IIII")
        self.link_type = struct.unpack_from(order + "I", header, 20)[0] & 0xFFFF
        if self.link_type not in link_types:
            raise NotPcap(f"its frames are of a link type not known here ({self.link_type})")
        self._rest = b""

    def feed(self, content: bytes) -> list[Packet]:
        """The packets that are whole by now.

        Raises:
            NotPcap: a record that cannot be one.
        """
        content = self._rest + content
        packets: list[Packet] = []
        at = 0
        while at + RECORD_BYTES <= len(content):
            seconds, fraction, captured, length = self._record.unpack_from(content, at)
            if captured > MAX_FRAME_BYTES or fraction * self._unit_ns >= NS_PER_S:
                raise NotPcap("a record came that cannot be one")
            end = at + RECORD_BYTES + captured
            if end > len(content):
                break
            at_ns = seconds * NS_PER_S + fraction * self._unit_ns
            packets.append((at_ns, content[at + RECORD_BYTES : end], length))
            at = end
        self._rest = content[at:]
        return packets
