"""What is to be captured, where and how; and what may go wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

from loadgen.errors import LoadgenError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from loadgen.target import Target

    EventSink = Callable[[Mapping[str, Any]], None]
    """Takes a row of ``events/``."""

CaptureWith = Literal["auto", "ring", "scapy"]
CAPTURE_WITH: tuple[str, ...] = get_args(CaptureWith)

SNAP_BYTES = 160
"""Ethernet, two VLAN tags, IPv4 or IPv6 and TCP with all options fit."""


class CaptureRefused(LoadgenError):
    """No privilege to capture, no such interface, no tcpdump; the run goes on without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturePlan:
    """What a capture is asked for.

    Attributes:
        targets: whose packets are wanted.
        path: of the first file.
        captured_with: a packet ring, scapy's socket, or the ring where the kernel has it.
        size_bytes: of all files together; the oldest are deleted beyond. None for no bound.
    """

    targets: tuple[Target, ...]
    path: Path
    captured_with: CaptureWith = "auto"
    size_bytes: int | None = None


class PacketSink(Protocol):
    """Takes packets as pcap records, as they come; ``PcapFiles`` writes them down."""

    def write(self, content: bytes, packets: int, last_ns: int) -> None:
        """Records one behind another, how many they are, and the instant of the last."""
