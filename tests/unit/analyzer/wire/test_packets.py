"""Frames of every kind of link to segments and datagrams, byte by byte."""

from __future__ import annotations

import struct
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.errors import ParseError
from analyzer.parts import InMemory
from analyzer.wire.packets import (
    NO_MAC,
    TCP,
    UDP,
    PacketTable,
    mac_number,
    read_packets,
)
from tests.unit.analyzer.builders_packets import (
    ACK,
    CLIENT,
    CLIENT6,
    CLIENT_MAC,
    DIRECTOR,
    DIRECTOR_MAC,
    FIN,
    IPV6,
    MAGIC_BYTES,
    NS,
    PORT,
    PSH,
    RST,
    SERVER_MAC,
    SYN,
    VIP,
    VIP6,
    arp,
    ethernet,
    ipv4,
    ipv6,
    mac_bytes,
    pcap,
    reply,
    request,
    tcp,
    udp,
    vrrp,
)
from tests.unit.properties import examples

AT_NS = 1_795_352_064 * NS + 123_456_789


def read(content: bytes) -> PacketTable:
    return read_packets(memoryview(content))


def values(found: PacketTable, name: str) -> list[int]:
    numbers: list[int] = getattr(found, name).tolist()
    return numbers


def frames(*sent: bytes) -> bytes:
    """A capture with a millisecond between frames."""
    return pcap((AT_NS + index * 1_000_000, frame) for index, frame in enumerate(sent))


def ends(found: PacketTable) -> list[tuple[str, int, str, int]]:
    """Source and destination of each packet."""
    return [
        (found.addresses[source], source_port, found.addresses[destination], destination_port)
        for source, source_port, destination, destination_port in zip(
            found.source,
            found.source_port,
            found.destination,
            found.destination_port,
            strict=True,
        )
    ]


def skipped(found: PacketTable) -> dict[str, int]:
    return {name: n for name, n in found.skipped.items() if n}


def test_every_field_of_a_segment_is_in_its_column() -> None:
    found = read(frames(request(FIN | ACK, port=40001, sequence=0xFFFFFFFE), reply(PSH | ACK)))
    assert ends(found) == [(CLIENT, 40001, VIP, PORT), (VIP, PORT, CLIENT, 40000)]
    assert found.protocol.tolist() == [TCP, TCP]
    assert found.flags.tolist() == [FIN | ACK, PSH | ACK]
    assert found.sequence.tolist() == [0xFFFFFFFE, 9]
    assert found.source_mac.tolist() == [CLIENT_MAC, SERVER_MAC]
    assert found.destination_mac.tolist() == [DIRECTOR_MAC, CLIENT_MAC]


def test_numbers_and_lengths_of_tcp_are_by_the_headers_however_little_was_captured() -> None:
    """Options, padding and a short snap length change no length; a datagram has none."""
    segment = tcp(ACK, sequence=5, acknowledgement=0xFFFFFFFF, window=501, payload=bytes(1000))
    padded = ethernet(ipv4(tcp(FIN | ACK))) + bytes(6)
    sent = (
        ethernet(ipv4(segment, options=bytes(8))),
        ethernet(ipv6(segment), ethertype=IPV6),
        padded,
        ethernet(ipv4(udp(payload=bytes(9)), protocol=17)),
    )
    found = read(pcap(((AT_NS + at, frame) for at, frame in enumerate(sent)), snap=80))
    assert values(found, "payload_bytes") == [1000, 1000, 0, 0]
    assert values(found, "acknowledgement") == [0xFFFFFFFF, 0xFFFFFFFF, 0, 0]
    assert values(found, "window") == [501, 501, 8192, 0]


def test_a_file_with_its_header_alone_is_empty() -> None:
    found = read(frames())
    assert len(found.at_ns) == 0
    assert set(found.skipped.values()) == {0}


@pytest.mark.parametrize("vlan", [None, 0, 41, 0xFFFF])
def test_a_vlan_tag_is_stepped_over(vlan: int | None) -> None:
    frame = ethernet(ipv4(tcp(SYN, source_port=40002)), vlan=vlan)
    found = read(frames(frame))
    assert found.source_port.tolist() == [40002]
    assert found.destination_mac.tolist() == [DIRECTOR_MAC]


