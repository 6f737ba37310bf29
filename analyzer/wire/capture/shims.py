"""What stands between a frame's link header and its network header, a kind at a time.

VLAN tags (IEEE 802.1Q, 802.1ad), PPPoE (RFC 2516), PPP (RFC 1662), MPLS (RFC 3032) and Ethernet
over it (RFC 4448), LLC and SNAP (IEEE 802.2), provider backbone bridges (IEEE 802.1ah), network
service headers (RFC 8300), HSR (IEC 62439-3); and switches' own: VN-tag, FabricPath, Cisco's
metadata, Marvell's tags.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

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

if TYPE_CHECKING:
    from collections.abc import Callable

    from analyzer.arrays import Ints
    from analyzer.wire.capture.frames import Frames

    Step = Callable[[Frames, Ints], tuple[Ints, Ints]]

LLC: Final = 1
"""Stands for the length that is where an ethertype would be (below 1,501)."""

LONGEST: Final = 1500
_SNAP = 0xAAAA0300
_PPP_PROTOCOLS = {0x0021: IPV4, 0x0057: IPV6, 0x0281: MPLS[0]}
_ADDRESS_AND_CONTROL = 0xFF03  # of PPP in HDLC framing
_IN_SERVICE_HEADERS = {1: IPV4, 2: IPV6, 3: INNER_ETHERNET, 5: MPLS[0]}


def chosen(numbers: Ints, kinds: dict[int, int]) -> Ints:
    """The kind that each number stands for; 0 for others."""
    return np.select([numbers == number for number in kinds], list(kinds.values()), 0)


def _tag(size: int) -> Step:
    """A header of so many bytes, the last two of which are the next ethertype."""

    def past(frames: Frames, at: Ints) -> tuple[Ints, Ints]:
        return frames.file.numbers(at + size - 2, 2), np.full(len(at), size)

    return past


def _before_ethernet(size: int) -> Step:
    """A header of so many bytes before another Ethernet frame."""

    def past(_: Frames, at: Ints) -> tuple[Ints, Ints]:
        return np.full(len(at), INNER_ETHERNET), np.full(len(at), size)

    return past


def _past_llc(frames: Frames, at: Ints) -> tuple[Ints, Ints]:
    """SNAP of no organisation: eight bytes, the last two an ethertype."""
    is_snap = (frames.file.numbers(at, 4) == _SNAP) & (frames.file.numbers(at + 4, 2) == 0)
    return np.where(is_snap, frames.file.numbers(at + 6, 2), 0), np.full(len(at), 8)


def _past_pppoe(frames: Frames, at: Ints) -> tuple[Ints, Ints]:
    """Six bytes, of which the second is 0 in a session."""
    return np.where(frames.file.numbers(at + 1, 1) == 0, PPP, 0), np.full(len(at), 6)


def _past_ppp(frames: Frames, at: Ints) -> tuple[Ints, Ints]:
    """RFC 1661: the protocol in two bytes, or in one that is odd; HDLC's two may stand before."""
    framed = frames.file.numbers(at, 2) == _ADDRESS_AND_CONTROL
    at = at + np.where(framed, 2, 0)
    first = frames.file.numbers(at, 1)
    short = first % 2 == 1
    protocol = np.where(short, first, frames.file.numbers(at, 2))
    return chosen(protocol, _PPP_PROTOCOLS), np.where(framed, 2, 0) + np.where(short, 1, 2)


def _past_label(frames: Frames, at: Ints) -> tuple[Ints, Ints]:
    """Labels of four bytes; what follows the last is known by its version, or as an Ethernet frame.

    Four bytes of control, which begin with four zero bits, may stand before that frame.
    """
    is_last = frames.file.numbers(at + 2, 1) & 1 == 1
    after = by_version(frames.file.numbers(at + 4, 1) >> 4)
    is_ethernet, is_controlled = (
        np.isin(frames.file.numbers(at + begins + 12, 2), (IPV4, IPV6, *VLAN_TAGS))
        for begins in (4, 8)
    )
    is_controlled &= frames.file.numbers(at + 4, 1) >> 4 == 0
    after = np.where((after == 0) & (is_ethernet | is_controlled), INNER_ETHERNET, after)
    is_control = is_last & (after == INNER_ETHERNET) & is_controlled
    return np.where(is_last, after, MPLS[0]), np.where(is_control, 8, 4)


def _past_service_header(frames: Frames, at: Ints) -> tuple[Ints, Ints]:
    """So many words, and by a number what follows."""
    words = frames.file.numbers(at + 1, 1) & 0x3F
    kind = chosen(frames.file.numbers(at + 3, 1), _IN_SERVICE_HEADERS)
    return np.where(words >= 2, kind, 0), words * 4


SHIMS: Final[dict[int, tuple[int, Step]]] = {
    **dict.fromkeys(VLAN_TAGS, (4, _tag(4))),  # bytes that must be there; to what comes next
    LLC: (8, _past_llc),
    INNER_ETHERNET: (14, _tag(14)),
    PPPOE: (6, _past_pppoe),
    PPP: (2, _past_ppp),
    **dict.fromkeys(MPLS, (5, _past_label)),
    0x88E7: (18, _before_ethernet(4)),  # a backbone's service tag
    0x8903: (16, _before_ethernet(2)),  # FabricPath
    0x8926: (6, _tag(6)),  # VN-tag
    0x892F: (6, _tag(6)),  # HSR
    0x894F: (8, _past_service_header),
    0x8909: (8, _tag(8)),  # Cisco's metadata
    0xDADA: (8, _tag(8)),  # Marvell's tag, with an ethertype
}
