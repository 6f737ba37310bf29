"""Where each frame's network header begins: past its link header, tags and labels.

Links: Ethernet, Linux cooked capture v1 and v2, raw IP, BSD loopback, PPP (RFC 1662), PPPoE
(RFC 2516), Cisco HDLC, NFLOG, IP over InfiniBand, MPLS, BSD's pf and IPsec, macOS' pktap
(tcpdump.org/linktypes.html). What stands between link and network is in ``shims``. Every field
is read of all frames at once, also where it means nothing; what a frame is, is decided afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analyzer.wire.capture.ethertypes import (
    INNER_ETHERNET,
    IPV4,
    IPV6,
    MPLS,
    PPP,
    PPPOE,
    VLAN_TAGS,
    by_version,
)
from analyzer.wire.capture.shims import LLC, LONGEST, SHIMS
from analyzer.wire.capture.tunnels import carried

if TYPE_CHECKING:
    from analyzer.arrays import Bools, Ints
    from analyzer.wire.capture.frames import Frames

ETHERNET, RAW = 1, 101
NO_MAC = 0
THIS_HOST = 1 << 48
"""Stands for the MACs of the host that captured, where a link says who sent but not to whom: beyond
all MACs. In a cooked capture (``tcpdump -i any``) a packet that came in came to it."""

_NULL, _LOOP, _CISCO_HDLC, _NFLOG, _IPOIB = 0, 108, 104, 239, 242
BARE = (12, 14, RAW, 228, 229)
_COOKED = {113: (0, 2), 276: (10, 1)}  # where the packet type is, and its bytes
_TO_US, _FROM_US = 0, 4  # packet types (PACKET_HOST, PACKET_OUTGOING of linux/if_packet.h)
_LINKS = {  # bytes of header, where the ethertype is, where the sender's MAC is
    ETHERNET: (14, 12, 6),
    113: (16, 14, 6),  # cooked: the sender's MAC only
    276: (20, 0, 12),  # cooked, version 2
    _IPOIB: (4, 0, None),
    _CISCO_HDLC: (4, 2, None),
}
_BEGIN_WITH = {  # links that begin with what may follow others, after so many bytes
    9: (PPP, 0),
    50: (PPP, 0),
    51: (PPPOE, 0),
    166: (PPP, 1),  # with a direction
    204: (PPP, 1),
    219: (MPLS[0], 0),
}
_PF, _IPSEC, _PKTAP = 117, 109, 258  # a header of a length of its own, then bare IP or a link
_IPSEC_BYTES = 12
_PAYLOAD = 9  # NFULA_PAYLOAD of linux/netfilter/nfnetlink_log.h
_MOST_ATTRIBUTES = 32
MOST_SHIMS = 8
_MOST_TUNNELS = 3


@dataclass(frozen=True, slots=True)
class Link:
    """Link layer of each frame: payload type (0 if cut off or unknown), its offset, and MACs.

    ``known`` is False where the frame's link type is none of those read here. ``shimmed``: more
    than an Ethernet or cooked header and VLAN tags stands before the network header. Of a packet in
    a tunnel (``tunnelled``) all is that of the one inside; it neither came in nor went out.
    ``came_in`` and ``went_out`` say on which way a host that captured on all its interfaces saw it;
    neither where the link does not say.
    """

    ethertype: Ints
    network: Ints
    source_mac: Ints
    destination_mac: Ints
    came_in: Bools
    went_out: Bools
    known: Bools
    shimmed: Bools
    tunnelled: Bools


def link_layer(frames: Frames) -> Link:
    """The link layer of each frame."""
    size = len(frames.start)
    ethertype, network = np.zeros(size, dtype=np.int64), frames.start.copy()
    source, destination = np.full(size, NO_MAC), np.full(size, NO_MAC)
    shimmed = np.zeros(size, dtype=bool)
    for kind, (header, type_at, mac_at) in _LINKS.items():
        of_kind = (frames.link_type == kind) & frames.holds(frames.start + header)
        if not of_kind.any():
            continue
        _fill(ethertype, of_kind, frames.file.numbers(frames.start + type_at, 2))
        if mac_at is None:
            shimmed |= of_kind
        else:
            _fill(source, of_kind, frames.file.numbers(frames.start + mac_at, 6))
        if kind == ETHERNET:
            _fill(destination, of_kind, frames.file.numbers(frames.start, 6))
        network += np.where(of_kind, header, 0)
    for kind, (begins_with, after) in _BEGIN_WITH.items():
        of_kind = frames.link_type == kind
        ethertype[of_kind] = begins_with
        network += np.where(of_kind, after, 0)
    _payload_of_nflog(frames, ethertype, network, shimmed)
    inner = _past_long_headers(frames, ethertype, network, shimmed)
    _inner_macs(frames, inner, network, source, destination)
    _past_shims(frames, ethertype, network, shimmed)
    _bare_ip(frames, ethertype, network)
    tunnelled = np.zeros(size, dtype=bool)
    for _ in range(_MOST_TUNNELS):
        rows, kinds, begins = carried(frames, ethertype, network)
        if len(rows) == 0:
            break
        tunnelled[rows] = True
        ethertype[rows], network[rows] = kinds, begins
        _inner_macs(frames, rows[kinds == INNER_ETHERNET], network, source, destination)
        _past_shims(frames, ethertype, network, shimmed)
    came_in, went_out = (seen & ~tunnelled for seen in _direction(frames))
    known = np.isin(frames.link_type, _KNOWN)
    shimmed |= tunnelled
    macs = (source, destination)
    return Link(ethertype, network, *macs, came_in, went_out, known, shimmed, tunnelled)


def _inner_macs(frames: Frames, rows: Ints, network: Ints, source: Ints, destination: Ints) -> None:
    """The MACs of Ethernet frames in tunnels; in place."""
    rows = rows[frames.holds_at(rows, network[rows] + 14)]
    destination[rows] = frames.file.numbers(network[rows], 6)
    source[rows] = frames.file.numbers(network[rows] + 6, 6)


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


def _past_shims(frames: Frames, ethertype: Ints, network: Ints, shimmed: Bools) -> None:
    """Step over what stands between link and network, one kind at a time; in place."""
    for _ in range(MOST_SHIMS):
        found = False
        ethertype[(ethertype > LLC) & (ethertype <= LONGEST)] = LLC
        for kind, (least, step) in SHIMS.items():
            rows = np.flatnonzero(ethertype == kind)
            if len(rows) == 0:
                continue
            held = frames.holds(network + least)[rows]
            ethertype[rows[~held]] = 0
            rows = rows[held]
            ethertype[rows], advance = step(frames, network[rows])
            network[rows] += advance
            shimmed[rows] |= kind not in VLAN_TAGS
            found = True
        if not found:
            return


def _payload_of_nflog(frames: Frames, ethertype: Ints, network: Ints, shimmed: Bools) -> None:
    """NFLOG: four bytes, then attributes (length, type, value, padding); one is the packet.

    Lengths are in the capturing host's order, which the first shows: it is below 256.
    """
    rows = np.flatnonzero(frames.link_type == _NFLOG)
    shimmed[rows] = True
    end = frames.start + frames.length
    at = frames.start[rows] + 4
    is_little = frames.file.numbers(frames.start + 4, 1) > 0
    for _ in range(_MOST_ATTRIBUTES):
        inside = at + 5 <= end[rows]
        rows, at = rows[inside], at[inside]
        if len(rows) == 0:
            return
        length, kind = (
            np.where(is_little[rows], *(frames.file.numbers(at + field, 2, way) for way in "<>"))
            for field in (0, 2)
        )
        is_packet = kind & 0x3FFF == _PAYLOAD
        found = rows[is_packet]
        network[found] = at[is_packet] + 4
        ethertype[found] = by_version(frames.file.numbers(network[found], 1) >> 4)
        goes_on = ~is_packet & (length >= 4)
        rows, at = rows[goes_on], at[goes_on] + (length[goes_on] + 3) // 4 * 4


def _past_long_headers(frames: Frames, ethertype: Ints, network: Ints, shimmed: Bools) -> Ints:
    """Step over the headers of BSD's pf and IPsec devices and of pktap; rows of Ethernet frames."""
    rows = np.flatnonzero(np.isin(frames.link_type, (_PF, _IPSEC, _PKTAP)))
    at, kind = frames.start[rows], frames.link_type[rows]
    of_pf = (frames.file.numbers(at, 1) + 3) // 4 * 4
    of_pktap = frames.file.numbers(at, 4, "<")
    inside = np.where(kind == _PKTAP, frames.file.numbers(at + 8, 4, "<"), RAW)
    size = np.select([kind == _PF, kind == _PKTAP], [of_pf, of_pktap], _IPSEC_BYTES)
    size = size + np.where(np.isin(inside, (_NULL, _LOOP)), 4, 0)
    held = frames.holds_at(rows, at + size + 1)
    rows, inside = rows[held], inside[held]
    network[rows] += size[held]
    shimmed[rows] = True
    version = by_version(frames.file.numbers(network[rows], 1) >> 4)
    ethertype[rows] = np.where(inside == ETHERNET, INNER_ETHERNET, version)
    return np.asarray(rows[inside == ETHERNET])