def test_ip_options_are_stepped_over() -> None:
    frame = ethernet(ipv4(tcp(SYN, source_port=40003), options=bytes(8)))
    assert read(frames(frame)).source_port.tolist() == [40003]


OTHERS = [
    ("not IP", arp(CLIENT_MAC, CLIENT)),
    ("not IP", b"\x00" * 13),  # a frame shorter than its header
    ("header not read", ethernet(ipv4(tcp(SYN)), ethertype=0x0801)),
    ("neither TCP nor UDP", ethernet(ipv4(bytes(8), protocol=1))),
    ("neither TCP nor UDP", vrrp(DIRECTOR_MAC, DIRECTOR)),
    ("not IP", ethernet(bytes([0x11, 9]) + bytes(4), ethertype=0x8864)),  # PPPoE's discovery
    (
        "not IP",
        ethernet(bytes([0x11, 0]) + bytes(4) + b"\xc0\x21" + bytes(8), ethertype=0x8864),
    ),  # its LCP
    ("not IP", ethernet(bytes(3) + b"\x01" * 9, ethertype=0x8847)),  # MPLS over no IP
    ("in a tunnel", ethernet(ipv4(b"\0\0\x88\x0b\x00\x21" + ipv4(tcp(SYN)), protocol=47))),  # PPP
    ("neither TCP nor UDP", ethernet(ipv6(bytes(8), next_header=58), ethertype=IPV6)),
    ("fragments", ethernet(ipv4(bytes(24), fragment_offset=185))),
    ("malformed", ethernet(b"\x44" + ipv4(tcp(SYN))[1:])),  # a header of 16 bytes
    ("malformed", ethernet(b"\x65" + ipv4(tcp(SYN))[1:])),  # a sixth version in a fourth's frame
    ("malformed", ethernet(ipv4(tcp(SYN)) + bytes(20), ethertype=IPV6)),
    ("truncated", ethernet(b"\x45" + bytes(10))),  # within its IP header
    ("truncated", ethernet(bytes(39), ethertype=IPV6)),
    ("truncated", ethernet(ipv4(tcp(SYN)[:12]))),
    ("truncated", ethernet(ipv4(udp()[:7], protocol=UDP))),
    ("truncated", ethernet(ipv6(tcp(SYN)[:19]), ethertype=IPV6)),
]


@pytest.mark.parametrize(("kind", "frame"), OTHERS)
def test_what_is_no_segment_is_counted_not_dropped_in_silence(kind: str, frame: bytes) -> None:
    found = read(frames(request(SYN), frame, request(ACK)))
    assert found.flags.tolist() == [SYN, ACK]
    assert skipped(found) == {kind: 1}


def test_the_first_fragment_carries_the_tcp_header() -> None:
    more_fragments = 0x2000
    frame = ethernet(ipv4(tcp(SYN), fragment_offset=more_fragments))
    assert read(frames(frame)).flags.tolist() == [SYN]


def test_a_payload_beyond_the_snap_length_costs_nothing() -> None:
    found = read(frames(request(PSH | ACK, payload=bytes(1000)), request(FIN | ACK)))
    assert found.flags.tolist() == [PSH | ACK, FIN | ACK]


def test_who_is_who_is_learnt_from_arp_and_vrrp() -> None:
    found = read(frames(arp(SERVER_MAC, "192.168.10.21"), vrrp(DIRECTOR_MAC, DIRECTOR)))
    assert found.neighbours == {SERVER_MAC: "192.168.10.21", DIRECTOR_MAC: DIRECTOR}


def test_arp_names_the_sender_of_its_body() -> None:
    frame = arp(SERVER_MAC, "192.168.10.21", ethernet_source=DIRECTOR_MAC)
    assert read(frames(frame)).neighbours == {SERVER_MAC: "192.168.10.21"}


def test_an_arp_probe_names_nobody() -> None:
    assert read(frames(arp(SERVER_MAC, "0.0.0.0"))).neighbours == {}


def read_or_refuse(content: bytes) -> None:
    try:
        found = read(content)
    except ParseError:
        return
    sizes = {len(found.source), len(found.flags), len(found.sequence), len(found.source_mac)}
    assert sizes == {len(found.at_ns)}
    assert np.all((found.source_port >= 0) & (found.source_port < 1 << 16))


@given(st.binary(max_size=300))
def test_no_bytes_crash_it(content: bytes) -> None:
    read_or_refuse(content)


