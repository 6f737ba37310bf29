"""VRRP, ARP and neighbour advertisements: who says what, and when; and never a crash."""

from __future__ import annotations

import struct
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptDstLLAddr, IPv6
from scapy.layers.l2 import ARP, CookedLinux, Dot1Q, Ether
from scapy.layers.vrrp import VRRP, VRRPv3

from analyzer.recording.directory import CAPTURE
from analyzer.wire.vrrp import (
    GIVES_UP,
    Announcements,
    master_down_interval_s,
    read_announcements,
    skew_s,
)
from tests.unit.analyzer.builders_packets import NS, SYN, arp, pcap, request
from tests.unit.properties import examples

AT_NS = 1_795_352_064 * NS
VIP, MASTER, CLIENT = "192.168.10.2", "192.168.10.11", "192.168.10.250"
VIP6, MASTER6 = "fd00:10::2", "fe80::11"
MAC = "02:00:00:00:00:11"
MAC_NUMBER = 0x020000000011
DATA = Path(__file__).parents[3] / "data"


def heard(*frames: bytes, link: int = 1) -> Announcements:
    sent = [(AT_NS + n * NS, frame) for n, frame in enumerate(frames)]
    return read_announcements(memoryview(pcap(sent, link=link)))


def v2(**fields: Any) -> VRRP:
    return VRRP(vrid=41, priority=9, adv=1, addrlist=[VIP], **fields)


V3_OF_IPV6 = VRRPv3(vrid=7, priority=240, adv=100, addrlist=[VIP6])


def over_ip(advert: object, ttl: int = 255) -> IP:
    return IP(src=MASTER, dst="224.0.0.18", ttl=ttl) / advert


def ethernet(packet: object) -> bytes:
    return bytes(Ether(src=MAC, dst="01:00:5e:00:00:12") / packet)


# VRRP ---------------------------------------------------------------------------------------------


def test_every_field_of_version_2_is_in_its_row() -> None:
    (row,) = heard(ethernet(over_ip(v2()))).advertisements
    assert (row.at_ns, row.sender, row.sender_mac) == (AT_NS, MASTER, MAC_NUMBER)
    assert (row.version, row.vrid, row.priority, row.interval_s) == (2, 41, 9, 1.0)
    assert (row.addresses, row.checksum_ok, row.ttl) == ((VIP,), True, 255)


def test_version_3_counts_its_interval_in_hundredths_of_a_second() -> None:
    advert = VRRPv3(vrid=7, priority=240, adv=25, addrlist=[VIP, "192.168.10.3"])
    (row,) = heard(ethernet(over_ip(advert))).advertisements
    assert (row.version, row.vrid, row.priority, row.interval_s) == (3, 7, 240, 0.25)
    assert (row.addresses, row.checksum_ok) == ((VIP, "192.168.10.3"), True)


def test_version_3_over_ipv6_is_read() -> None:
    advert = VRRPv3(vrid=7, priority=240, adv=100, addrlist=[VIP6])
    packet = IPv6(src=MASTER6, dst="ff02::12", hlim=255) / advert
    (row,) = heard(ethernet(packet)).advertisements
    assert (row.sender, row.addresses, row.checksum_ok) == (MASTER6, (VIP6,), True)
    assert (row.version, row.interval_s, row.ttl) == (3, 1.0, 255)


@pytest.mark.parametrize(
    ("packet", "receiver"),
    [
        (IP(src=MASTER, dst="192.168.10.12", ttl=64) / v2(), "192.168.10.12"),
        (IPv6(src="fd00:10::11", dst="fd00:10::12", hlim=64) / V3_OF_IPV6, "fd00:10::12"),
    ],
)
def test_unicast_from_several_hops_away_is_sound(packet: object, receiver: str) -> None:
    (row,) = heard(ethernet(packet)).advertisements
    assert (row.unicast, row.receiver, row.ttl, row.is_sound) == (True, receiver, 64, True)
    assert row.is_ipv6 == (":" in receiver)


