"""IP packets that carry other packets: what those begin with, and where.

IP in IP (RFC 2003, 4213, 2473), GRE (RFC 2784, 2890) with ERSPAN (draft-foschiano-erspan), and in
UDP VXLAN (RFC 7348), Geneve (RFC 8926) and GUE (draft-ietf-intarea-gue), of which IPVS itself sends
IPIP, GRE and GUE (``ipvsadm --tun-type``). A later fragment carries no header and is left alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analyzer.wire.capture.ethertypes import INNER_ETHERNET, IPV4, IPV6, by_version

if TYPE_CHECKING:
    from collections.abc import Callable

    from analyzer.arrays import Ints
    from analyzer.wire.capture.frames import Bytes, Frames

    Step = Callable[[Bytes, Ints], tuple[Ints, Ints]]

IP_IN_IP = {4: IPV4, 41: IPV6}
GRE = 47
TUNNELS = (*IP_IN_IP, GRE)
"""Protocols whose packets carry others."""

_TCP, _UDP, _UDP_HEADER = 6, 17, 8
_OPTIONS_OF_V6 = 60  # ip6_tunnel puts its encapsulation limit there
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
    """Rows of IPv6 headers, their protocol, and where they end; one header of options is passed."""
    rows = np.flatnonzero((ethertype == IPV6) & frames.holds(network + 48))
    rows = rows[frames.file.numbers(network[rows] + 6, 1) != _TCP]
    at = network[rows]
    first = frames.file.numbers(at + 6, 1)
    optional = first == _OPTIONS_OF_V6
    protocol = np.where(optional, frames.file.numbers(at + 40, 1), first)
    size = np.where(optional, (frames.file.numbers(at + 41, 1) + 1) * 8, 0)
    chosen = np.isin(protocol, (*TUNNELS, _UDP)) & (frames.file.numbers(at, 1) >> 4 == 6)
    return rows[chosen], protocol[chosen], (at + 40 + size)[chosen]


def _within(frames: Frames, rows: Ints, protocol: Ints, at: Ints) -> tuple[Ints, Ints, Ints]:
    """Of IP packets, those whose payload carries another."""
    kinds, begins = np.zeros(len(rows), dtype=np.int64), at.copy()
    for number, kind in IP_IN_IP.items():
        kinds[protocol == number] = kind
    steps: list[tuple[Ints, Step, int]] = [(np.flatnonzero(protocol == GRE), _past_gre, 0)]
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
    is_carrying = kinds > 0
    return rows[is_carrying], kinds[is_carrying], begins[is_carrying]


def _known(kind: Ints) -> Ints:
    """The ethertype where it is one that is read; 0 otherwise."""
    return np.where(np.isin(kind, (IPV4, IPV6, INNER_ETHERNET)), kind, 0)


def _past_gre(file: Bytes, at: Ints) -> tuple[Ints, Ints]:
    """Version 0, with checksum, key and sequence number; ERSPAN of types 1 to 3 in it."""
    flags, kind = file.numbers(at, 2), file.numbers(at + 2, 2)
    has_checksum, has_key, has_sequence = (flags >> bit & 1 for bit in (15, 13, 12))
    size = 4 + 4 * (has_checksum + has_key + has_sequence)
    more = file.numbers(at + size + 11, 1) & 1
    size = size + np.where(kind == _ERSPAN, 8 * has_sequence, 0)
    size = size + np.where(kind == _ERSPAN_3, 12 + 8 * more, 0)
    kind = np.where(np.isin(kind, (_ERSPAN, _ERSPAN_3)), INNER_ETHERNET, kind)
    return np.where(flags & 0x4FF7 == 0, _known(kind), 0), size


def _past_vxlan(file: Bytes, at: Ints) -> tuple[Ints, Ints]:
    """A flag that there is a network identifier, and nothing in what is reserved."""
    sound = (file.numbers(at, 4) == 0x08000000) & (file.numbers(at + 7, 1) == 0)
    return np.where(sound, INNER_ETHERNET, 0), np.full(len(at), 8)


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
    8472: _past_vxlan,  # Linux's own before there was a number; flannel's still
    6081: _past_geneve,
    6080: _past_gue,
}