@given(st.lists(st.binary(max_size=80), max_size=5), st.sampled_from(list(MAGIC_BYTES)))
def test_no_frames_crash_it(sent: list[bytes], kind: str) -> None:
    read_or_refuse(pcap([(AT_NS, frame) for frame in sent], kind))


@given(st.data())
@examples(200)
def test_no_damage_to_a_capture_crashes_it(data: st.DataObject) -> None:
    content = bytearray(
        frames(
            request(SYN), reply(SYN | ACK), arp(SERVER_MAC, CLIENT), vrrp(DIRECTOR_MAC, DIRECTOR)
        )
    )
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    read_or_refuse(bytes(content[: data.draw(st.integers(0, len(content)))]))


def test_a_mac_as_text_to_a_number() -> None:
    assert mac_number("02:00:00:00:00:fa") == 0x0200000000FA


def test_a_reading_begins_with_nothing_read_and_ends_with_every_packet() -> None:
    said: list[tuple[int, float]] = []

    @dataclass(frozen=True, slots=True)
    class Watched(InMemory):
        def reading(self, packets: int, share: float) -> None:
            said.append((packets, share))

    read_packets(memoryview(frames(request(SYN), reply(SYN | ACK))), store=Watched())
    assert said[0] == (0, 0.0)
    assert said[-1][0] == 2


def test_several_files_are_one_table() -> None:
    """Each with its own byte order and link; the addresses are numbered alike."""
    one = frames(request(SYN), arp(SERVER_MAC, "192.168.10.21"))
    raw = pcap([(AT_NS + 1, ipv6(tcp(ACK)))], "microseconds, big-endian", link=101)
    cut = frames(reply(SYN | ACK), request(FIN))[:-1]
    found = read_packets(*(memoryview(each) for each in (one, raw, cut)))
    assert ends(found) == [
        (CLIENT, 40000, VIP, PORT),
        (CLIENT6, 40000, VIP6, PORT),
        (VIP, PORT, CLIENT, 40000),
    ]
    assert found.neighbours == {SERVER_MAC: "192.168.10.21"}
    assert skipped(found) == {"not IP": 1}
    assert found.unread == 16 + len(request(FIN)) - 1


MIXED = (
    request(SYN),
    reply(SYN | ACK),
    ethernet(ipv6(tcp(ACK)), ethertype=IPV6),
    ethernet(ipv4(udp(), protocol=UDP, source="10.0.0.1")),
    ethernet(ipv4(bytes(24), fragment_offset=185)),
    arp(SERVER_MAC, CLIENT),
    vrrp(DIRECTOR_MAC, DIRECTOR),
    b"short",
)


@given(st.lists(st.sampled_from(MIXED), max_size=30), st.integers(1, 3000))
def test_chunks_of_any_size_give_the_same_table(sent: list[bytes], chunk_bytes: int) -> None:
    content = memoryview(frames(*sent))
    whole, pieces = read_packets(content), read_packets(content, chunk_bytes=chunk_bytes)
    assert same(whole, pieces)


VLAN = bytes.fromhex("81000029")


@given(st.data())
def test_a_frame_is_read_the_same_at_once_and_layer_by_layer(data: st.DataObject) -> None:
    """A VLAN's tag takes it from the one to the other; so may a byte of its headers."""
    plain, tagged = [], []
    for _ in range(data.draw(st.integers(0, 6))):
        options = data.draw(st.sampled_from((b"", bytes.fromhex("01030307"), bytes(8))))
        segment = bytearray(tcp(data.draw(st.integers(0, 255)), sequence=3_000_000_000) + options)
        segment[12] = data.draw(st.sampled_from((0, 0x50, 0x60, 0x70, 0xF0)))
        frame = bytearray(ethernet(ipv4(bytes(segment), ttl=data.draw(st.integers(0, 255)))))
        if data.draw(st.booleans()):
            frame[data.draw(st.integers(14, 53))] = data.draw(st.integers(0, 255))
        del frame[data.draw(st.integers(14, len(frame))) :]
        plain.append(bytes(frame))
        tagged.append(bytes(frame[:12] + VLAN + frame[12:]))
    assert same(read(frames(*plain)), read(frames(*tagged)))


