"""Where the headers of each frame's network and transport layer are.

Networks: IPv4 (RFC 791) and IPv6 with its extension headers (RFC 8200). As in ``links``, every
field is read of all frames at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analyzer.wire.capture.ethertypes import IPV4, IPV6, MACSEC, NEVER_CONNECTIONS
from analyzer.wire.capture.shims import LLC
from analyzer.wire.capture.tunnels import TUNNELS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analyzer.arrays import Bools, Ints
    from analyzer.wire.capture.frames import Frames
    from analyzer.wire.capture.links import Link


TCP, UDP, VRRP = 6, 17, 112
_SCTP = 132
ICMPV6 = 58
LEAST_TRANSPORT = {TCP: 20, UDP: 8}

SKIPPED = {
    "not IP": "ARP, spanning tree and such",
    "header not read": "a header between link and IP that is not known here",
    "encrypted": "IPsec (ESP), MACsec, or compressed: what is inside cannot be read; capture "
    "where it is bare",
    "SCTP": "IPVS balances it, but its packets are not analysed",
    "link type not read": "frames of a link that is not known here; tcpdump -y EN10MB or -i any "
    "writes one that is",
    "in a tunnel": "GRE, IP in IP, L2TP and such whose inside is not read: not IP, or more than 3 "
    "in each other",
    "copies in a tunnel": "packets of connections that the capture also holds outside the tunnel",
    "neither TCP nor UDP": "VRRP, ICMP and such",
    "fragments": "later fragments, without ports; an IP packet is taken to pass with its first one",
    "truncated": "captured too short for their headers; a longer snap length keeps those",
    "malformed": "their IP header contradicts itself",
    "untimed": "simple packet blocks of pcapng, which have no instant",
}
"""Kinds of frames that are no segment or datagram, with explanations."""
LOST = (
    "SCTP",
    "header not read",
    "encrypted",
    "link type not read",
    "in a tunnel",
    "fragments",
    "truncated",
    "malformed",
    "untimed",
)
"""The kinds that may be packets of connections."""

_EXTENSIONS = (0, 43, 60, 135)  # hop-by-hop, routing, destination options, mobility
_FRAGMENT, _AUTHENTICATION = 44, 51
_TUNNELS_NOT_READ = (_AUTHENTICATION, 55, 115)  # AH before IPv4, minimal encapsulation, L2TPv3
_ENCRYPTED = (50, 108)  # ESP; IPComp is as opaque
_MOST_EXTENSIONS = 8


@dataclass(frozen=True, slots=True)
class Network:
    """Network layer of each frame: transport protocol (-1 if none), its offset, if it is whole.

    ``skipped`` counts the frames that are not whole by the kinds of ``SKIPPED``.
    """

    protocol: Ints
    transport: Ints
    whole: Bools
    skipped: Mapping[str, int]


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
    tunnel = np.isin(protocol, (*TUNNELS, *_TUNNELS_NOT_READ)) & ~fragment
    other = ~is_ip & link.known
    is_sealed = other & (link.ethertype == MACSEC)
    unread = other & ~is_sealed & ~np.isin(link.ethertype, (*NEVER_CONNECTIONS, LLC))
    sealed = np.isin(protocol, _ENCRYPTED) & ~fragment
    sctp = (protocol == _SCTP) & ~fragment
    skipped = {
        "not IP": _count(other & ~is_sealed & ~unread),
        "header not read": _count(unread),
        "encrypted": _count(is_sealed | sealed),
        "SCTP": _count(sctp),
        "link type not read": _count(~link.known),
        "in a tunnel": _count(tunnel),
        "neither TCP nor UDP": _count(
            (protocol >= 0) & ~fragment & ~ours & ~tunnel & ~sealed & ~sctp
        ),
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
