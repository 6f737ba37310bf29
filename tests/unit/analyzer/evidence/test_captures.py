"""Captures that several ask for are read as seldom as may be."""

from __future__ import annotations

from analyzer.evidence.captures import ReadOnce
from analyzer.parts import IN_MEMORY
from tests.unit.analyzer.builders_packets import NS, SYN, pcap, request


def test_packets_are_read_again_only_for_who_needs_more_of_their_headers() -> None:
    read = ReadOnce({"capture.pcap": memoryview(pcap([(NS, request(SYN))]))}, IN_MEMORY)
    few = read.packets()
    assert (few.has_tcp, read.packets() is few) == (False, True)
    all_of_them = read.packets(tcp=True)
    assert (all_of_them.has_tcp, read.packets() is all_of_them) == (True, True)
