"""pcap files, byte by byte."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.errors import ParseError
from analyzer.wire.pcap import PacketTable, address_number, mac_number, read_pcap
from tests.unit.analyzer.build import (
    ACK,
    CLIENT,
    CLIENT_MAC,
    DIRECTOR,
    DIRECTOR_MAC,
    FIN,
    MAGIC_BYTES,
    NS,
    PORT,
    PSH,
    SERVER_MAC,
    SYN,
    VIP,
    arp,
    ethernet,
    ipv4,
    pcap,
    reply,
    request,
    tcp,
    vrrp,
)

AT_NS = 1_795_352_064 * NS + 123_456_789


def read(content: bytes) -> PacketTable:
    return read_pcap(memoryview(content))


def frames(*sent: bytes) -> bytes:
    """A capture with a millisecond between frames."""
    return pcap((AT_NS + index * 1_000_000, frame) for index, frame in enumerate(sent))


@pytest.mark.parametrize("kind", MAGIC_BYTES)
def test_both_byte_orders_and_both_resolutions_are_read(kind: str) -> None:
    found = read(pcap([(AT_NS, request(SYN, sequence=77)), (AT_NS + 5000, reply(SYN | ACK))], kind))
    exact = kind.startswith("nano")
    assert found.at_ns.tolist() == [
        AT_NS if exact else AT_NS // 1000 * 1000,
        AT_NS + 5000 if exact else AT_NS // 1000 * 1000 + 5000,
    ]
    assert found.flags.tolist() == [SYN, SYN | ACK]
    assert found.sequence.tolist() == [77, 9]


def test_every_field_of_a_segment_is_in_its_column() -> None:
    found = read(frames(request(FIN | ACK, port=40001, sequence=0xFFFFFFFE), reply(PSH | ACK)))
    assert found.source.tolist() == [address_number(CLIENT), address_number(VIP)]
    assert found.destination.tolist() == [address_number(VIP), address_number(CLIENT)]
    assert found.source_port.tolist() == [40001, PORT]
    assert found.destination_port.tolist() == [PORT, 40000]
    assert found.flags.tolist() == [FIN | ACK, PSH | ACK]
    assert found.sequence.tolist() == [0xFFFFFFFE, 9]
    assert found.source_mac.tolist() == [CLIENT_MAC, SERVER_MAC]
    assert found.destination_mac.tolist() == [DIRECTOR_MAC, CLIENT_MAC]


@pytest.mark.parametrize("cut", [1, 20, 69, 70])
def test_a_file_cut_off_mid_packet_gives_the_packets_before(cut: int) -> None:
    whole = frames(request(SYN), request(ACK))
    assert read(whole[:-cut]).flags.tolist() == [SYN]


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
    ("not IPv4", arp(CLIENT_MAC, CLIENT)),
    ("not IPv4", ethernet(bytes(40), ethertype=0x86DD)),
    ("not IPv4", b"\x00" * 13),  # a frame shorter than its header
    ("not IPv4", ethernet(b"\x45" + bytes(10))),  # captured too short for its IP header
    ("not TCP", ethernet(ipv4(bytes(8), protocol=17))),
    ("not TCP", vrrp(DIRECTOR_MAC, DIRECTOR)),
    ("fragments", ethernet(ipv4(bytes(24), fragment_offset=185))),
    ("truncated", ethernet(ipv4(tcp(SYN)[:12]))),
]


@pytest.mark.parametrize(("kind", "frame"), OTHERS)
def test_what_is_no_tcp_segment_is_counted_not_dropped_in_silence(kind: str, frame: bytes) -> None:
    found = read(frames(request(SYN), frame, request(ACK)))
    assert found.flags.tolist() == [SYN, ACK]
    assert {name: n for name, n in found.skipped.items() if n} == {kind: 1}


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


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "nothing"),
        (b"\xa1\xb2\xc3", "too short"),
        (b"\x0a\x0d\x0d\x0a" + bytes(60), "pcapng"),
        (b"GIF89a" + bytes(60), "something else"),
        (pcap([], link=113), "Linux cooked capture"),
    ],
)
def test_what_is_no_ethernet_pcap_is_refused(content: bytes, why: str) -> None:
    assert why
    with pytest.raises(ParseError, match=r"^capture: "):
        read(content)


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
@settings(max_examples=200)
def test_no_damage_to_a_capture_crashes_it(data: st.DataObject) -> None:
    content = bytearray(
        frames(
            request(SYN), reply(SYN | ACK), arp(SERVER_MAC, CLIENT), vrrp(DIRECTOR_MAC, DIRECTOR)
        )
    )
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    read_or_refuse(bytes(content[: data.draw(st.integers(0, len(content)))]))


def test_a_record_that_claims_more_than_there_is_ends_the_file() -> None:
    content = frames(request(SYN)) + struct.pack("<IIII", 1, 1, 0xFFFFFFFF, 60) + bytes(60)
    assert read(content).flags.tolist() == [SYN]


def test_names_of_ends_to_numbers() -> None:
    assert address_number("192.168.10.2") == 0xC0A80A02
    assert mac_number("02:00:00:00:00:fa") == 0x0200000000FA
