"""Where the headers of each frame begin: link, network, transport.

Link types: Ethernet with VLAN tags, Linux cooked capture v1 and v2, raw IP, BSD loopback
(tcpdump.org/linktypes.html). Networks: IPv4 (RFC 791) and IPv6 with its extension headers
(RFC 8200). Every field is read of all frames at once, also where it means nothing; what a frame
is, is decided afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analyzer.arrays import Bools, Ints
    from analyzer.wire.capture.frames import Frames


TCP, UDP, VRRP = 6, 17, 112
ICMPV6 = 58
IPV4, IPV6, ARP = 0x0800, 0x86DD, 0x0806
NO_MAC = 0
THIS_HOST = 1 << 48
"""Stands for the MACs of the host that captured, where a link says who sent but not to whom: beyond
all MACs. In a cooked capture (``tcpdump -i any``) a packet that came in came to it."""
LEAST_TRANSPORT = {TCP: 20, UDP: 8}

SKIPPED = {
    "not IP": "ARP, spanning tree and such",
    "neither TCP nor UDP": "VRRP, ICMP and such",
    "fragments": "later fragments, without ports; an IP packet is taken to pass with its first one",
    "truncated": "captured too short for their headers; a longer snap length keeps those",
    "malformed": "their IP header contradicts itself",
    "untimed": "simple packet blocks of pcapng, which have no instant",
}
"""Kinds of frames that are no segment or datagram, with explanations."""
LOST = ("fragments", "truncated", "malformed", "untimed")
"""The kinds that may be packets of connections."""

_VLAN_TAGS = (0x8100, 0x88A8, 0x9100)
_ETHERNET, _NULL, _LOOP = 1, 0, 108
_RAW = (12, 14, 101, 228, 229)
_COOKED = {113: (0, 2), 276: (10, 1)}  # where the packet type is, and its bytes
_TO_US, _FROM_US = 0, 4  # packet types (PACKET_HOST, PACKET_OUTGOING of linux/if_packet.h)
_LINKS = {  # bytes of header, where the ethertype is, where the sender's MAC is
    _ETHERNET: (14, 12, 6),
    113: (16, 14, 6),  # cooked: the sender's MAC only
    276: (20, 0, 12),  # cooked, version 2
}
_EXTENSIONS = (0, 43, 60, 135)  # hop-by-hop, routing, destination options, mobility
_FRAGMENT, _AUTHENTICATION = 44, 51
_MOST_EXTENSIONS = 8


@dataclass(frozen=True, slots=True)
class Link:
    """Link layer of each frame: payload type (0 if cut off or unknown), its offset, and MACs.

    ``came_in`` and ``went_out`` say on which way a host that captured on all its interfaces saw it;
    neither where the link does not say.
    """

    ethertype: Ints
    network: Ints
    source_mac: Ints
    destination_mac: Ints
    came_in: Bools
    went_out: Bools


@dataclass(frozen=True, slots=True)
class Network:
    """Network layer of each frame: transport protocol (-1 if none), its offset, if it is whole.

    ``skipped`` counts the frames that are not whole by the kinds of ``SKIPPED``.
    """

    protocol: Ints
    transport: Ints
    whole: Bools
    skipped: Mapping[str, int]


def link_layer(frames: Frames) -> Link:
    """The link layer of each frame."""
    size = len(frames.start)
    ethertype, network = np.zeros(size, dtype=np.int64), frames.start.copy()
    source, destination = np.full(size, NO_MAC), np.full(size, NO_MAC)
    for kind, (header, type_at, mac_at) in _LINKS.items():
        of_kind = (frames.link_type == kind) & frames.holds(frames.start + header)
        if not of_kind.any():
            continue
        _fill(ethertype, of_kind, frames.file.numbers(frames.start + type_at, 2))
        _fill(source, of_kind, frames.file.numbers(frames.start + mac_at, 6))
        if kind == _ETHERNET:
            _fill(destination, of_kind, frames.file.numbers(frames.start, 6))
        network += np.where(of_kind, header, 0)
    _past_tags(frames, ethertype, network)
    _bare_ip(frames, ethertype, network)
    came_in, went_out = _direction(frames)
    return Link(ethertype, network, source, destination, came_in, went_out)


def _direction(frames: Frames) -> tuple[Bools, Bools]:
    """Which frames of cooked captures were sent to the host itself, and which it sent."""
    came_in, went_out = np.zeros((2, len(frames.start)), dtype=bool)
    for kind, (at, width) in _COOKED.items():
        cooked = (frames.link_type == kind) & frames.holds(frames.start + _LINKS[kind][0])
        if cooked.any():
            packet_type = frames.file.numbers(frames.start + at, width)
            came_in |= cooked & (packet_type == _TO_US)
            went_out |= cooked & (packet_type == _FROM_US)
    return came_in, went_out


def _fill(column: Ints, where: Bools, values: Ints) -> None:
    np.copyto(column, values, where=where)


def _past_tags(frames: Frames, ethertype: Ints, network: Ints) -> None:
    for _ in range(2):  # a tag, and a tag in it
        tagged = ethertype == _VLAN_TAGS[0]
        for tag in _VLAN_TAGS[1:]:
            tagged |= ethertype == tag
        rows = np.flatnonzero(tagged)
        rows = rows[frames.holds(network + 4)[rows]] if len(rows) else rows
        if len(rows) == 0:
            return
        ethertype[rows] = frames.file.numbers(network[rows] + 2, 2)
        network[rows] += 4


def _bare_ip(frames: Frames, ethertype: Ints, network: Ints) -> None:
    """Set the ethertype of raw and loopback links, by the version in the IP header."""
    loopback = (frames.link_type == _NULL) | (frames.link_type == _LOOP)
    bare = loopback.copy()
    for kind in _RAW:
        bare |= frames.link_type == kind
    if not bare.any():
        return
    network += np.where(loopback, 4, 0)
    rows = np.flatnonzero(bare & frames.holds(network + 1))
    version = frames.file.numbers(network[rows], 1) >> 4
    ethertype[rows] = np.select([version == 4, version == 6], [IPV4, IPV6], 0)


def network_layer(frames: Frames, link: Link) -> Network:
    """The network layer of each frame."""
    protocol, transport = np.full(len(frames.start), -1, dtype=np.int64), link.network.copy()
    fragment, malformed = np.zeros((2, len(frames.start)), dtype=bool)
    is_v4, is_v6 = link.ethertype == IPV4, link.ethertype == IPV6
    _ipv4(frames, is_v4 & frames.holds(link.network + 20), protocol, transport, fragment, malformed)
    if is_v6.any():
        held = np.flatnonzero(is_v6 & frames.holds(link.network + 40))
        _ipv6(frames, held, protocol, transport, fragment, malformed)
    is_tcp, is_udp = protocol == TCP, protocol == UDP
    ours = (is_tcp | is_udp) & ~fragment
    least = np.where(is_tcp, LEAST_TRANSPORT[TCP], LEAST_TRANSPORT[UDP])
    whole = ours & frames.holds(transport + least)
    is_ip = is_v4 | is_v6
    named = (protocol >= 0) | malformed
    skipped = {
        "not IP": _count(~is_ip),
        "neither TCP nor UDP": _count((protocol >= 0) & ~fragment & ~ours),
        "fragments": _count(fragment),
        "truncated": _count(ours & ~whole) + _count(is_ip & ~named),
        "malformed": _count(malformed),
        "untimed": frames.untimed,
    }
    return Network(protocol, transport, whole, skipped)


def _count(which: Bools) -> int:
    return int(np.count_nonzero(which))


def _ipv4(
    frames: Frames,
    held: Bools,
    protocol: Ints,
    transport: Ints,
    fragment: Bools,
    malformed: Bools,
) -> None:
    """Fill in what IPv4 headers say; in place."""
    if not held.any():
        return
    at = transport.copy()
    first = frames.file.numbers(at, 1)
    sound = held & (first >= 0x45) & (first <= 0x4F)
    np.copyto(malformed, True, where=held & ~sound)
    np.copyto(protocol, frames.file.numbers(at + 9, 1), where=sound)
    np.add(transport, (first & 0x0F) * 4, out=transport, where=sound)
    later = (frames.file.numbers(at + 6, 2) & 0x1FFF) > 0
    np.copyto(fragment, later, where=sound)


def _ipv6(
    frames: Frames,
    rows: Ints,
    protocol: Ints,
    transport: Ints,
    fragment: Bools,
    malformed: Bools,
) -> None:
    """Fill in what IPv6 headers and their extensions say; in place."""
    sound = frames.file.numbers(transport[rows], 1) >> 4 == 6
    malformed[rows[~sound]] = True
    rows = rows[sound]
    protocol[rows] = frames.file.numbers(transport[rows] + 6, 1)
    transport[rows] += 40
    end = frames.start + frames.length
    for _ in range(_MOST_EXTENSIONS):
        kind = protocol[rows]
        more = np.isin(kind, (*_EXTENSIONS, _FRAGMENT, _AUTHENTICATION)) & ~fragment[rows]
        whole = transport[rows] + 8 <= end[rows]
        protocol[rows[more & ~whole]] = -1  # cut off within its headers
        rows = rows[more & whole]
        if len(rows) == 0:
            return
        _past_extension(frames, rows, protocol, transport, fragment)


def _past_extension(
    frames: Frames, rows: Ints, protocol: Ints, transport: Ints, fragment: Bools
) -> None:
    at, kind = transport[rows], protocol[rows]
    later = (kind == _FRAGMENT) & (frames.file.numbers(at + 2, 2) >> 3 > 0)
    fragment[rows[later]] = True  # which holds no transport header
    words = frames.file.numbers(at + 1, 1)
    length = np.where(kind == _AUTHENTICATION, (words + 2) * 4, (words + 1) * 8)
    protocol[rows] = frames.file.numbers(at, 1)
    transport[rows] += np.where(kind == _FRAGMENT, 8, length)
