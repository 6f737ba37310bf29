"""BFD sessions in captures: control packets from one host to another, and how they ended.

RFC 5880 with the ports of RFC 5881 (one hop) and RFC 5883 (several). A host takes its neighbour to
be down when nothing came for the detection time, or when the neighbour says so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import TYPE_CHECKING

import numpy as np

from analyzer.units import NS_PER_S
from analyzer.wire.capture.ethertypes import IPV4
from analyzer.wire.capture.network import LEAST_TRANSPORT, UDP

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from analyzer.arrays import Ints
    from analyzer.wire.capture.frames import Frames
    from analyzer.wire.capture.links import Link
    from analyzer.wire.capture.network import Network

PORTS = (3784, 4784)
UP = 3
_VERSION = 1
_LEAST_BYTES = 24
_US_PER_S = 1_000_000
MOST_SPANS = 1000
"""Of all sessions; one that flaps more often adds nothing."""

_SOURCE_AT = {True: (12, 4), False: (8, 16)}
"""By whether it is IPv4: where the source stands in an IP header, and the bytes of an address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BfdPacket:
    """One control packet; ``detect_s`` is its multiplier times the interval it wants to keep."""

    at_ns: int
    sender: str
    receiver: str
    is_up: bool
    detect_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BfdSpan:
    """A time in which one host told another that it is up; Unix ns.

    Attributes:
        to_ns: its last such packet.
        down_ns: its packet that said otherwise; None if it fell silent.
    """

    sender: str
    receiver: str
    from_ns: int
    to_ns: int
    detect_s: float
    down_ns: int | None = None

    @property
    def noticed_ns(self) -> int:
        """When the receiver knew, or would have known: at the word, or after the silence."""
        silent_ns = self.to_ns + int(self.detect_s * NS_PER_S)
        return silent_ns if self.down_ns is None else min(self.down_ns, silent_ns)


def bfd_rows(frames: Frames, network: Network) -> Ints:
    """The frames that go to a port of BFD, in order of the capture."""
    udp = np.flatnonzero(network.whole & (network.protocol == UDP))
    return udp[np.isin(frames.file.numbers(network.transport[udp] + 2, 2), PORTS)]


def bfd_packets(
    frames: Frames, link: Link, network: Network, rows: Ints
) -> Iterator[BfdPacket | None]:
    """The control packets in these frames; None for each frame that holds none.

    Sessions send dozens a second, so that their few fields are read where they stand.
    """
    names: dict[bytes, str] = {}

    def name(at: int, size: int) -> str:
        address = frames.file.bytes(at, size)
        if address not in names:
            names[address] = str(ip_address(address))
        return names[address]

    for row in rows.tolist():
        source_at, size = _SOURCE_AT[bool(link.ethertype[row] == IPV4)]
        source_at += int(link.network[row])
        begin = int(network.transport[row]) + LEAST_TRANSPORT[UDP]
        captured = int(frames.start[row] + frames.length[row]) - begin
        yield bfd_packet(
            int(frames.at_ns[row]),
            name(source_at, size),
            name(source_at + size, size),
            frames.file.bytes(begin, min(captured, _LEAST_BYTES)),
        )


def bfd_packet(at_ns: int, sender: str, receiver: str, content: bytes) -> BfdPacket | None:
    """The control packet in a datagram's payload; None if it is none."""
    if len(content) < _LEAST_BYTES or content[0] >> 5 != _VERSION or content[2] == 0:
        return None
    wanted_us = int.from_bytes(content[12:16], "big")
    return BfdPacket(
        at_ns=at_ns,
        sender=sender,
        receiver=receiver,
        is_up=content[1] >> 6 == UP,
        detect_s=content[2] * wanted_us / _US_PER_S,
    )


def bfd_spans(packets: Iterable[BfdPacket]) -> tuple[BfdSpan, ...]:
    """The times in which each session was up, in order of their end.

    Args:
        packets: in order of time.
    """
    spans: list[BfdSpan] = []
    open_spans: dict[tuple[str, str], BfdSpan] = {}
    for packet in packets:
        key = (packet.sender, packet.receiver)
        last = open_spans.get(key)
        if last is not None and packet.at_ns > last.to_ns + int(last.detect_s * NS_PER_S):
            spans.append(open_spans.pop(key))
            last = None
        if packet.is_up and last is not None:
            open_spans[key] = replace(last, to_ns=packet.at_ns, detect_s=packet.detect_s)
        elif packet.is_up:
            open_spans[key] = BfdSpan(
                sender=packet.sender,
                receiver=packet.receiver,
                from_ns=packet.at_ns,
                to_ns=packet.at_ns,
                detect_s=packet.detect_s,
            )
        elif last is not None:
            spans.append(replace(open_spans.pop(key), down_ns=packet.at_ns))
    spans += open_spans.values()
    return tuple(sorted(spans, key=lambda span: span.to_ns)[-MOST_SPANS:])
