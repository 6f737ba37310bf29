"""Frames without addresses and payload, and what is right about them afterwards."""

from __future__ import annotations

import struct
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.contrib.mpls import MPLS
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_RR
from scapy.layers.inet6 import ICMPv6ND_NS, IPv6, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.layers.ppp import PPP, PPPoE
from scapy.layers.vrrp import VRRP, VRRPv3
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw

from analyzer.anonymous.capture import FrameAnonymiser
from analyzer.anonymous.capture_file import anonymous_capture
from analyzer.anonymous.substitution import Substitution
from analyzer.errors import ParseError
from analyzer.wire.capture.files import frame_chunks
from analyzer.wire.packets import read_packets
from tests.unit.analyzer import builders_packets as files

SUBSTITUTION = Substitution(bytes(range(32)))
ANONYMISER = FrameAnonymiser(SUBSTITUTION)
MAC, PEER = "52:54:00:12:34:56", "52:54:00:65:43:21"
ONE, TWO, ONE6, TWO6 = "192.168.10.250", "192.168.10.2", "fd00:10::fa", "fd00:10::2"
ETHER = Ether(src=MAC, dst=PEER)
SECRETS = [
    *(ip_address(text).packed for text in (ONE, TWO, ONE6, TWO6)),
    *(bytes.fromhex(mac.replace(":", "")) for mac in (MAC, PEER)),
    b"secret",
]


def other(text: str) -> str:
    return str(SUBSTITUTION.address(ip_address(text)))


def without_checksums(packet: Any) -> bytes:
    """The packet as scapy would have made it: checksums computed anew."""
    again = packet.copy()
    for layer in (IP, TCP, UDP, VRRP, VRRPv3):
        if layer in again:
            del again[layer].chksum
    return bytes(again)


def anonymous(packet: Any) -> bytes:
    made = ANONYMISER.frame(bytes(packet), 1)
    assert not any(secret in made for secret in SECRETS)
    return made


@pytest.mark.parametrize("network", [IP(src=ONE, dst=TWO), IPv6(src=ONE6, dst=TWO6)])
@pytest.mark.parametrize("transport", [TCP(sport=40001, dport=80, seq=7), UDP(sport=53, dport=53)])
@pytest.mark.parametrize("tag", [None, Dot1Q(vlan=7)])
def test_headers_have_other_addresses_and_right_checksums(
    network: Any, transport: Any, tag: Any
) -> None:
    packet = ETHER / tag / network / transport if tag else ETHER / network / transport
    found: Any = Ether(anonymous(packet))
    end = found[type(network)]
    assert (end.src, end.dst) == (other(network.src), other(network.dst))
    assert (found[2 if tag is None else 3].sport, found.src) != (0, MAC)
    assert without_checksums(found) == bytes(found)


def test_payload_is_cut_and_the_checksum_is_right_with_it() -> None:
    packet = ETHER / IP(src=ONE, dst=TWO) / TCP(options=[("MSS", 1460)]) / b"secret"
    made = anonymous(packet)
    assert len(made) == 14 + 20 + 24
    assert without_checksums(Ether(made + b"secret")) == made + b"secret"


def test_a_datagram_without_a_checksum_stays_without() -> None:
    made = Ether(anonymous(ETHER / IP(src=ONE, dst=TWO) / UDP(chksum=0)))
    assert made[UDP].chksum == 0


def test_arp_tells_other_neighbours() -> None:
    made = Ether(anonymous(ETHER / ARP(op=2, hwsrc=MAC, psrc=ONE, hwdst=PEER, pdst=TWO)))
    assert (made[ARP].psrc, made[ARP].pdst) == (other(ONE), other(TWO))
    assert made[ARP].hwsrc == made.src != MAC


@pytest.mark.parametrize("version", [VRRP, VRRPv3])
def test_vrrp_advertises_other_addresses_and_no_password(version: Any) -> None:
    password = {"auth1": 0x73656372, "auth2": 0x65740000} if version is VRRP else {}
    advert = version(vrid=51, priority=150, addrlist=[TWO, ONE], **password)
    packet = ETHER / IP(src=ONE, dst="224.0.0.18", proto=112, ttl=255) / advert
    found = Ether(anonymous(packet))
    assert found[IP].dst == "224.0.0.18"
    assert found[version].addrlist == [other(TWO), other(ONE)]
    assert found[version].priority == 150
    assert without_checksums(found) == bytes(found)


