"""Frames by the hundred: templates written once for each source, then ports and numbers filled in.

The Internet checksum is a sum (RFC 1071), so a template's is computed once, without what differs;
each frame adds its own words to it, in a few operations over all frames.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from loadgen.load.engines.packets.tcp.script import Segment
from loadgen.load.engines.packets.wire.versions import (
    ETHERNET_BYTES,
    TCP_BYTES,
    Version,
    version_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    UInt8s = npt.NDArray[np.uint8]
    UInt32s = npt.NDArray[np.uint32]
    Ints = npt.NDArray[np.int64]

FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10

WINDOW = 65535

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
    """One frame of each kind of segment from each source, to one VIP and port.

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
        kinds = [_frame(ip, kind, vip, macs, payloads.get(kind, b"")) for kind in Segment]
        frames = [_from_source(ip, frame, source) for source in sources for frame in kinds]
        self.width = (max(map(len, kinds)) + 1) // 2 * 2
        rows = b"".join(frame.ljust(self.width, b"\0") for frame in frames)
        self._rows = np.frombuffer(bytearray(rows), _fields(ip, self.width))
        self._sums = np.array([_tcp_sum(ip, frame) for frame in frames])
        self._length = np.array([len(frame) for frame in kinds])
        self.consumes = np.array([_consumes(kind, payloads) for kind in Segment], np.uint32)

    def turn_to(self, mac: bytes) -> None:
        """The next hop has another MAC from here on."""
        self._rows["to"] = mac

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
        places = source * len(self._length) + kind
        frames = self._rows.take(places)
        frames["port"], frames["seq"], frames["ack"] = port, seq, ack
        # 2^16 is 1 in a ones' complement sum of 16 bits: a word of 32 adds up as its halves do
        sums = self._sums[places] + port + seq + ack
        frames["checksum"] = -sums % 0xFFFF
        return frames.view(np.uint8).reshape(-1, self.width), self._length[kind]


def _fields(ip: Version, width: int) -> np.dtype[np.void]:
    """What of a frame differs from its template, and the MAC of the next hop."""
    tcp = 2 * ip.tcp_word
    fields = {
        "to": ("V6", 0),
        "port": (">u2", tcp),
        "seq": (">u4", tcp + 4),
        "ack": (">u4", tcp + 8),
        "checksum": (">u2", tcp + 16),
    }
    return np.dtype(
        {
            "names": list(fields),
            "formats": [kind for kind, _ in fields.values()],
            "offsets": [begin for _, begin in fields.values()],
            "itemsize": width,
        }
    )


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


def _from_source(ip: Version, frame: bytes, source: str) -> bytes:
    """A template with its source, and with the checksum of its IP header if that has one."""
    made, address = bytearray(frame), ip.packed(source)
    begin = 2 * ip.source_word
    made[begin : begin + len(address)] = address
    if ip.checksum_word is not None:
        header = bytes(made[ETHERNET_BYTES : ETHERNET_BYTES + ip.ip_bytes])
        struct.pack_into("!H", made, 2 * ip.checksum_word, -_sum(header) % 0xFFFF)
    return bytes(made)


def _consumes(kind: Segment, payloads: Mapping[Segment, bytes]) -> int:
    if kind in (Segment.SYN, Segment.FIN):
        return 1
    return len(payloads.get(kind, b""))


def _sum(content: bytes) -> int:
    padded = content + bytes(len(content) % 2)
    words = struct.unpack(f"!{len(padded) // 2}H", padded)
    return int(sum(words) % 0xFFFF)


def _tcp_sum(ip: Version, frame: bytes) -> int:
    """With the pseudo header (RFC 9293, 3.1; RFC 8200, 8.1)."""
    segment = frame[2 * ip.tcp_word :]
    addresses = frame[2 * ip.source_word : 2 * ip.tcp_word]
    return _sum(addresses + struct.pack("!HH", 6, len(segment)) + segment)
