"""Packets that came after their entry had expired."""

from analyzer.traces.expired.answers import longest_pause_s
from analyzer.traces.expired.find import late_packets
from analyzer.traces.expired.model import LatePacket

__all__ = ["LatePacket", "late_packets", "longest_pause_s"]
