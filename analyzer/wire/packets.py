"""Frames to a table of TCP segments and UDP datagrams, and who is who on the link.

Every field is gathered from all frames at once; nothing loops over packets. What is not understood
is counted by kind, not dropped in silence. Link types: Ethernet with VLAN tags, Linux cooked
capture v1 and v2, raw IP, BSD loopback (tcpdump.org/linktypes.html). Networks: IPv4 (RFC 791) and
IPv6 with its extension headers (RFC 8200).
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from analyzer.wire.files import read_frames

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analyzer.wire.files import Frames

    Ints = npt.NDArray[np.int64]
    UInt8s = npt.NDArray[np.uint8]
    Bools = npt.NDArray[np.bool_]

TCP, UDP, VRRP = 6, 17, 112
NO_MAC = 0

_IPV4, _IPV6, _ARP = 0x0800, 0x86DD, 0x0806
_VLAN_TAGS = (0x8100, 0x88A8)
_ETHERNET, _COOKED, _COOKED2, _NULL, _LOOP = 1, 113, 276, 0, 108
_RAW = (12, 14, 101, 228, 229)
_EXTENSIONS = (0, 43, 60, 135)  # hop-by-hop, routing, destination options, mobility
_IPV6_FRAGMENT = 44
_MOST_EXTENSIONS = 4
_ARP_LENGTH = 28
_LEAST_TRANSPORT = {TCP: 20, UDP: 8}


@dataclass(frozen=True, slots=True, kw_only=True)
class PacketTable:
    """Segments and datagrams in the order of the capture; every array has shape (n,).

    Attributes:
        at_ns: Unix time, the capturing host's clock.
        protocol: TCP or UDP, by their IP protocol numbers.
        source, destination: indices into ``addresses``.
        flags: the TCP flag byte; 0 of a datagram.
        sequence: the TCP sequence number; 0 of a datagram.
        source_mac, destination_mac: as 48-bit numbers, NO_MAC where the link has none.
        addresses: every address that occurs, as text.
        neighbours: MAC to IPv4 address, from ARP senders and VRRP advertisements.
        skipped: what else the capture held, by kind; ``truncated`` has too few bytes captured.
    """

    at_ns: Ints
    protocol: UInt8s
    source: Ints
    destination: Ints
    source_port: Ints
    destination_port: Ints
    flags: UInt8s
    sequence: Ints
    source_mac: Ints
    destination_mac: Ints
    addresses: tuple[str, ...]
    neighbours: Mapping[int, str]
    skipped: Mapping[str, int]


def mac_number(mac: str) -> int:
    """``02:00:00:00:00:11`` as in ``PacketTable.source_mac``; ValueError if it is not one."""
    return int(mac.replace(":", ""), 16)


def read_packets(content: memoryview) -> PacketTable:
    """The segments and datagrams of a capture file.

    Raises:
        ParseError: neither pcap nor pcapng.
    """
    frames = read_frames(content)
    link = _link(frames)
    network = _network(frames, link)
    rows = np.flatnonzero(network.whole)
    transport = network.transport[rows]
    is_tcp = network.protocol[rows] == TCP
    flag_at = np.where(is_tcp, transport + 13, transport)
    sequence_at = np.where(is_tcp, transport + 4, transport)
    addresses, source, destination = _addresses(frames, link, network, rows)
    return PacketTable(
        at_ns=frames.at_ns[rows],
        protocol=network.protocol[rows].astype(np.uint8),
        source=source,
        destination=destination,
        source_port=frames.gather(transport, 2),
        destination_port=frames.gather(transport + 2, 2),
        flags=np.where(is_tcp, frames.gather(flag_at, 1), 0).astype(np.uint8),
        sequence=np.where(is_tcp, frames.gather(sequence_at, 4), 0),
        source_mac=link.source_mac[rows],
        destination_mac=link.destination_mac[rows],
        addresses=addresses,
        neighbours=_arp_senders(frames, link) | _vrrp_senders(frames, link, network),
        skipped=network.skipped,
    )


@dataclass(frozen=True, slots=True)
class _Link:
    """Of each frame: what it carries (0 if cut off or unknown), where that begins, and MACs."""

    ethertype: Ints
    network: Ints
    source_mac: Ints
    destination_mac: Ints


@dataclass(frozen=True, slots=True)
class _Network:
    """Of each frame: the transport protocol (-1 if none) and where its header begins."""

    protocol: Ints
    transport: Ints
    whole: Bools
    skipped: Mapping[str, int]


def _link(frames: Frames) -> _Link:
    size = len(frames.start)
    ethertype = np.zeros(size, dtype=np.int64)
    network = frames.start.copy()
    source, destination = np.full(size, NO_MAC), np.full(size, NO_MAC)
    for kind, header, type_at in ((_ETHERNET, 14, 12), (_COOKED, 16, 14), (_COOKED2, 20, 0)):
        rows = np.flatnonzero((frames.link_type == kind) & frames.holds(frames.start + header))
        ethertype[rows] = frames.gather(frames.start[rows] + type_at, 2)
        network[rows] += header
    ethernet = np.flatnonzero((frames.link_type == _ETHERNET) & (ethertype != 0))
    destination[ethernet] = frames.gather(frames.start[ethernet], 6)
    source[ethernet] = frames.gather(frames.start[ethernet] + 6, 6)
    for kind, mac_at in ((_COOKED, 6), (_COOKED2, 12)):  # a cooked frame has its sender's only
        cooked = np.flatnonzero((frames.link_type == kind) & (ethertype != 0))
        source[cooked] = frames.gather(frames.start[cooked] + mac_at, 6)
    for _ in range(2):  # a tag, and a tag in it
        tagged = np.flatnonzero(np.isin(ethertype, _VLAN_TAGS) & frames.holds(network + 4))
        ethertype[tagged] = frames.gather(network[tagged] + 2, 2)
        network[tagged] += 4
    _bare_ip(frames, ethertype, network)
    return _Link(ethertype, network, source, destination)


def _bare_ip(frames: Frames, ethertype: Ints, network: Ints) -> None:
    """Links that say little or nothing of what they carry: the IP header's own version tells."""
    loopback = np.flatnonzero(np.isin(frames.link_type, (_NULL, _LOOP)))
    network[loopback] += 4
    bare = np.isin(frames.link_type, (*_RAW, _NULL, _LOOP)) & frames.holds(network + 1)
    rows = np.flatnonzero(bare)
    version = frames.gather(network[rows], 1) >> 4
    ethertype[rows] = np.select([version == 4, version == 6], [_IPV4, _IPV6], 0)


