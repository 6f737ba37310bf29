"""A pcap file's bytes to columns: one row for each TCP segment, and who is who on the link.

Only the record headers are walked one by one; every field is then gathered from all packets at
once. A file that ends in the middle of a packet gives the packets before it. Formats: pcap
(draft-ietf-opsawg-pcap), Ethernet with VLAN tags, IPv4, TCP; the rest is counted, not dropped in
silence.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from analyzer.errors import ParseError

if TYPE_CHECKING:
    from collections.abc import Mapping

Ints = npt.NDArray[np.int64]
UInt8s = npt.NDArray[np.uint8]

_MAGIC = {  # byte order, nanoseconds in one unit of the fraction
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\x3c\x4d": (">", 1),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
}
_FILE_HEADER = 24
_RECORD_HEADER = 16
_LINK_ETHERNET = 1
_ETHERTYPE_IPV4, _ETHERTYPE_ARP, _ETHERTYPE_VLAN = 0x0800, 0x0806, 0x8100
_PROTOCOL_TCP, _PROTOCOL_VRRP = 6, 112
_TCP_HEADER = 20
_ARP_SENDER_MAC, _ARP_SENDER_IP, _ARP_LENGTH = 8, 14, 28


@dataclass(frozen=True, slots=True, kw_only=True)
class PacketTable:
    """TCP segments in the order of the capture; every array has shape (n,).

    Attributes:
        at_ns: Unix time, the capturing host's clock.
        source, destination: IPv4 addresses as numbers.
        flags: the TCP flag byte.
        source_mac, destination_mac: as 48-bit numbers.
        neighbours: MAC to IPv4 address, from ARP senders and VRRP advertisements.
        skipped: what else the capture held, by kind; ``truncated`` packets are TCP with too few
            bytes captured.
    """

    at_ns: Ints
    source: Ints
    destination: Ints
    source_port: Ints
    destination_port: Ints
    flags: UInt8s
    sequence: Ints
    source_mac: Ints
    destination_mac: Ints
    neighbours: Mapping[int, str]
    skipped: Mapping[str, int]


def address_number(address: str) -> int:
    """An IPv4 address as in ``PacketTable.source``; ValueError if it is not one."""
    return int(IPv4Address(address))


def mac_number(mac: str) -> int:
    """``02:00:00:00:00:11`` as in ``PacketTable.source_mac``; ValueError if it is not one."""
    return int(mac.replace(":", ""), 16)


def read_pcap(content: memoryview) -> PacketTable:
    """The TCP segments of a pcap file.

    Raises:
        ParseError: not a pcap file, or a link type other than Ethernet.
    """
    frames = _frames(content)
    ethertype, network = _ethernet(frames)
    tcp, counts = _select_tcp(frames, ethertype, network)
    neighbours = _arp_senders(frames, ethertype, network) | _vrrp_senders(
        frames, ethertype, network
    )
    start, at_network = frames.start[tcp], network[tcp]
    transport = at_network + (frames.gather(at_network, 1) & 0x0F) * 4
    return PacketTable(
        at_ns=frames.at_ns[tcp],
        source=frames.gather(at_network + 12, 4),
        destination=frames.gather(at_network + 16, 4),
        source_port=frames.gather(transport, 2),
        destination_port=frames.gather(transport + 2, 2),
        flags=frames.gather(transport + 13, 1).astype(np.uint8),
        sequence=frames.gather(transport + 4, 4),
        source_mac=frames.gather(start + 6, 6),
        destination_mac=frames.gather(start, 6),
        neighbours=neighbours,
        skipped=counts,
    )


@dataclass(frozen=True, slots=True)
class _Frames:
    content: UInt8s
    at_ns: Ints
    start: Ints  # offset of the frame's first byte
    length: Ints  # captured bytes

    def gather(self, offset: Ints, width: int) -> Ints:
        """Big-endian numbers of ``width`` bytes at each offset."""
        value = np.zeros(len(offset), dtype=np.int64)
        for index in range(width):
            value = value << 8 | self.content[offset + index]
        return value

    def holds(self, end: Ints) -> npt.NDArray[np.bool_]:
        """Which frames were captured at least to this offset."""
        return end <= self.start + self.length


def _frames(content: memoryview) -> _Frames:
    if len(content) < _FILE_HEADER or bytes(content[:4]) not in _MAGIC:
        raise ParseError("capture: not a pcap file (its first bytes are of no known kind)")
    order, unit_ns = _MAGIC[bytes(content[:4])]
    (link_type,) = struct.unpack_from(order + "I", content, 20)
    if link_type & 0xFFFF != _LINK_ETHERNET:
        raise ParseError(f"capture: link type {link_type}, expected {_LINK_ETHERNET} (Ethernet)")
    record = struct.Struct(order + "IIII")
    seconds, fractions, starts, lengths = [], [], [], []
    offset, end = _FILE_HEADER, len(content)
    while offset + _RECORD_HEADER <= end:
        second, fraction, captured, _ = record.unpack_from(content, offset)
        offset += _RECORD_HEADER
        if offset + captured > end:
            break  # the run was cut off while this packet was written
        seconds.append(second)
        fractions.append(fraction)
        starts.append(offset)
        lengths.append(captured)
        offset += captured
    at_ns = _ints(seconds) * 1_000_000_000 + _ints(fractions) * unit_ns
    return _Frames(np.frombuffer(content, dtype=np.uint8), at_ns, _ints(starts), _ints(lengths))


def _ints(values: list[int]) -> Ints:
    return np.array(values, dtype=np.int64)


def _ethernet(frames: _Frames) -> tuple[Ints, Ints]:
    """Each frame's ethertype (0 if cut off) and the offset of what it carries, past VLAN tags."""
    ethertype = np.zeros(len(frames.start), dtype=np.int64)
    network = frames.start + 14
    whole = np.flatnonzero(frames.holds(network))
    ethertype[whole] = frames.gather(network[whole] - 2, 2)
    tagged = np.flatnonzero((ethertype == _ETHERTYPE_VLAN) & frames.holds(network + 4))
    network[tagged] += 4
    ethertype[tagged] = frames.gather(network[tagged] - 2, 2)
    return ethertype, network


