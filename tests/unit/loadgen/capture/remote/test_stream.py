"""A pcap in pieces: the same packets however it is cut, and nothing of what is no pcap."""

from __future__ import annotations

import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.wire.capture.pcap import HEADER_BYTES, MAX_FRAME_BYTES, pcap_header
from loadgen.capture.files import cut_record
from loadgen.capture.model import SNAP_BYTES
from loadgen.capture.remote.stream import NotPcap, PcapStream
from loadgen.capture.remote.tcpdump import READABLE_LINK_TYPES

NS = 1_000_000_000
packets = st.lists(
    st.tuples(st.integers(0, (1 << 32) * NS - 1), st.binary(max_size=SNAP_BYTES)), max_size=10
)


@given(packets, st.lists(st.integers(0, 3000), max_size=8))
def test_the_packets_are_the_same_however_the_stream_is_cut(
    sent: list[tuple[int, bytes]], cuts: list[int]
) -> None:
    content = b"".join(cut_record(at_ns, frame, len(frame) + 7) for at_ns, frame in sent)
    stream = PcapStream(pcap_header(1, SNAP_BYTES), READABLE_LINK_TYPES)
    ends = [0, *sorted(min(cut, len(content)) for cut in cuts), len(content)]
    pieces = [content[begin:end] for begin, end in pairwise(ends)]
    found = [packet for piece in pieces for packet in stream.feed(piece)]
    assert found == [(at_ns, frame, len(frame) + 7) for at_ns, frame in sent]


@given(st.binary(min_size=HEADER_BYTES, max_size=HEADER_BYTES), st.binary(max_size=500))
def test_whatever_comes_is_packets_or_no_pcap(header: bytes, content: bytes) -> None:
    for begin in (header, pcap_header(1, SNAP_BYTES)):
        try:
            found = PcapStream(begin, READABLE_LINK_TYPES).feed(content)
        except NotPcap:
            continue
        assert sum(16 + len(frame) for _, frame, _ in found) <= len(content)


def test_microseconds_and_the_other_byte_order_are_understood() -> None:
    header = struct.pack(">IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 160, 113)
    stream = PcapStream(header, READABLE_LINK_TYPES)
    assert stream.link_type == 113
    assert stream.feed(struct.pack(">IIII", 3, 7, 2, 60) + b"ab") == [(3 * NS + 7000, b"ab", 60)]


@pytest.mark.parametrize(
    ("header", "why"),
    [
        (b"sudo: a password is requ", "does not begin as a pcap file"),
        (pcap_header(1, SNAP_BYTES)[:20], "does not begin as a pcap file"),
        (pcap_header(147, SNAP_BYTES), r"link type not known here \(147\)"),
    ],
)
def test_what_is_no_capture_is_refused(header: bytes, why: str) -> None:
    with pytest.raises(NotPcap, match=why):
        PcapStream(header, READABLE_LINK_TYPES)


@pytest.mark.parametrize("row", [(0, 0, MAX_FRAME_BYTES + 1, 60), (0, NS, 60, 60)])
def test_a_record_that_cannot_be_one_ends_the_stream(row: tuple[int, ...]) -> None:
    with pytest.raises(NotPcap, match="cannot be one"):
        PcapStream(pcap_header(1, SNAP_BYTES), READABLE_LINK_TYPES).feed(struct.pack("<IIII", *row))