def _network(frames: Frames, link: _Link) -> _Network:
    size = len(frames.start)
    protocol, transport = np.full(size, -1, dtype=np.int64), link.network.copy()
    fragment = np.zeros(size, dtype=bool)
    v4 = np.flatnonzero((link.ethertype == _IPV4) & frames.holds(link.network + 20))
    protocol[v4] = frames.gather(link.network[v4] + 9, 1)
    transport[v4] += (frames.gather(link.network[v4], 1) & 0x0F) * 4
    fragment[v4] = (frames.gather(link.network[v4] + 6, 2) & 0x1FFF) > 0
    v6 = np.flatnonzero((link.ethertype == _IPV6) & frames.holds(link.network + 40))
    protocol[v6] = frames.gather(link.network[v6] + 6, 1)
    transport[v6] += 40
    _skip_extensions(frames, v6, protocol, transport, fragment)
    ours = np.isin(protocol, list(_LEAST_TRANSPORT)) & ~fragment
    least = np.where(protocol == TCP, _LEAST_TRANSPORT[TCP], _LEAST_TRANSPORT[UDP])
    whole = ours & frames.holds(transport + least)
    skipped = {
        "not IP": int((~np.isin(link.ethertype, (_IPV4, _IPV6))).sum()),
        "neither TCP nor UDP": int(((protocol >= 0) & ~fragment & ~ours).sum()),
        "fragments": int(fragment.sum()),
        "truncated": int((ours & ~whole).sum() + _cut_in_network(link, protocol)),
    }
    return _Network(protocol, transport, whole, skipped)