@pytest.mark.parametrize(
    ("packet", "kept"),
    [
        (ETHER / IP(src=ONE, dst=TWO) / ICMP(type=3) / IP(src=ONE, dst=TWO), 14 + 20 + 4),
        (ETHER / IPv6(src=ONE6, dst=TWO6) / ICMPv6ND_NS(tgt=TWO6), 14 + 40 + 4),
        (ETHER / IP(src=ONE, dst=TWO, proto=4) / IP(src=ONE, dst=TWO) / b"secret", 14 + 20),
        (ETHER / IP(src=ONE, dst=TWO, frag=9, proto=6) / b"secret", 14 + 20),
        (ETHER / IP(src=ONE, dst=TWO, options=[IPOption_RR(routers=[ONE])]) / TCP(), 14 + 28 + 20),
        (ETHER / IPv6(src=ONE6, dst=TWO6) / IPv6ExtHdrHopByHop() / TCP() / b"secret", 14 + 48 + 20),
        (ETHER / IPv6(src=ONE6, dst=TWO6) / IPv6ExtHdrFragment(offset=9) / b"secret", 14 + 48),
        (Ether(src=MAC, dst=PEER, type=0x88CC) / b"secret", 14),
    ],
    ids=["icmp", "ndp", "ipip", "fragment", "options", "extension", "fragment6", "lldp"],
)
def test_what_is_not_understood_is_cut_before_it(packet: Any, kept: int) -> None:
    assert len(anonymous(packet)) == kept


@given(st.binary(max_size=120), st.sampled_from([0, 1, 12, 101, 108, 113, 228, 229, 276, 9999]))
def test_no_frame_raises_and_none_grows(frame: bytes, kind: int) -> None:
    assert len(ANONYMISER.frame(frame, kind)) <= len(frame)


def pcap(*records: tuple[int, bytes], link: int = 1) -> bytes:
    head = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, link)
    return head + b"".join(
        struct.pack("<IIII", *divmod(at_ns, 10**9), len(frame), len(frame)) + frame
        for at_ns, frame in records
    )


def test_a_file_keeps_its_instants_and_its_kind_of_link() -> None:
    at_ns = 1_795_352_064_123_456_789
    frame = bytes(IP(src=ONE, dst=TWO) / TCP())
    made = b"".join(anonymous_capture(memoryview(pcap((at_ns, frame), link=101)), ANONYMISER))
    (frames,) = frame_chunks(memoryview(made))
    assert (frames.at_ns.tolist(), frames.link_type.tolist()) == ([at_ns], [101])
    assert ip_address(ONE).packed not in made


OUTER = "203.0.113.77"
SHIMMED = {
    # link type, frame, the copy's link type
    "PPPoE": (1, Ether(src=MAC, dst=PEER) / PPPoE(sessionid=0x5EC4) / PPP(), 1),
    "MPLS": (1, Ether(src=MAC, dst=PEER) / MPLS(label=0x5EC4, s=1), 1),
    "IPIP": (1, Ether(src=MAC, dst=PEER) / IP(src=OUTER, dst=OUTER), 1),
    "VXLAN": (
        1,
        Ether()
        / IP(src=OUTER, dst=OUTER)
        / UDP(sport=50000, dport=4789)
        / VXLAN(vni=0x5EC4, flags=8)
        / Ether(src=MAC, dst=PEER),
        1,
    ),
    "PPP": (9, PPP(), 101),
    "NFLOG": (239, Raw(b"\x02\0\0\0\x0c\0\x0a\0secret\0\0\x2c\0\x09\0"), 101),
}