@given(
    st.sampled_from([2, 3, 6]),
    st.integers(1, 255),
    st.integers(0, 255),
    st.integers(1, 4095),
    st.booleans(),
)
def test_what_is_advertised_is_read(
    kind: int, vrid: int, priority: int, interval: int, unicast: bool
) -> None:
    """Versions 2 and 3 of IPv4, and version 3 of IPv6."""
    said: dict[str, Any] = {"vrid": vrid, "priority": priority}
    interval = interval % 255 + 1 if kind == 2 else interval
    packet: Any
    if kind == 6:
        receiver = "fd00:10::12" if unicast else "ff02::12"
        advert = VRRPv3(**said, adv=interval, addrlist=[VIP6], ipcount=1)
        packet = IPv6(src=MASTER6, dst=receiver, hlim=255) / advert
    else:
        receiver = "192.168.10.12" if unicast else "224.0.0.18"
        made = VRRP if kind == 2 else VRRPv3
        packet = IP(src=MASTER, dst=receiver, ttl=255) / made(**said, adv=interval, addrlist=[VIP])
    (row,) = heard(ethernet(packet)).advertisements
    assert (row.version, row.vrid, row.priority) == (min(kind, 3), vrid, priority)
    assert row.interval_s == (interval if kind == 2 else interval / 100)
    assert (row.unicast, row.receiver, row.is_sound) == (unicast, receiver, True)
    assert row.addresses == (VIP6 if kind == 6 else VIP,)


@pytest.mark.parametrize("advert", [v2(chksum=1), VRRPv3(vrid=1, addrlist=[VIP], chksum=1)])
def test_a_wrong_checksum_is_reported(advert: object) -> None:
    (row,) = heard(ethernet(over_ip(advert))).advertisements
    assert row.checksum_ok is False


def test_padding_of_a_short_frame_is_not_of_the_checksum() -> None:
    frame = ethernet(over_ip(VRRPv3(vrid=1, addrlist=[VIP])))
    (row,) = heard(frame + b"\xff" * 14).advertisements
    assert row.checksum_ok is True


@pytest.mark.parametrize("cut", [1, 4, 8, 12])
def test_a_frame_that_was_cut_is_malformed(cut: int) -> None:
    found = heard(ethernet(over_ip(v2()))[:-cut])
    assert (found.advertisements, found.malformed) == ((), 1)


def test_a_master_that_leaves_and_one_from_afar_are_seen_as_such() -> None:
    leaving = VRRP(vrid=41, priority=0, addrlist=[VIP])
    rows = heard(ethernet(over_ip(leaving)), ethernet(over_ip(v2(), ttl=63))).advertisements
    assert [row.priority for row in rows] == [GIVES_UP, 9]
    assert [row.ttl for row in rows] == [255, 63]


def test_tags_and_cooked_captures_are_read() -> None:
    tagged = bytes(Ether(src=MAC, dst="01:00:5e:00:00:12") / Dot1Q(vlan=7) / over_ip(v2()))
    assert len(heard(tagged).advertisements) == 1
    cooked = bytes(CookedLinux(src=b"\x02\x00\x00\x00\x00\x11\x00\x00") / over_ip(v2()))
    (row,) = heard(cooked, link=113).advertisements
    assert row.sender_mac == MAC_NUMBER


@pytest.mark.parametrize(
    ("version", "priority", "interval_s", "skew", "down"),
    [
        (2, 9, 1.0, 247 / 256, 3.965),
        (2, 240, 1.0, 16 / 256, 3.0625),
        (2, 240, 5.0, 16 / 256, 15.0625),  # version 2 skews by priority alone
        (3, 240, 5.0, 5 * 16 / 256, 15.3125),
        (3, 100, 0.1, 0.1 * 156 / 256, 0.3609),
    ],
)
def test_how_long_a_backup_waits(
    version: int, priority: int, interval_s: float, skew: float, down: float
) -> None:
    assert skew_s(version, priority, interval_s) == pytest.approx(skew)
    assert master_down_interval_s(version, priority, interval_s) == pytest.approx(down, abs=1e-3)


# Claims -------------------------------------------------------------------------------------------


def asked(**fields: Any) -> bytes:
    return bytes(Ether(src=MAC, dst="ff:ff:ff:ff:ff:ff") / ARP(hwsrc=MAC, **fields))


@pytest.mark.parametrize(
    ("frame", "kind", "address", "unasked"),
    [
        (asked(op=1, psrc=VIP, pdst=VIP), "gratuitous-arp", VIP, True),
        (asked(op=2, psrc=VIP, pdst=VIP), "gratuitous-arp", VIP, True),
        (asked(op=1, psrc=MASTER, pdst=VIP), "arp-request", MASTER, False),
        (asked(op=2, psrc=VIP, pdst=CLIENT), "arp-reply", VIP, False),
        (asked(op=1, psrc="0.0.0.0", pdst=VIP), "arp-probe", VIP, False),
    ],
)
def test_arp_says_who_has_what(frame: bytes, kind: str, address: str, unasked: bool) -> None:
    (claim,) = heard(frame).claims
    assert (claim.kind, claim.address, claim.unasked) == (kind, address, unasked)
    assert (claim.at_ns, claim.mac, claim.sender_mac) == (AT_NS, MAC_NUMBER, MAC_NUMBER)


