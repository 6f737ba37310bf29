"""Packets that came after their entry had expired."""

from analyzer.traces.expired.find import late_packets
from analyzer.traces.expired.model import (
    NO_LATE_PACKETS,
    LateKind,
    LatePacket,
    LatePackets,
)

__all__ = ["NO_LATE_PACKETS", "LateKind", "LatePacket", "LatePackets", "late_packets"]