def _select_tcp(frames: _Frames, ethertype: Ints, network: Ints) -> tuple[Ints, Mapping[str, int]]:
    """Indices of the whole TCP segments, and how many frames of each other kind there were."""
    is_ipv4 = (ethertype == _ETHERTYPE_IPV4) & frames.holds(network + 20)
    ipv4 = np.flatnonzero(is_ipv4)
    at_network = network[ipv4]
    protocol = frames.gather(at_network + 9, 1)
    fragment = (frames.gather(at_network + 6, 2) & 0x1FFF) > 0
    header = (frames.gather(at_network, 1) & 0x0F) * 4
    is_tcp = (protocol == _PROTOCOL_TCP) & ~fragment
    whole = np.zeros(len(ipv4), dtype=bool)
    whole[:] = (at_network + header + _TCP_HEADER) <= (frames.start + frames.length)[ipv4]
    counts = {
        "not IPv4": int((~is_ipv4).sum()),
        "not TCP": int((protocol != _PROTOCOL_TCP).sum()),
        "fragments": int(fragment.sum()),
        "truncated": int((is_tcp & ~whole).sum()),
    }
    return ipv4[is_tcp & whole], counts


def _arp_senders(frames: _Frames, ethertype: Ints, network: Ints) -> dict[int, str]:
    arp = network[(ethertype == _ETHERTYPE_ARP) & frames.holds(network + _ARP_LENGTH)]
    return _pairs(frames.gather(arp + _ARP_SENDER_MAC, 6), frames.gather(arp + _ARP_SENDER_IP, 4))


def _vrrp_senders(frames: _Frames, ethertype: Ints, network: Ints) -> dict[int, str]:
    ipv4 = np.flatnonzero((ethertype == _ETHERTYPE_IPV4) & frames.holds(network + 20))
    vrrp = ipv4[frames.gather(network[ipv4] + 9, 1) == _PROTOCOL_VRRP]
    return _pairs(frames.gather(frames.start[vrrp] + 6, 6), frames.gather(network[vrrp] + 12, 4))


def _pairs(macs: Ints, addresses: Ints) -> dict[int, str]:
    known = dict(zip(macs.tolist(), addresses.tolist(), strict=True))
    return {mac: str(IPv4Address(address)) for mac, address in known.items() if address}
