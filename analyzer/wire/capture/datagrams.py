"""Tunnels in UDP that no port tells: IPVS sends GUE to any (``ipvsadm --tun-port``).

FOU, L2TP, GTP, LISP, MPLS, VXLAN on a port of one's own: where a datagram holds an IPv4 header
whose checksum is right and whose length is that of the rest, it is a tunnel. Of bytes that are
something else one in 2^40 looks so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from analyzer.wire.capture.ethertypes import INNER_ETHERNET, IPV4, IPV6

if TYPE_CHECKING:
    from analyzer.arrays import Bools, Ints
    from analyzer.wire.capture.frames import Frames

_HEADERS: Final = (0, 4, 6, 8, 10, 12, 14, 16, 20)
"""Bytes that a tunnel's own header may have before a packet."""

_BEFORE_FRAMES: Final = (4, 5, 8, 12, 16)
"""The same before an Ethernet frame."""

_ETHERNET, _IPV4_HEADER, _MOST_PADDING = 14, 20, 18
_GUE_OF_IPV6 = 0x00290000


def carried_in_datagrams(frames: Frames, rows: Ints, payload: Ints) -> tuple[Ints, Ints]:
    """What UDP datagrams carry: its ethertype (0 for no packet), and where it begins.

    Args:
        frames: all of them.
        rows: of datagrams.
        payload: where the payload of each begins, behind a UDP header.
    """
    kinds, begins = np.zeros(len(rows), dtype=np.int64), payload.copy()
    length = frames.file.numbers(payload - 4, 2) - 8
    for header in _HEADERS:
        found = _is_packet(frames, rows, payload + header, length - header, padding=0) & (
            kinds == 0
        )
        kinds[found], begins[found] = IPV4, payload[found] + header
    for header in _BEFORE_FRAMES:
        at, left = payload + header, length - header
        inner = _is_packet(frames, rows, at + _ETHERNET, left - _ETHERNET, padding=_MOST_PADDING)
        found = inner & (frames.file.numbers(at + 12, 2) == IPV4) & (kinds == 0)
        kinds[found], begins[found] = INNER_ETHERNET, at[found]
    found = _is_gue_of_ipv6(frames, rows, payload, length) & (kinds == 0)
    kinds[found], begins[found] = IPV6, payload[found] + 4
    return kinds, begins


def _is_packet(frames: Frames, rows: Ints, at: Ints, length: Ints, *, padding: int) -> Bools:
    """Where an IPv4 packet of this length begins, its checksum being right."""
    found = frames.holds_at(rows, at + _IPV4_HEADER) & (frames.file.numbers(at, 1) == 0x45)
    candidates = np.flatnonzero(found)  # few: the rest is asked of these alone
    if not len(candidates):
        return np.asarray(found)
    at, length = at[candidates], length[candidates]
    over = length - frames.file.numbers(at + 2, 2)
    words = sum(frames.file.numbers(at + offset, 2) for offset in range(0, _IPV4_HEADER, 2))
    found[candidates] = (over >= 0) & (over <= padding) & (words % 0xFFFF == 0)
    return np.asarray(found)


def _is_gue_of_ipv6(frames: Frames, rows: Ints, payload: Ints, length: Ints) -> Bools:
    at = payload + 4
    found = frames.holds_at(rows, at + 40)
    found &= frames.file.numbers(payload, 4) == _GUE_OF_IPV6
    found &= frames.file.numbers(at, 1) >> 4 == 6
    return np.asarray(found & (frames.file.numbers(at + 4, 2) == length - 44))
