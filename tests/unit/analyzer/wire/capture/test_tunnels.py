"""Packets in packets: what is read is what stands inside, once."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.contrib.erspan import ERSPAN_II, ERSPAN_III
from scapy.contrib.geneve import GENEVE
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrHopByHop
from scapy.layers.l2 import GRE, Dot1Q, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw

from analyzer.wire.packets import PacketTable, mac_number, read_packets
from tests.unit.analyzer.builders_packets import pcap

CLIENT, VIP, CLIENT6, VIP6 = "203.0.113.9", "192.0.2.2", "2001:db8::9", "2001:db8::2"
OUTER_MACS: dict[str, Any] = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}
INNER_MACS: dict[str, Any] = {"src": "02:00:00:00:00:11", "dst": "02:00:00:00:00:12"}
OUTER, INNER = Ether(**OUTER_MACS), Ether(**INNER_MACS)
V4, V6 = IP(src="10.0.0.1", dst="10.0.0.2"), IPv6(src="fd00::1", dst="fd00::2")
SEGMENT = TCP(sport=40000, dport=80, seq=7, flags="S")
PACKET, PACKET6 = IP(src=CLIENT, dst=VIP) / SEGMENT, IPv6(src=CLIENT6, dst=VIP6) / SEGMENT
FRAME = INNER / PACKET


def vxlan(port: int) -> Any:
    return V4 / UDP(sport=50000, dport=port) / VXLAN(vni=42, flags=8)


def gue(header: bytes, port: int = 6080) -> Any:
    return V4 / UDP(sport=50000, dport=port) / Raw(header)


def hexadecimal(port: int, header: str) -> Any:
    return gue(bytes.fromhex(header), port)


SRV6 = bytes.fromhex("04020400 00000000") + bytes(16)

IP_INSIDE = {
    "IPIP": V4 / PACKET,
    "IPv6 in IPv4": V4 / PACKET6,
    "IPv6 in IPv6": V6 / PACKET6,
    "IPv4 in IPv6": V6 / PACKET,
    "IPv6 in IPv6, encapsulation limit": V6 / IPv6ExtHdrDestOpt(nh=41) / PACKET6,
    "GRE": V4 / GRE() / PACKET,
    "GRE over IPv6": V6 / GRE() / PACKET6,
    "GRE with everything": V4
    / GRE(chksum_present=1, key_present=1, key=5, seqnum_present=1, sequence_number=6)
    / PACKET6,
    "GUE": gue(bytes([0, 4, 0, 0])) / PACKET,
    "GUE with fields": gue(bytes([1, 41, 0, 0, 1, 2, 3, 4])) / PACKET6,
    "GUE without a header": gue(b"") / PACKET,
    "Geneve": V4 / UDP(dport=6081) / GENEVE(proto=0x0800) / PACKET,
    "IPIP in GRE": V4 / GRE() / V4 / PACKET,
    "IPv4 in IPv6, options": V6 / IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt(nh=4) / PACKET,
    "IPv4 in IPv6, a route": V6 / IPv6ExtHdrDestOpt(nh=43) / Raw(SRV6) / PACKET,
    "MPLS in GRE": V4 / GRE(proto=0x8847) / Raw(bytes.fromhex("00010140")) / PACKET,
    "WCCP": V4 / GRE(proto=0x883E) / Raw(bytes(4)) / PACKET,
    "PPTP": IP(src="10.0.0.1", dst="10.0.0.2", proto=47)
    / Raw(bytes.fromhex("3001 880b 0040 0000 00000005 ff03 0021"))
    / PACKET,
    "VXLAN-GPE": hexadecimal(4790, "0c000002 00000100") / PACKET6,
    "GUE on a port of one's own": hexadecimal(5555, "00040000") / PACKET,
    "GUE of IPv6 on a port of one's own": hexadecimal(5555, "00290000") / PACKET6,
    "FOU": hexadecimal(5555, "") / PACKET,
    "GTP": hexadecimal(2152, "30ff0028 00000001") / PACKET,
    "L2TP": hexadecimal(1701, "0002 0001 0001 ff03 0021") / PACKET,
    "MPLS in UDP": hexadecimal(6635, "00010140") / PACKET,
    "LISP": hexadecimal(4341, "80000000 00000000") / PACKET,
}
ETHERNET_INSIDE = {
    "GRE": V4 / GRE(proto=0x6558) / FRAME,
    "VXLAN": vxlan(4789) / FRAME,
    "VXLAN as Linux once had it": vxlan(8472) / FRAME,
    "Geneve": V4 / UDP(dport=6081) / GENEVE(proto=0x6558, options=[]) / FRAME,
    "ERSPAN I": V4 / GRE(proto=0x88BE) / Raw(bytes(FRAME)),
    "ERSPAN II": V4 / GRE(proto=0x88BE, seqnum_present=1) / ERSPAN_II() / FRAME,
    "ERSPAN III": V4 / GRE(proto=0x22EB, seqnum_present=1) / ERSPAN_III() / FRAME,
    "VXLAN with a group's policy": hexadecimal(4789, "88000005 00000100") / FRAME,
    "VXLAN-GPE": hexadecimal(4790, "0c000003 00000100") / FRAME,
    "VXLAN on a port of one's own": vxlan(14789) / FRAME,
    "TZSP": hexadecimal(37008, "0100000101") / FRAME,
    "EtherIP": IP(src="10.0.0.1", dst="10.0.0.2", proto=97) / Raw(b"\x30\0") / Raw(bytes(FRAME)),
    "VXLAN, a VLAN inside": vxlan(4789) / INNER / Dot1Q(vlan=7) / PACKET,
}
ALL = {**IP_INSIDE, **{f"Ethernet in {name}": each for name, each in ETHERNET_INSIDE.items()}}


def read(*frames: bytes, link: int = 1) -> PacketTable:
    content = pcap(((number, frame) for number, frame in enumerate(frames)), snap=400, link=link)
    return read_packets(memoryview(content))


def ends(found: PacketTable) -> set[tuple[str, int, str, int]]:
    names = found.addresses
    ports = zip(found.source_port.tolist(), found.destination_port.tolist(), strict=True)
    hosts = zip(found.source.tolist(), found.destination.tolist(), strict=True)
    return {
        (names[source], sport, names[destination], dport)
        for (source, destination), (sport, dport) in zip(hosts, ports, strict=True)
    }


INSIDE = [{(CLIENT, 40000, VIP, 80)}, {(CLIENT6, 40000, VIP6, 80)}]


@pytest.mark.parametrize("name", ALL)
def test_the_packet_inside_is_read(name: str) -> None:
    found = read(bytes(OUTER / ALL[name]))
    assert ends(found) in INSIDE
    assert (found.flags.tolist(), found.sequence.tolist()) == ([2], [7])
    assert sum(found.skipped.values()) == 0


@pytest.mark.parametrize("name", IP_INSIDE)
def test_a_tunnel_that_carries_ip_keeps_the_macs_of_the_frame(name: str) -> None:
    found = read(bytes(OUTER / IP_INSIDE[name]))
    assert found.source_mac.tolist() == [mac_number(OUTER_MACS["src"])]
    assert found.destination_mac.tolist() == [mac_number(OUTER_MACS["dst"])]


@pytest.mark.parametrize("name", ETHERNET_INSIDE)
def test_a_tunnel_that_carries_ethernet_gives_its_macs(name: str) -> None:
    found = read(bytes(OUTER / ETHERNET_INSIDE[name]))
    assert found.source_mac.tolist() == [mac_number(INNER_MACS["src"])]
    assert found.destination_mac.tolist() == [mac_number(INNER_MACS["dst"])]


def test_a_tunnel_device_has_no_link_header_and_its_packets_none_around_them() -> None:
    assert ends(read(bytes(V4 / PACKET), link=101)) == INSIDE[0]


@pytest.mark.parametrize("name", ALL)
def test_a_tunnel_cut_off_anywhere_is_never_read_beyond(name: str) -> None:
    frame = bytes(OUTER / ALL[name])
    found = read(*(frame[:kept] for kept in range(len(frame) + 1)))
    assert found.at_ns[found.source_port == 40000].tolist() == [len(frame)]
    assert len(found.at_ns) + sum(found.skipped.values()) == len(frame) + 1


def test_what_is_also_seen_outside_its_tunnel_is_counted_once() -> None:
    """A director in tun mode that captures: in bare, out in a tunnel."""
    other = IP(src=CLIENT, dst=VIP) / TCP(sport=40001, dport=80, flags="S")
    frames = [OUTER / PACKET, OUTER / V4 / PACKET, OUTER / V4 / other, OUTER / V4 / PACKET]
    found = read(*map(bytes, frames))
    assert found.source_port.tolist() == [40000, 40001]
    assert found.at_ns.tolist() == [0, 2]
    assert {kind: n for kind, n in found.skipped.items() if n} == {"copies in a tunnel": 2}


@pytest.mark.parametrize(
    "packet",
    [
        V4 / GRE(proto=0x880B) / Raw(bytes(40)),
        V4 / GRE(version=1, proto=0x0800) / PACKET,
        V4 / V4 / V4 / V4 / PACKET,
        IP(src="10.0.0.1", dst="10.0.0.2", proto=4, frag=9) / Raw(bytes(PACKET)),
    ],
    ids=["PPP in GRE", "GRE of another version", "four in each other", "a later fragment"],
)
def test_what_is_not_read_is_counted(packet: Any) -> None:
    found = read(bytes(OUTER / packet))
    assert len(found.at_ns) == 0
    assert sum(found.skipped[kind] for kind in ("in a tunnel", "fragments")) == 1


@pytest.mark.parametrize("port", [4789, 8472, 6081, 6080])
def test_a_datagram_that_only_has_a_tunnels_port_is_a_datagram(port: int) -> None:
    found = read(bytes(OUTER / V4 / UDP(sport=50000, dport=port) / Raw(b"\xff" * 40)))
    assert ends(found) == {("10.0.0.1", 50000, "10.0.0.2", port)}


@given(st.sampled_from(list(ALL)), st.data())
def test_no_damage_to_a_tunnel_loses_count_of_it(name: str, data: st.DataObject) -> None:
    spoilt = bytearray(bytes(OUTER / ALL[name]))
    for _ in range(data.draw(st.integers(1, 4))):
        spoilt[data.draw(st.integers(0, len(spoilt) - 1))] = data.draw(st.integers(0, 255))
    found = read(bytes(spoilt))
    assert len(found.at_ns) + sum(found.skipped.values()) == 1


@pytest.mark.parametrize(
    ("packet", "kind"),
    [
        (IP(proto=50) / Raw(bytes(40)), "encrypted"),
        (IP(proto=108) / Raw(bytes(40)), "encrypted"),
        (IP(proto=132) / Raw(bytes(40)), "SCTP"),
        (IP(proto=115) / Raw(bytes(40)), "in a tunnel"),
        (IP(proto=51) / Raw(bytes.fromhex("04040000") + bytes(40)), "in a tunnel"),
        (IPv6(nh=50) / Raw(bytes(40)), "encrypted"),
    ],
    ids=["ESP", "IPComp", "SCTP", "L2TPv3", "AH", "ESP over IPv6"],
)
def test_what_cannot_be_read_is_counted_by_name(packet: Any, kind: str) -> None:
    found = read(bytes(OUTER / packet))
    assert {kind: n for kind, n in found.skipped.items() if n} == {kind: 1}


@pytest.mark.parametrize("spoilt_at", [2, 3, 10, 11])
def test_a_datagram_with_something_like_a_packet_in_it_is_a_datagram(spoilt_at: int) -> None:
    """Its length or its checksum is not right."""
    inside = bytearray(bytes(PACKET))
    inside[spoilt_at] ^= 1
    found = read(bytes(OUTER / V4 / UDP(sport=50000, dport=5555) / Raw(bytes(inside))))
    assert ends(found) == {("10.0.0.1", 50000, "10.0.0.2", 5555)}


def test_a_datagram_cut_short_on_a_tunnels_port_is_no_tunnel() -> None:
    whole = bytes(OUTER / V4 / UDP(sport=50000, dport=4789))
    assert struct.unpack(">H", whole[36:38]) == (4789,)
    assert ends(read(whole)) == {("10.0.0.1", 50000, "10.0.0.2", 4789)}
