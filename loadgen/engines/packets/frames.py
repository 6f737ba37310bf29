"""Frames by the hundred: templates written once, then addresses, ports and numbers filled in.

The Internet checksum is a sum (RFC 1071), so a template's is computed once, without what differs;
each frame adds its own words to it, in a few operations over all frames.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from loadgen.engines.packets.script import Segment
from loadgen.engines.packets.versions import ETHERNET_BYTES, TCP_BYTES, Version, version_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    UInt8s = npt.NDArray[np.uint8]
    UInt32s = npt.NDArray[np.uint32]
    Ints = npt.NDArray[np.int64]

FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10

WINDOW = 65535

# words of 16 bits, from the beginning of the TCP header
_SEQUENCE, _CHECKSUM = 2, 8

_FLAGS: Mapping[Segment, int] = {
    Segment.SYN: SYN,
    Segment.ASK: PSH | ACK,
    Segment.ASK_CLOSE: PSH | ACK,
    Segment.ACK: ACK,
    Segment.FIN: FIN | ACK,
    Segment.RST: RST | ACK,
    Segment.RST_BARE: RST,
}


class Templates:
    """One frame of each kind of segment, to one VIP and port.

    Args:
        vip: where they go.
        sources: our addresses, by number.
        macs: of the next hop, and ours.
        payloads: what the segments carry that carry something.

    Attributes:
        consumes: sequence numbers that each kind of segment takes, shape (kinds,).
        width: of a row, bytes.
    """

    def __init__(
        self,
        vip: tuple[str, int],
        sources: Sequence[str],
        macs: tuple[bytes, bytes],
        payloads: Mapping[Segment, bytes],
    ) -> None:
        ip = version_of(vip[0])
        frames = [_frame(ip, kind, vip, macs, payloads.get(kind, b"")) for kind in Segment]
        self.width = (max(map(len, frames)) + 1) // 2 * 2
        rows = b"".join(frame.ljust(self.width, b"\0") for frame in frames)
        self._rows = np.frombuffer(rows, np.uint8).reshape(len(frames), self.width).copy()
        self._length = np.array([len(frame) for frame in frames])
        self.consumes = np.array([_consumes(kind, payloads) for kind in Segment], np.uint32)
        packed = b"".join(map(ip.packed, sources))
        self._sources = np.frombuffer(packed, ">u2").reshape(len(sources), -1)
        self._source_end = ip.source_word + self._sources.shape[1]
        self._ip = ip
        self._tcp = ip.tcp_word
        self._source_sums = self._sources.astype(np.uint32).sum(axis=1, dtype=np.uint32)
        self._ip_sums = np.array([_ip_sum(ip, frame) for frame in frames], np.uint32)
        self._tcp_sums = np.array([_tcp_sum(ip, frame) for frame in frames], np.uint32)

    def turn_to(self, mac: bytes) -> None:
        """The next hop has another MAC from here on."""
        self._rows[:, :6] = np.frombuffer(mac, np.uint8)

    def compose(
        self, kind: Ints, source: Ints, port: Ints, seq: UInt32s, ack: UInt32s
    ) -> tuple[UInt8s, Ints]:
        """Frames; every argument has shape (n,).

        Args:
            kind: of segment.
            source: numbers of our addresses.
            port: ours.
            seq: the first byte's number.
            ack: the number that is expected next; what has no ACK flag has 0.

        Returns:
            The frames, shape (n, width), and the length of each in bytes.
        """
        frames = self._rows[kind]
        words = frames.view(">u2")
        ip, tcp = self._ip, self._tcp
        source_sum = self._source_sums[source]
        if ip.checksum_word is not None:
            words[:, ip.checksum_word] = _folded(self._ip_sums[kind] + source_sum)
        words[:, ip.source_word : self._source_end] = self._sources[source]
        words[:, tcp] = port
        halves = np.empty((len(kind), 4), np.uint32)
        halves[:, 0] = seq >> 16
        halves[:, 1] = seq & 0xFFFF
        halves[:, 2] = ack >> 16
        halves[:, 3] = ack & 0xFFFF
        words[:, tcp + _SEQUENCE : tcp + _SEQUENCE + 4] = halves
        own = halves.sum(axis=1, dtype=np.uint32) + source_sum + port.astype(np.uint32)
        words[:, tcp + _CHECKSUM] = _folded(self._tcp_sums[kind] + own)
        return frames, self._length[kind]


def _folded(sums: UInt32s) -> UInt32s:
    """The ones' complement of a ones' complement sum; 2^16 words at most have been added up."""
    sums = (sums & 0xFFFF) + (sums >> 16)
    sums += sums >> 16
    return np.uint32(0xFFFF) - (sums & np.uint32(0xFFFF))


def _frame(
    ip: Version, kind: Segment, vip: tuple[str, int], macs: tuple[bytes, bytes], payload: bytes
) -> bytes:
    """A template: no source, no port, no numbers, no checksums."""
    options = struct.pack("!BBH", 2, 4, ip.mss) if kind == Segment.SYN else b""
    there, here = macs
    header = ip.header(vip[0], TCP_BYTES + len(options) + len(payload))
    offset = (TCP_BYTES + len(options)) // 4 << 4
    flags = _FLAGS.get(kind, 0)
    tcp = struct.pack("!HHIIBBHHH", 0, vip[1], 0, 0, offset, flags, WINDOW, 0, 0)
    return there + here + ip.ethertype.to_bytes(2) + header + tcp + options + payload


def _consumes(kind: Segment, payloads: Mapping[Segment, bytes]) -> int:
    if kind in (Segment.SYN, Segment.FIN):
        return 1
    return len(payloads.get(kind, b""))


def _sum(content: bytes) -> int:
    padded = content + bytes(len(content) % 2)
    words = struct.unpack(f"!{len(padded) // 2}H", padded)
    return int(sum(words) % 0xFFFF)


def _ip_sum(ip: Version, frame: bytes) -> int:
    return _sum(frame[ETHERNET_BYTES : ETHERNET_BYTES + ip.ip_bytes])


def _tcp_sum(ip: Version, frame: bytes) -> int:
    """With the pseudo header (RFC 9293, 3.1; RFC 8200, 8.1), whose source is still to come."""
    segment = frame[2 * ip.tcp_word :]
    addresses = frame[2 * ip.source_word : 2 * ip.tcp_word]
    return _sum(addresses + struct.pack("!HH", 6, len(segment)) + segment)
