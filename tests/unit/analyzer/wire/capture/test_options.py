"""The window scale of SYNs, read as netfilter reads it."""

from __future__ import annotations

import pytest

from analyzer.conntrack.windows import CUT_OFF, NO_OPTIONS, NO_SCALE
from analyzer.wire.packets import read_packets
from tests.unit.analyzer.builders_packets import ACK, NS, SYN, ethernet, ipv4, pcap, tcp

USUAL = bytes.fromhex("020405b4 0402 080a 00000001 00000000 01 03030a")
"""MSS, SACK permitted, timestamps, a filler, a scale of 10: what Linux sends."""


def segment(options: bytes, flags: int = SYN) -> bytes:
    header = bytearray(tcp(flags))
    header[12] = (5 + len(options) // 4) << 4
    return bytes(header) + options


def scales(*segments: bytes, snap: int = 160) -> list[int]:
    sent = [(number * NS, ethernet(ipv4(each))) for number, each in enumerate(segments, 1)]
    found = read_packets(memoryview(pcap(sent, snap=snap))).window_scale
    assert found is not None
    numbers: list[int] = found.tolist()
    return numbers


@pytest.mark.parametrize(
    ("options", "scale"),
    [
        (USUAL, 10),
        (b"", NO_OPTIONS),
        (bytes.fromhex("020405b4"), NO_SCALE),
        (bytes.fromhex("03030f00"), 14),  # more than a host may
        (bytes.fromhex("030301 030307 0101"), 7),  # the later one
        (bytes.fromhex("00 030307"), NO_SCALE),  # behind the end
        (bytes.fromhex("02 00 030307 01 01 01"), NO_SCALE),  # behind what cannot be
        (bytes.fromhex("02ff 030307 010101"), NO_SCALE),  # longer than there is
        (bytes.fromhex("03040700"), NO_SCALE),  # of another length
        (bytes.fromhex("01010103"), NO_SCALE),  # no room for its length
    ],
)
def test_the_scale_is_the_one_that_netfilter_finds(options: bytes, scale: int) -> None:
    assert scales(segment(options)) == [scale]


def test_of_several_each_has_its_own() -> None:
    rows = [segment(USUAL), segment(b""), segment(USUAL, SYN | ACK), segment(USUAL, ACK)]
    assert scales(*rows) == [10, NO_OPTIONS, 10, CUT_OFF]


def test_options_that_were_cut_off_are_not_guessed() -> None:
    whole = 14 + 20 + 20 + len(USUAL)
    assert scales(segment(USUAL), snap=whole) == [10]
    assert scales(segment(USUAL), snap=whole - 1) == [CUT_OFF]
