"""What stands between link and IP is stepped over, or counted."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.wire.packets import mac_number, read_packets
from tests.unit.analyzer.builders_packets import ethernet, ipv4, pcap, tcp

PACKET = ipv4(tcp(2, source_port=40000, destination_port=80), source="203.0.113.9")
FRAME = ethernet(PACKET)
MACS, IP = FRAME[:12], FRAME[12:]

STEPPED_OVER = {
    "LLC and SNAP": MACS + struct.pack(">H", len(PACKET) + 8) + b"\xaa\xaa\3\0\0\0" + IP,
    "VN-tag": MACS + bytes.fromhex("8926 0001 0002") + IP,
    "Cisco's metadata": MACS + bytes.fromhex("8909 0101 0001 0005") + IP,
    "HSR": MACS + bytes.fromhex("892f 0040 0001") + IP,
    "Marvell's tag": MACS + bytes.fromhex("dada 0000 c0000000") + IP,
    "a backbone's tag": MACS + bytes.fromhex("88e7 00000001") + FRAME,
    "FabricPath": MACS + bytes.fromhex("8903 0001") + FRAME,
    "a service header": MACS + bytes.fromhex("894f 0fc6 0103 00000000") + bytes(16) + FRAME,
    "Ethernet in MPLS": MACS + bytes.fromhex("8847 00010140") + FRAME,
    "Ethernet in MPLS, controlled": MACS + bytes.fromhex("8847 00010140 00000000") + FRAME,
    "a VLAN before HSR": MACS + bytes.fromhex("8100 000a 892f 0040 0001") + IP,
}
PKTAP = struct.pack("<II", 108, 1)
LINKS = {
    "PPP with a direction": (204, b"\1\xff\3\0\x21" + PACKET),
    "MPLS": (219, bytes.fromhex("00010140") + PACKET),
    "pf": (117, bytes([61, 2, 0, 0]) + bytes(60) + PACKET),
    "IPsec's device": (109, struct.pack("<III", 2, 1, 0) + PACKET),
    "pktap": (258, PKTAP + struct.pack("<I", 1) + bytes(96) + FRAME),
    "pktap of a tun device": (258, PKTAP + struct.pack("<I", 12) + bytes(96) + PACKET),
    "pktap of loopback": (258, PKTAP + struct.pack("<I", 0) + bytes(96) + b"\2\0\0\0" + PACKET),
    "NFLOG, little-endian": (
        239,
        b"\2\0\0\0" + b"\x08\0\1\0\x08\0\3\0" + struct.pack("<HH", 44, 9) + PACKET,
    ),
    "NFLOG, big-endian": (
        239,
        b"\2\0\0\0" + b"\0\x08\0\1\x08\0\3\0" + struct.pack(">HH", 44, 9) + PACKET,
    ),
}


@pytest.mark.parametrize("name", STEPPED_OVER)
def test_it_is_stepped_over_and_the_macs_are_kept(name: str) -> None:
    found = read_packets(memoryview(pcap([(0, STEPPED_OVER[name])])))
    assert (found.source_port.tolist(), found.destination_port.tolist()) == ([40000], [80])
    assert found.source_mac.tolist() == [mac_number(FRAME[6:12].hex(":"))]
    assert sum(found.skipped.values()) == 0


@pytest.mark.parametrize("name", LINKS)
def test_a_link_with_a_header_of_its_own_is_read(name: str) -> None:
    link, frame = LINKS[name]
    found = read_packets(memoryview(pcap([(0, frame)], link=link, snap=400)))
    assert found.source_port.tolist() == [40000]
    assert sum(found.skipped.values()) == 0


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        (MACS + bytes.fromhex("88e5 00000000") + bytes(40), "encrypted"),  # MACsec
        (MACS + b"\xc0\0\0\0" + IP, "header not read"),
        (MACS + bytes.fromhex("88cc") + bytes(40), "not IP"),  # neighbours' announcements
        (MACS + b"\0\x26\x42\x42\3" + bytes(40), "not IP"),  # spanning tree
    ],
)
def test_what_is_not_read_is_counted_by_name(frame: bytes, kind: str) -> None:
    found = read_packets(memoryview(pcap([(0, frame)])))
    assert {kind: n for kind, n in found.skipped.items() if n} == {kind: 1}


@given(st.sampled_from([*STEPPED_OVER, *LINKS]), st.data())
def test_a_frame_cut_off_or_spoilt_is_counted(name: str, data: st.DataObject) -> None:
    link, whole = LINKS.get(name) or (1, STEPPED_OVER[name])
    spoilt = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    if spoilt:
        spoilt[data.draw(st.integers(0, len(spoilt) - 1))] ^= data.draw(st.integers(0, 255))
    found = read_packets(memoryview(pcap([(0, bytes(spoilt))], link=link, snap=400)))
    assert len(found.at_ns) + sum(found.skipped.values()) == 1