@given(st.lists(st.sampled_from(MIXED), max_size=10))
def test_what_is_not_asked_for_is_not_there_and_the_rest_as_ever(sent: list[bytes]) -> None:
    content = memoryview(frames(*sent))
    found, less = read_packets(content), read_packets(content, tcp=False)
    names = ("acknowledgement", "payload_bytes", "window", "window_scale")
    assert [getattr(less, name) for name in names] == [None] * len(names)
    shared = {column.name for column in fields(found)} - set(names)
    assert all(alike(getattr(found, name), getattr(less, name)) for name in shared)


def same(one: PacketTable, other: PacketTable) -> bool:
    names = (column.name for column in fields(one))
    return all(alike(getattr(one, name), getattr(other, name)) for name in names)


def alike(one: Any, other: Any) -> bool:
    return bool(np.array_equal(one, other) if isinstance(one, np.ndarray) else one == other)


# UDP ----------------------------------------------------------------------------------------------


def test_a_datagram_has_ports_and_no_flags() -> None:
    """What stands where TCP has its flags and number is its payload's, and means nothing."""
    found = read(frames(ethernet(ipv4(udp(payload=b"\xff" * 20), protocol=UDP))))
    assert found.protocol.tolist() == [UDP]
    assert ends(found) == [(CLIENT, 40000, VIP, 53)]
    assert (found.flags.tolist(), found.sequence.tolist()) == ([0], [0])


def test_a_datagram_without_payload_ends_the_capture() -> None:
    assert read(frames(ethernet(ipv4(udp(), protocol=UDP)))).source_port.tolist() == [40000]


# IPv6 ---------------------------------------------------------------------------------------------

EXTENSIONS = {
    "hop-by-hop": [(0, 8)],
    "routing": [(43, 24)],
    "destination options": [(60, 16)],
    "hop-by-hop, then routing": [(0, 8), (43, 24)],
    "mobility": [(135, 8)],
    "four of them": [(0, 8), (60, 8), (43, 24), (60, 8)],
    "eight of them": [(60, 8)] * 8,
}


