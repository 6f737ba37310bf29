"""The two versions of IP: what their headers are, and where they have what differs by frame."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

ETHERNET_BYTES, TCP_BYTES = 14, 20
_MTU = 1500
_TTL = 64
_DONT_FRAGMENT = 0x4000


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """Frames of one version; ``word`` counts 16 bits from the frame's beginning.

    Attributes:
        ip_bytes: of the header, without options.
        source_word: where the source address begins.
        checksum_word: where the header's own checksum is; None where it has none.
    """

    number: int
    family: socket.AddressFamily
    ethertype: int
    ip_bytes: int
    source_word: int
    checksum_word: int | None

    @property
    def tcp_word(self) -> int:
        """Where the TCP header begins."""
        return (ETHERNET_BYTES + self.ip_bytes) // 2

    @property
    def mss(self) -> int:
        """Bytes of TCP's payload that fit into a frame (RFC 6691)."""
        return _MTU - self.ip_bytes - TCP_BYTES

    def packed(self, address: str) -> bytes:
        """As it stands in a header."""
        return socket.inet_pton(self.family, address)

    def header(self, destination: str, size: int) -> bytes:
        """Before a segment of so many bytes; no source yet, and no checksum."""
        there = self.packed(destination)
        if self is IPV4:
            fields = (0x45, 0, self.ip_bytes + size, 0, _DONT_FRAGMENT, _TTL, socket.IPPROTO_TCP, 0)
            return struct.pack("!BBHHHBBH", *fields) + bytes(4) + there
        return struct.pack("!IHBB", 6 << 28, size, socket.IPPROTO_TCP, _TTL) + bytes(16) + there


IPV4 = Version(
    number=4,
    family=socket.AF_INET,
    ethertype=0x0800,
    ip_bytes=20,
    source_word=13,
    checksum_word=12,
)
IPV6 = Version(
    number=6,
    family=socket.AF_INET6,
    ethertype=0x86DD,
    ip_bytes=40,
    source_word=11,
    checksum_word=None,
)


def version_of(address: str) -> Version:
    """An address's."""
    return IPV6 if ":" in address else IPV4
