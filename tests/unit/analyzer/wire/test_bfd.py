"""BFD: what a control packet says, and when a session was up."""

from __future__ import annotations

import itertools
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP, IPOption_NOP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import CookedLinux, Dot1Q, Ether
from scapy.layers.vrrp import VRRP

from analyzer.wire.bfd import BfdPacket, bfd_packet, bfd_spans
from analyzer.wire.vrrp import Announcements, read_announcements
from tests.unit.analyzer.builders_packets import NS, pcap

ONE, OTHER, VIP = "192.168.10.11", "192.168.10.12", "192.168.10.2"
UP, DOWN = 3, 1


def control(state: int = UP, multiplier: int = 3, wanted_us: int = 100_000) -> bytes:
    """RFC 5880, section 4.1."""
    head = struct.pack(">BBBB", 1 << 5, state << 6, multiplier, 24)
    return head + struct.pack(">IIIII", 1, 2, wanted_us, wanted_us, 0)


def heard(*frames: tuple[float, bytes]) -> Announcements:
    return read_announcements(memoryview(pcap([(round(s * NS), frame) for s, frame in frames])))


def v4(content: bytes, port: int = 3784) -> bytes:
    return bytes(Ether() / IP(src=ONE, dst=OTHER) / UDP(sport=49152, dport=port) / content)


@pytest.mark.parametrize("port", [3784, 4784])
def test_a_session_that_falls_silent_is_noticed_after_its_detection_time(port: int) -> None:
    (span,) = heard(*((10 + n / 10, v4(control(), port)) for n in range(11))).bfd
    assert (span.sender, span.receiver, span.down_ns) == (ONE, OTHER, None)
    assert (span.from_ns, span.to_ns) == (10 * NS, 11 * NS)
    assert span.detect_s == pytest.approx(0.3)
    assert span.noticed_ns == pytest.approx(11.3 * NS)


def test_a_session_that_says_down_is_noticed_at_its_word() -> None:
    (span,) = heard((1, v4(control())), (1.1, v4(control())), (1.2, v4(control(DOWN)))).bfd
    assert (span.to_ns, span.down_ns, span.noticed_ns) == (1.1 * NS, 1.2 * NS, 1.2 * NS)


def test_a_session_over_ipv6_is_read_and_another_port_is_not_bfd() -> None:
    packet = Ether() / IPv6(src="fd00:10::11", dst="fd00:10::12") / UDP(dport=3784) / control()
    (span,) = heard((1, bytes(packet)), (2, v4(control(), 3785))).bfd
    assert span.sender == "fd00:10::11"


@given(
    st.one_of(st.tuples(*[st.ip_addresses(v=4)] * 2), st.tuples(*[st.ip_addresses(v=6)] * 2)),
    st.integers(1, 255),
    st.integers(0, 2**32 - 1),
    st.binary(max_size=9),
)
def test_what_a_frame_says_is_read_where_it_stands(
    ends: tuple[Any, Any], multiplier: int, wanted_us: int, padding: bytes
) -> None:
    source, target = map(str, ends)
    content = control(UP, multiplier, wanted_us)
    network: Any = IPv6 if ":" in source else IP
    link = Ether() / Dot1Q(vlan=7) if len(padding) % 2 else CookedLinux()
    options = {"options": [IPOption_NOP()] * 4} if network is IP else {}
    packet = link / network(src=source, dst=target, **options) / UDP(dport=3784) / content
    content = pcap([(5 * NS, bytes(packet) + padding)], link=1 if len(padding) % 2 else 113)
    (span,) = read_announcements(memoryview(content)).bfd
    assert (span.sender, span.receiver) == (source, target)
    assert (span.from_ns, span.to_ns) == (5 * NS, 5 * NS)
    assert span.detect_s == pytest.approx(multiplier * wanted_us / 1e6)


def test_bfd_leaves_no_vrrp_unread_and_has_a_bound_of_its_own() -> None:
    advert = bytes(Ether() / IP(src=ONE, dst="224.0.0.18", ttl=255) / VRRP(addrlist=[VIP]))
    sent = [(1 + n / 10, v4(control())) for n in range(20)] + [(3, advert)]
    content = memoryview(pcap([(round(s * NS), frame) for s, frame in sent]))
    found = read_announcements(content, most=1, most_bfd=5)
    assert [row.at_ns for row in found.advertisements] == [3 * NS]
    assert (found.left_out, found.bfd_left_out, found.malformed) == (0, 15, 0)
    (span,) = found.bfd
    assert (span.from_ns, span.to_ns) == (1 * NS, 1.4 * NS)


def test_a_bound_holds_over_files_and_chunks_together() -> None:
    first, second = (
        memoryview(pcap([(n * NS, v4(control())) for n in range(begin, begin + 4)]))
        for begin in (1, 11)
    )
    found = read_announcements(first, second, most_bfd=6, chunk_bytes=100)
    assert found.bfd_left_out == 2
    assert [span.to_ns // NS for span in found.bfd] == [1, 2, 3, 4, 11, 12]


@pytest.mark.parametrize("cut", [1, 24, 25])
def test_a_control_packet_that_was_cut_is_malformed(cut: int) -> None:
    found = heard((1, v4(control())[:-cut]))
    assert (found.bfd, found.malformed) == ((), 1 if cut <= 24 else 0)


@pytest.mark.parametrize("content", [b"", control()[:23], b"\x00" + control()[1:], control(UP, 0)])
def test_what_is_no_control_packet_is_none(content: bytes) -> None:
    assert bfd_packet(0, ONE, OTHER, content) is None


@given(st.binary(max_size=40))
def test_no_payload_crashes_it(content: bytes) -> None:
    packet = bfd_packet(0, ONE, OTHER, content)
    assert packet is None or packet.detect_s >= 0


@given(
    st.lists(
        st.builds(
            BfdPacket,
            at_ns=st.integers(0, 100 * NS),
            sender=st.sampled_from([ONE, OTHER]),
            receiver=st.just("192.168.10.13"),
            is_up=st.booleans(),
            detect_s=st.floats(0, 10),
        )
    )
)
def test_spans_of_a_session_follow_one_another(packets: list[BfdPacket]) -> None:
    spans = bfd_spans(sorted(packets, key=lambda packet: packet.at_ns))
    assert sum(packet.is_up for packet in packets) >= len(spans)
    for sender in (ONE, OTHER):
        own = [span for span in spans if span.sender == sender]
        assert all(span.from_ns <= span.to_ns <= span.noticed_ns for span in own)
        assert all(a.to_ns <= b.from_ns for a, b in itertools.pairwise(own))
