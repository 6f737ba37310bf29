"""IP packets that carry other packets: what those begin with, and where.

IP in IP (RFC 2003, 4213, 2473), GRE (RFC 2784, 2890) with ERSPAN (draft-foschiano-erspan), and in
UDP VXLAN (RFC 7348), Geneve (RFC 8926) and GUE (draft-ietf-intarea-gue), of which IPVS itself sends
IPIP, GRE and GUE (``ipvsadm --tun-type``); PPTP (RFC 2637), EtherIP (RFC 3378). A later fragment
carries no header and is left alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analyzer.wire.capture.datagrams import carried_in_datagrams
from analyzer.wire.capture.ethertypes import INNER_ETHERNET, IPV4, IPV6, MPLS, PPP, by_version

if TYPE_CHECKING:
    from collections.abc import Callable

    from analyzer.arrays import Ints
    from analyzer.wire.capture.frames import Bytes, Frames

    Step = Callable[[Bytes, Ints], tuple[Ints, Ints]]

IP_IN_IP = {4: IPV4, 41: IPV6}
GRE, ETHERIP = 47, 97
TUNNELS = (*IP_IN_IP, GRE, ETHERIP)
"""Protocols whose packets carry others."""

_TCP, _UDP, _UDP_HEADER = 6, 17, 8
_OPTIONS_OF_V6 = (0, 43, 60)  # ip6_tunnel puts its encapsulation limit there, SRv6 its routes
_MOST_OPTIONS = 3
_WCCP = 0x883E
_ERSPAN, _ERSPAN_3 = 0x88BE, 0x22EB


def carried(frames: Frames, ethertype: Ints, network: Ints) -> tuple[Ints, Ints, Ints]:
    """The rows that carry a packet, the ethertype of what is carried, and its offset."""
    found = [_within(frames, *outer(frames, ethertype, network)) for outer in (_in_ipv4, _in_ipv6)]
    rows, kinds, at = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return rows, kinds, at


def _in_ipv4(frames: Frames, ethertype: Ints, network: Ints) -> tuple[Ints, Ints, Ints]:
    """Rows of sound IPv4 headers, their protocol, and where they end."""
    rows = np.flatnonzero((ethertype == IPV4) & frames.holds(network + 20))
    rows = rows[frames.file.numbers(network[rows] + 9, 1) != _TCP]  # nearly all are
    at = network[rows]
    first = frames.file.numbers(at, 1)
    protocol = frames.file.numbers(at + 9, 1)
    chosen = np.isin(protocol, (*TUNNELS, _UDP)) & (first >= 0x45) & (first <= 0x4F)
    chosen &= frames.file.numbers(at + 6, 2) & 0x1FFF == 0
    return rows[chosen], protocol[chosen], (at + (first & 0x0F) * 4)[chosen]


def _in_ipv6(frames: Frames, ethertype: Ints, network: Ints) -> tuple[Ints, Ints, Ints]:
    """Rows of IPv6 headers, their protocol, and where they end; headers of options are passed."""
    rows = np.flatnonzero((ethertype == IPV6) & frames.holds(network + 48))
    rows = rows[frames.file.numbers(network[rows] + 6, 1) != _TCP]
    rows = rows[frames.file.numbers(network[rows], 1) >> 4 == 6]
    if not len(rows):
        return rows, rows, rows
    protocol, at = frames.file.numbers(network[rows] + 6, 1), network[rows] + 40
    for _ in range(_MOST_OPTIONS):
        optional = np.isin(protocol, _OPTIONS_OF_V6) & frames.holds_at(rows, at + 8)
        after = at + (frames.file.numbers(at + 1, 1) + 1) * 8
        protocol = np.where(optional, frames.file.numbers(at, 1), protocol)
        at = np.where(optional, after, at)
    is_carrying = np.isin(protocol, (*TUNNELS, _UDP))
    return rows[is_carrying], protocol[is_carrying], at[is_carrying]


def _within(frames: Frames, rows: Ints, protocol: Ints, at: Ints) -> tuple[Ints, Ints, Ints]:
    """Of IP packets, those whose payload carries another."""
    if not len(rows):  # as in most chunks of most captures
        return rows, protocol, at
    kinds, begins = np.zeros(len(rows), dtype=np.int64), at.copy()
    for number, kind in IP_IN_IP.items():
        kinds[protocol == number] = kind
    steps: list[tuple[Ints, Step, int]] = [
        (np.flatnonzero(protocol == GRE), _past_gre, 0),
        (np.flatnonzero(protocol == ETHERIP), _past_etherip, 0),
    ]
    is_udp = protocol == _UDP
    if is_udp.any():
        port = frames.file.numbers(at + 2, 2)
        for number, step in _PORTS.items():
            steps.append((np.flatnonzero(is_udp & (port == number)), step, _UDP_HEADER))
    for chosen, step, header in steps:
        if len(chosen) == 0:
            continue
        after = at[chosen] + header
        kinds[chosen], advance = step(frames.file, after)
        held = frames.holds_at(rows[chosen], after + 8)
        kinds[chosen[~held]] = 0
        begins[chosen] = after + advance
    others = np.flatnonzero(is_udp & (kinds == 0))
    kinds[others], begins[others] = carried_in_datagrams(
        frames, rows[others], at[others] + _UDP_HEADER
    )
    is_carrying = kinds > 0
    return rows[is_carrying], kinds[is_carrying], begins[is_carrying]


def _known(kind: Ints) -> Ints:
    """The ethertype where it is one that is read; 0 otherwise."""
    return np.where(np.isin(kind, (IPV4, IPV6, INNER_ETHERNET, *MPLS)), kind, 0)


def _past_gre(file: Bytes, at: Ints) -> tuple[Ints, Ints]:
    """Version 0, with checksum, key and sequence number; ERSPAN of types 1 to 3 in it; PPTP."""
    flags, kind = file.numbers(at, 2), file.numbers(at + 2, 2)
    has_checksum, has_key, has_sequence = (flags >> bit & 1 for bit in (15, 13, 12))
    size = 4 + 4 * (has_checksum + has_key + has_sequence)
    more = file.numbers(at + size + 11, 1) & 1
    size = size + np.where(kind == _ERSPAN, 8 * has_sequence, 0)
    size = size + np.where(kind == _ERSPAN_3, 12 + 8 * more, 0)
    kind = np.where(np.isin(kind, (_ERSPAN, _ERSPAN_3)), INNER_ETHERNET, kind)
    size = size + np.where((kind == _WCCP) & (file.numbers(at + size, 1) >> 4 != 4), 4, 0)
    kind = np.where(kind == _WCCP, IPV4, kind)
    is_pptp = (flags & 0x6F7F == 0x2001) & (kind == PPP)  # version 1, with a key
    size = np.where(is_pptp, 8 + 4 * (has_sequence + (flags >> 7 & 1)), size)
    known = np.where(flags & 0x4FF7 == 0, _known(kind), 0)
    return np.where(is_pptp, PPP, known), size


def _past_etherip(file: Bytes, at: Ints) -> tuple[Ints, Ints]:
    """Version 3 and nothing else, then an Ethernet frame."""
    return np.where(file.numbers(at, 2) == 0x3000, INNER_ETHERNET, 0), np.full(len(at), 2)


def _past_vxlan(file: Bytes, at: Ints) -> tuple[Ints, Ints]:
    """A flag that there is a network identifier; a group's policy may stand in what is reserved."""
    first = file.numbers(at, 4)
    sound = (first == 0x08000000) | (first & 0xFFB70000 == 0x88000000)
    sound &= file.numbers(at + 7, 1) == 0
    return np.where(sound, INNER_ETHERNET, 0), np.full(len(at), 8)


