"""BFD sessions in captures: control packets from one host to another, and how they ended.

RFC 5880 with the ports of RFC 5881 (one hop) and RFC 5883 (several). A host takes its neighbour to
be down when nothing came for the detection time, or when the neighbour says so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterable

PORTS = (3784, 4784)
UP = 3
_VERSION = 1
_LEAST_BYTES = 24
_US_PER_S = 1_000_000
MOST_SPANS = 1000
"""Of all sessions; one that flaps more often adds nothing."""


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