@pytest.mark.parametrize("what", SHIMMED)
def test_what_stands_between_link_and_network_is_left_out(what: str) -> None:
    link, head, written_as = SHIMMED[what]
    frame = bytes(head / IP(src=ONE, dst=TWO) / TCP(sport=40000, dport=80, flags="S"))
    content = memoryview(pcap((7, frame), (8, frame), link=link))
    made = b"".join(anonymous_capture(content, ANONYMISER))
    (frames,) = frame_chunks(memoryview(made))
    assert frames.link_type.tolist() == [written_as] * 2
    original, copy = read_packets(content), read_packets(memoryview(made))
    assert [copy.addresses[at] for at in copy.source] == [other(ONE)] * 2
    assert [copy.addresses[at] for at in copy.destination] == [other(TWO)] * 2
    for column in ("at_ns", "source_port", "destination_port", "flags", "sequence"):
        assert getattr(copy, column).tolist() == getattr(original, column).tolist()
    for secret in (b"secret", b"\x5e\xc4", b"\x05\xec", ip_address(ONE).packed):
        assert secret not in made
    assert ip_address(OUTER).packed not in made


@pytest.mark.parametrize("link", [1, 101], ids=["Ethernet", "raw IP"])
@pytest.mark.parametrize("inner", [IP(src=ONE, dst=TWO), IPv6(src=ONE6, dst=TWO6)], ids=["4", "6"])
def test_a_packet_seen_bare_and_in_a_tunnel_counts_once_in_the_copy_too(
    link: int, inner: Any
) -> None:
    bare = inner / TCP(sport=40000, dport=80, flags="S")
    sent = [bare, IP(src=OUTER, dst=OUTER) / bare]
    frames = [bytes(ETHER / each if link == 1 else each) for each in sent]
    content = memoryview(pcap(*enumerate(frames), link=link))
    made = b"".join(anonymous_capture(content, ANONYMISER))
    original, copy = read_packets(content), read_packets(memoryview(made))
    assert original.at_ns.tolist() == copy.at_ns.tolist() == [0]
    assert original.skipped == copy.skipped
    assert copy.skipped["copies in a tunnel"] == 1
    outer = frames_of(made)[1][14 if link == 1 else 0 :]
    assert without_checksums(IP(outer)) == outer


def frames_of(content: bytes) -> list[bytes]:
    (frames,) = frame_chunks(memoryview(content))
    return files.frame_bytes(frames)


def pcapng(at_ns: int, *frames: tuple[int, bytes]) -> bytes:
    """An interface for each frame, which names itself in an option; nanoseconds."""
    made = struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
    for kind, _ in frames:
        option = struct.pack("<HH8sHHBxxxHH", 2, 6, b"secret", 9, 1, 9, 0, 0)
        size = 20 + len(option)
        made += struct.pack("<IIHHI", 1, size, kind, 0, 0) + option + struct.pack("<I", size)
    for number, (_, frame) in enumerate(frames):
        padded = frame + bytes(-len(frame) % 4)
        size = 32 + len(padded)
        header = (6, size, number, at_ns >> 32, at_ns & 0xFFFFFFFF, len(frame), len(frame))
        made += struct.pack("<7I", *header) + padded + struct.pack("<I", size)
    return made


@pytest.mark.parametrize("at_ns", [1_795_352_064_123_456_789, 9 * 10**18])
def test_links_of_many_kinds_and_far_instants_go_to_a_pcapng(at_ns: int) -> None:
    raw = bytes(IP(src=ONE, dst=TWO) / TCP())
    content = pcapng(at_ns, (1, bytes(ETHER) + raw), (101, raw))
    made = b"".join(anonymous_capture(memoryview(content), ANONYMISER))
    (frames,) = frame_chunks(memoryview(made))
    assert frames.at_ns.tolist() == [at_ns] * 2
    assert frames.link_type.tolist() == [1, 101]
    assert b"secret" not in made


def test_an_instant_before_1970_is_the_first_that_a_pcap_can_hold() -> None:
    content = files.pcapng([files.Interface(resolution=9, offset_s=-60), files.Block(0, b"x" * 60)])
    assert next(frame_chunks(memoryview(content))).at_ns.tolist() == [-60 * files.NS]
    made = b"".join(anonymous_capture(memoryview(content), ANONYMISER))
    assert next(frame_chunks(memoryview(made))).at_ns.tolist() == [0]


def test_an_empty_capture_is_an_empty_one() -> None:
    made = b"".join(anonymous_capture(memoryview(pcap()), ANONYMISER))
    assert [len(frames.at_ns) for frames in frame_chunks(memoryview(made))] == [0]
    with pytest.raises(ParseError):
        b"".join(anonymous_capture(memoryview(b"nonsense"), ANONYMISER))