def _past_vxlan_gpe(file: Bytes, at: Ints) -> tuple[Ints, Ints]:
    """Flags that a number says what is carried (draft-ietf-nvo3-vxlan-gpe)."""
    carried_by_number = {1: IPV4, 2: IPV6, 3: INNER_ETHERNET}
    numbers = file.numbers(at + 3, 1)
    kind = np.select(
        [numbers == number for number in carried_by_number], list(carried_by_number.values()), 0
    )
    return np.where(file.numbers(at, 1) & 0x3C == 0x0C, kind, 0), np.full(len(at), 8)


def _past_geneve(file: Bytes, at: Ints) -> tuple[Ints, Ints]:
    """Version 0, options of so many words."""
    first = file.numbers(at, 1)
    return np.where(first < 0x40, _known(file.numbers(at + 2, 2)), 0), 8 + (first & 0x3F) * 4


def _past_gue(file: Bytes, at: Ints) -> tuple[Ints, Ints]:
    """Variant 0 has a header of its own, variant 1 none."""
    first, protocol = file.numbers(at, 1), file.numbers(at + 1, 1)
    data = np.select([protocol == number for number in IP_IN_IP], list(IP_IN_IP.values()), 0)
    kind = np.select([first < 0x20, first >> 6 == 1], [data, by_version(first >> 4)], 0)
    return kind, np.where(first >> 6 == 1, 0, 4 + (first & 0x1F) * 4)


_PORTS: dict[int, Step] = {
    4789: _past_vxlan,
    4790: _past_vxlan_gpe,
    8472: _past_vxlan,  # Linux's own before there was a number; flannel's still
    6081: _past_geneve,
    6080: _past_gue,
}