def extended(chain: list[tuple[int, int]], payload: bytes, last: int = TCP) -> bytes:
    """An IPv6 packet with extension headers of (number, bytes)."""
    kinds = [kind for kind, _ in chain] + [last]
    headers = b"".join(
        bytes([after, size // 8 - 1]) + bytes(size - 2)
        for (_, size), after in zip(chain, kinds[1:], strict=True)
    )
    return ipv6(headers + payload, next_header=kinds[0])


def fragment(offset: int, payload: bytes) -> bytes:
    header = struct.pack(">BBHI", TCP, 0, offset << 3 | 1, 7)
    return ipv6(header + payload, next_header=44)


def test_ipv6_has_the_same_fields() -> None:
    found = read(frames(ethernet(ipv6(tcp(SYN, sequence=7)), ethertype=IPV6)))
    assert ends(found) == [(CLIENT6, 40000, VIP6, PORT)]
    assert (found.flags.tolist(), found.sequence.tolist()) == ([SYN], [7])
    datagram = read(frames(ethernet(ipv6(udp(), next_header=UDP), ethertype=IPV6)))
    assert ends(datagram) == [(CLIENT6, 40000, VIP6, 53)]


@pytest.mark.parametrize("chain", EXTENSIONS.values(), ids=EXTENSIONS)
def test_extension_headers_are_stepped_over(chain: list[tuple[int, int]]) -> None:
    found = read(frames(ethernet(extended(chain, tcp(FIN | ACK)), ethertype=IPV6)))
    assert found.flags.tolist() == [FIN | ACK]
    assert skipped(found) == {}


def test_an_extension_header_that_is_cut_off_is_truncated() -> None:
    packet = extended([(0, 8)], b"")[:-3]
    assert skipped(read(frames(ethernet(packet, ethertype=IPV6)))) == {"truncated": 1}


def test_the_first_fragment_of_ipv6_carries_the_header_and_later_ones_none() -> None:
    first = ethernet(fragment(0, tcp(SYN)), ethertype=IPV6)
    later = ethernet(fragment(181, tcp(RST)), ethertype=IPV6)
    found = read(frames(first, later))
    assert found.flags.tolist() == [SYN]
    assert skipped(found) == {"fragments": 1}


def test_both_families_share_one_list_of_addresses() -> None:
    found = read(frames(request(SYN), ethernet(ipv6(tcp(ACK)), ethertype=IPV6), reply(SYN | ACK)))
    assert ends(found) == [
        (CLIENT, 40000, VIP, PORT),
        (CLIENT6, 40000, VIP6, PORT),
        (VIP, PORT, CLIENT, 40000),
    ]
    assert sorted(found.addresses) == sorted({CLIENT, VIP, CLIENT6, VIP6})


# Links --------------------------------------------------------------------------------------------

MAC = 0x020000000077


def cooked(payload: bytes, ethertype: int = 0x0800) -> bytes:
    """Linux cooked capture v1: what ``tcpdump -i any`` wrote until 2021."""
    return struct.pack(">HHH", 0, 1, 6) + mac_bytes(MAC) + bytes(2) + two(ethertype) + payload


def cooked2(payload: bytes, ethertype: int = 0x0800) -> bytes:
    """Version 2: what it writes today."""
    head = two(ethertype) + bytes(2) + struct.pack(">IHBB", 3, 1, 0, 6) + mac_bytes(MAC) + bytes(2)
    return head + payload


def two(number: int) -> bytes:
    return number.to_bytes(2, "big")


def attribute(kind: int, value: bytes) -> bytes:
    """One of NFLOG's, on a little-endian machine."""
    return struct.pack("<HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def nflog(payload: bytes, family: int = 2) -> bytes:
    """linux/netfilter/nfnetlink_log.h: a header, its own prefix, and the packet."""
    return bytes([family, 0, 0, 1]) + attribute(10, b"drop: \0") + attribute(9, payload)


def label(number: int, *, last: bool) -> bytes:
    """MPLS: 20 bits of label, 3 of traffic class, the bottom of the stack, TTL."""
    return (number << 12 | last << 8 | 64).to_bytes(4, "big")


PLAIN, PLAIN6 = ipv4(tcp(SYN)), ipv6(tcp(SYN))
TAG = struct.pack(">H", 7)
PPPOE = bytes([0x11, 0]) + struct.pack(">HH", 7, 42)
TAGS = (TAG + two(0x8100)) * 3 + TAG + two(0x0800)
IN_A_VLAN = TAG + two(0x8864) + PPPOE + b"\x21"  # PPP's protocol in one byte
LABELS = label(16, last=False) + label(17, last=True)
LINKS = [
    # link type, frame, the sender's MAC, what it is
    (1, ethernet(PLAIN), CLIENT_MAC, "Ethernet"),
    (1, ethernet(PLAIN6, ethertype=IPV6), CLIENT_MAC, "Ethernet, IPv6"),
    (1, ethernet(TAG + two(0x0800) + PLAIN, ethertype=0x8100), CLIENT_MAC, "VLAN"),
    (
        1,
        ethernet(TAG + two(0x8100) + TAG + two(0x0800) + PLAIN, ethertype=0x88A8),
        CLIENT_MAC,
        "VLAN in VLAN",
    ),
    (
        1,
        ethernet(TAG + two(0x8100) + TAG + two(IPV6) + PLAIN6, ethertype=0x8100),
        CLIENT_MAC,
        "VLAN in VLAN, IPv6",
    ),
    (113, cooked(PLAIN), MAC, "cooked"),
    (113, cooked(PLAIN6, IPV6), MAC, "cooked, IPv6"),
    (113, cooked(TAG + two(0x0800) + PLAIN, 0x8100), MAC, "cooked, VLAN"),
    (276, cooked2(PLAIN), MAC, "cooked v2"),
    (276, cooked2(PLAIN6, IPV6), MAC, "cooked v2, IPv6"),
    (101, PLAIN, NO_MAC, "raw IP"),
    (101, PLAIN6, NO_MAC, "raw IP, IPv6"),
    (12, PLAIN, NO_MAC, "raw IP, as some BSDs number it"),
    (228, PLAIN, NO_MAC, "raw IPv4"),
    (229, PLAIN6, NO_MAC, "raw IPv6"),
    (0, b"\x02\0\0\0" + PLAIN, NO_MAC, "null, little-endian"),
    (0, b"\0\0\0\x02" + PLAIN, NO_MAC, "null, big-endian"),
    (0, b"\x1e\0\0\0" + PLAIN6, NO_MAC, "null, IPv6 of macOS"),
    (108, b"\0\0\0\x02" + PLAIN, NO_MAC, "OpenBSD loopback"),
    (1, ethernet(TAGS + PLAIN, ethertype=0x88A8), CLIENT_MAC, "four VLAN tags"),
    (1, ethernet(PPPOE + two(0x0021) + PLAIN, ethertype=0x8864), CLIENT_MAC, "PPPoE"),
    (1, ethernet(PPPOE + two(0x0057) + PLAIN6, ethertype=0x8864), CLIENT_MAC, "PPPoE, IPv6"),
    (1, ethernet(IN_A_VLAN + PLAIN, ethertype=0x8100), CLIENT_MAC, "PPPoE in a VLAN"),
    (1, ethernet(LABELS + PLAIN, ethertype=0x8847), CLIENT_MAC, "MPLS"),
    (1, ethernet(label(2, last=True) + PLAIN6, ethertype=0x8848), CLIENT_MAC, "MPLS, IPv6"),
    (9, two(0x0021) + PLAIN, NO_MAC, "PPP"),
    (9, two(0xFF03) + two(0x0057) + PLAIN6, NO_MAC, "PPP in HDLC framing, IPv6"),
    (50, two(0xFF03) + two(0x0281) + LABELS + PLAIN, NO_MAC, "PPP in HDLC framing, MPLS"),
    (51, PPPOE + two(0x0021) + PLAIN, NO_MAC, "PPPoE without Ethernet"),
    (104, two(0x0F00) + two(0x0800) + PLAIN, NO_MAC, "Cisco HDLC"),
    (239, nflog(PLAIN), NO_MAC, "NFLOG"),
    (239, nflog(PLAIN6, 10), NO_MAC, "NFLOG, IPv6"),
    (242, two(0x0800) + bytes(2) + PLAIN, NO_MAC, "IP over InfiniBand"),
]


@pytest.mark.parametrize(("link", "frame", "mac", "what"), LINKS, ids=[row[3] for row in LINKS])
def test_every_link_that_is_read_gives_its_segments(
    link: int, frame: bytes, mac: int, what: str
) -> None:
    found = read(pcap([(AT_NS, frame)], link=link))
    assert ends(found) in ([(CLIENT, 40000, VIP, PORT)], [(CLIENT6, 40000, VIP6, PORT)]), what
    assert found.flags.tolist() == [SYN]
    assert found.source_mac.tolist() == [mac]
    assert skipped(found) == {}


@pytest.mark.parametrize(("link", "frame", "mac", "what"), LINKS, ids=[row[3] for row in LINKS])
def test_every_link_cut_off_anywhere_is_counted(
    link: int, frame: bytes, mac: int, what: str
) -> None:
    """Never read beyond what was captured: the next frame's bytes would be taken for this one's."""
    for kept in range(len(frame)):
        content = pcap([(AT_NS, frame[:kept]), (AT_NS + 1, frame)], link=link)
        found = read(content)
        assert (len(found.at_ns), sum(found.skipped.values())) == (1, 1), (what, mac, kept)


def test_a_link_of_no_known_type_is_counted() -> None:
    found = read(pcap([(AT_NS, PLAIN)], link=105))
    assert (len(found.at_ns), skipped(found)) == (0, {"link type not read": 1})


@given(
    st.lists(st.binary(max_size=80), max_size=5),
    st.sampled_from([0, 1, 9, 12, 50, 51, 101, 104, 105, 108, 113, 228, 229, 239, 242, 276]),
)
def test_no_frames_of_any_link_crash_it(sent: list[bytes], link: int) -> None:
    found = read(pcap([(AT_NS, frame) for frame in sent], link=link))
    assert len(found.at_ns) + sum(found.skipped.values()) == len(sent)


@given(st.lists(st.tuples(st.sampled_from(LINKS), st.data()), min_size=1, max_size=4))
def test_no_damage_to_a_frame_loses_count_of_it(
    chosen: list[tuple[tuple[int, bytes, int, str], st.DataObject]],
) -> None:
    for (link, frame, _, _), data in chosen:
        spoilt = bytearray(frame)
        for _ in range(data.draw(st.integers(1, 4))):
            spoilt[data.draw(st.integers(0, len(spoilt) - 1))] = data.draw(st.integers(0, 255))
        found = read(pcap([(AT_NS, bytes(spoilt))], link=link))
        assert len(found.at_ns) + sum(found.skipped.values()) == 1
