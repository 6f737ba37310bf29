"""Packets that came after their entry had expired."""

from analyzer.expired.answers import longest_pause_s
from analyzer.expired.find import late_packets
from analyzer.expired.model import LatePacket

__all__ = ["LatePacket", "late_packets", "longest_pause_s"]