def _bare_ip(frames: Frames, ethertype: Ints, network: Ints) -> None:
    """Set the ethertype of raw and loopback links, by the version in the IP header."""
    loopback = (frames.link_type == _NULL) | (frames.link_type == _LOOP)
    bare = loopback.copy()
    for kind in BARE:
        bare |= frames.link_type == kind
    if not bare.any():
        return
    network += np.where(loopback, 4, 0)
    rows = np.flatnonzero(bare & frames.holds(network + 1))
    ethertype[rows] = by_version(frames.file.numbers(network[rows], 1) >> 4)


_KNOWN = (*_LINKS, *_BEGIN_WITH, *BARE, _NULL, _LOOP, _NFLOG, _PF, _IPSEC, _PKTAP)


def without_shims(
    frame: bytes, kind: int, macs: tuple[int, int], ethertype: int, network: int
) -> bytes:
    """A shimmed frame with its link header and its network header alone.

    Args:
        frame: all its bytes.
        kind: the link it is to have, ETHERNET or RAW.
        macs: the sender's and the receiver's, for Ethernet.
        ethertype: of its network header.
        network: where that begins in it.
    """
    if kind != ETHERNET:
        return frame[network:] if ethertype in (IPV4, IPV6) else b""
    source, destination = (mac.to_bytes(6) for mac in macs)
    return destination + source + ethertype.to_bytes(2) + frame[network:]