@pytest.mark.parametrize(
    ("solicited", "kind"), [(0, "unsolicited-advertisement"), (1, "solicited-advertisement")]
)
def test_neighbour_advertisements_are_the_claims_of_ipv6(solicited: int, kind: str) -> None:
    advertisement = ICMPv6ND_NA(tgt=VIP6, R=0, S=solicited, O=1)
    packet = IPv6(src=MASTER6, dst="ff02::1", hlim=255) / advertisement
    option = ICMPv6NDOptDstLLAddr(lladdr="02:00:00:00:00:77")
    with_mac, without = heard(ethernet(packet / option), ethernet(packet)).claims
    assert (with_mac.kind, with_mac.address, with_mac.mac) == (kind, VIP6, 0x020000000077)
    assert (without.kind, without.mac) == (kind, MAC_NUMBER)
    assert with_mac.unasked is not bool(solicited)


def test_what_announces_nothing_is_left_alone() -> None:
    others = [
        request(SYN),
        ethernet(IPv6(src=MASTER6, dst="ff02::1") / ICMPv6ND_NS(tgt=VIP6)),
        b"short",
    ]
    assert heard(*others) == Announcements(advertisements=(), claims=(), malformed=0, left_out=0)


def test_arp_of_another_kind_is_malformed() -> None:
    frame = bytearray(arp(MAC_NUMBER, VIP))
    frame[18] = 8  # so long a hardware address
    assert heard(bytes(frame)).malformed == 1


# Whole captures -----------------------------------------------------------------------------------


def test_a_flood_is_cut_short_and_that_is_said() -> None:
    content = memoryview(pcap([(AT_NS + n, asked(psrc=VIP, pdst=VIP)) for n in range(20)]))
    found = read_announcements(content, most=5)
    assert (len(found.claims), found.left_out) == (5, 15)


def test_rows_of_several_files_stand_in_order_of_time() -> None:
    late = pcap([(AT_NS + NS, ethernet(over_ip(v2())))])
    early = pcap([(AT_NS, ethernet(over_ip(v2())))])
    rows = read_announcements(memoryview(late), memoryview(early)).advertisements
    assert [row.at_ns for row in rows] == [AT_NS, AT_NS + NS]


def test_a_real_keepalived_is_heard() -> None:
    found = read_announcements(memoryview((DATA / "dr-burst-50" / CAPTURE).read_bytes()))
    advertisements = {
        (row.version, row.priority, row.interval_s, row.ttl) for row in found.advertisements
    }
    assert advertisements == {(2, 10, 1.0, 255)}
    assert all(row.checksum_ok for row in found.advertisements)
    gaps_s = [(later.at_ns - row.at_ns) / NS for row, later in pairwise(found.advertisements)]
    assert gaps_s == pytest.approx([1.0] * 21, abs=0.2)
    assert {claim.kind for claim in found.claims} == {"arp-request", "arp-reply"}


GOOD = [
    ethernet(over_ip(v2())),
    ethernet(over_ip(VRRPv3(vrid=1, addrlist=[VIP]))),
    ethernet(IPv6(src=MASTER6, dst="ff02::12") / VRRPv3(vrid=7, addrlist=[VIP6])),
    ethernet(IPv6(src=MASTER6, dst="ff02::1") / ICMPv6ND_NA(tgt=VIP6) / ICMPv6NDOptDstLLAddr()),
    asked(psrc=VIP, pdst=VIP),
]


@examples(200)
@given(st.sampled_from(GOOD), st.data())
def test_no_damage_to_a_frame_crashes_it(good: bytes, data: st.DataObject) -> None:
    frame = bytearray(good)
    for _ in range(data.draw(st.integers(0, 4))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    found = heard(bytes(frame[: data.draw(st.integers(0, len(frame)))]))
    rows = len(found.advertisements) + len(found.claims) + found.malformed
    assert rows <= 1


@given(st.binary(max_size=60), st.sampled_from([0x0800, 0x86DD, 0x0806]))
def test_no_bytes_crash_it(content: bytes, ethertype: int) -> None:
    found = heard(bytes(12) + struct.pack(">H", ethertype) + content)
    assert len(found.advertisements) + len(found.claims) + found.malformed <= 1