def _cut_in_network(link: _Link, protocol: Ints) -> int:
    return int((np.isin(link.ethertype, (_IPV4, _IPV6)) & (protocol < 0)).sum())


def _skip_extensions(
    frames: Frames, rows: Ints, protocol: Ints, transport: Ints, fragment: Bools
) -> None:
    """Past IPv6 extension headers, in place; later fragments hold no transport header."""
    for _ in range(_MOST_EXTENSIONS):
        more = np.isin(protocol[rows], (*_EXTENSIONS, _IPV6_FRAGMENT)) & ~fragment[rows]
        whole = frames.holds(transport + 8)[rows]
        protocol[rows[more & ~whole]] = -1  # cut off within its headers
        rows = rows[more & whole]
        if len(rows) == 0:
            return
        kind = protocol[rows]
        is_fragment = kind == _IPV6_FRAGMENT
        later = is_fragment & (frames.gather(transport[rows] + 2, 2) >> 3 > 0)
        fragment[rows[later]] = True
        length = np.where(is_fragment, 8, (frames.gather(transport[rows] + 1, 1) + 1) * 8)
        protocol[rows] = frames.gather(transport[rows], 1)
        transport[rows] += length


def _addresses(
    frames: Frames, link: _Link, network: _Network, rows: Ints
) -> tuple[tuple[str, ...], Ints, Ints]:
    """Every address as text, and each packet's two as indices into them."""
    is_v6 = link.ethertype[rows] == _IPV6
    at = link.network[rows]
    names: list[str] = []
    source, destination = np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64)
    for chosen, offset, width in ((~is_v6, 12, 4), (is_v6, 8, 16)):
        where = np.flatnonzero(chosen)
        both = np.r_[at[where] + offset, at[where] + offset + width]
        found, index = _distinct(frames, both, width)
        source[where] = index[: len(where)] + len(names)
        destination[where] = index[len(where) :] + len(names)
        names += found
    return tuple(names), source, destination


def _distinct(frames: Frames, at: Ints, width: int) -> tuple[list[str], Ints]:
    if len(at) == 0:
        return [], np.zeros(0, np.int64)
    if width == 4:
        values, index = np.unique(frames.gather(at, 4), return_inverse=True)
        return [str(IPv4Address(int(value))) for value in values], index.astype(np.int64)
    raw = np.ascontiguousarray(frames.content[at[:, None] + np.arange(16)])
    rows, index = np.unique(raw, axis=0, return_inverse=True)
    return [str(IPv6Address(row.tobytes())) for row in rows], index.ravel().astype(np.int64)


def _arp_senders(frames: Frames, link: _Link) -> dict[int, str]:
    arp = link.network[(link.ethertype == _ARP) & frames.holds(link.network + _ARP_LENGTH)]
    return _pairs(frames.gather(arp + 8, 6), frames.gather(arp + 14, 4))


def _vrrp_senders(frames: Frames, link: _Link, network: _Network) -> dict[int, str]:
    vrrp = np.flatnonzero((network.protocol == VRRP) & (link.ethertype == _IPV4))
    return _pairs(link.source_mac[vrrp], frames.gather(link.network[vrrp] + 12, 4))


def _pairs(macs: Ints, addresses: Ints) -> dict[int, str]:
    known = dict(zip(macs.tolist(), addresses.tolist(), strict=True))
    return {mac: str(IPv4Address(address)) for mac, address in known.items() if address and mac}
