"""What our addresses say to their neighbours: scapy must build, and read, the same."""

from __future__ import annotations

import socket

import pytest
from scapy.layers.inet6 import (
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
)
from scapy.layers.l2 import ARP, Ether

from loadgen.load.engines.packets.wire.arp import Arp
from loadgen.load.engines.packets.wire.language import NeighbourMessage
from loadgen.load.engines.packets.wire.ndp import Ndp

HERE, THERE = "02:00:00:00:00:02", "02:00:00:00:00:01"
MAC, THEIR_MAC = (bytes.fromhex(each.replace(":", "")) for each in (HERE, THERE))
OURS, THEIRS = "fd99::16", "fd99::1"
GROUP_MAC = "33:33:ff:00:00:16"
NA, NS = ICMPv6ND_NA, ICMPv6ND_NS


def six(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6, address)


def four(address: str) -> bytes:
    return socket.inet_aton(address)


def heard_by_ndp(packet: Ether) -> NeighbourMessage | None:
    return Ndp(MAC).heard(bytes(packet))


def asked(source: str, to: str, mac: str) -> Ether:
    packet = Ether(src=THERE, dst=mac) / IPv6(src=source, dst=to, hlim=255) / NS(tgt=OURS)
    return packet if source == "::" else packet / ICMPv6NDOptSrcLLAddr(lladdr=THERE)


@pytest.mark.parametrize(
    ("to", "mac"),
    [("ff02::1:ff00:16", GROUP_MAC), (OURS, HERE)],
    ids=["to the group", "to us, from one who wants to be sure"],
)
def test_a_solicitation_is_answered_to_whoever_asked(to: str, mac: str) -> None:
    heard = heard_by_ndp(asked(THEIRS, to, mac))
    assert heard == NeighbourMessage(asks=True, sender=six(THEIRS), mac=THEIR_MAC, target=six(OURS))
    wanted = (
        Ether(src=HERE, dst=THERE)
        / IPv6(src=OURS, dst=THEIRS, hlim=255)
        / NA(R=0, S=1, O=1, tgt=OURS)
        / ICMPv6NDOptDstLLAddr(lladdr=HERE)
    )
    assert Ndp(MAC).answer(heard) == bytes(wanted)


def test_one_who_wants_our_address_for_itself_hears_with_all_others_that_it_is_ours() -> None:
    heard = heard_by_ndp(asked("::", "ff02::1:ff00:16", GROUP_MAC))
    assert heard is not None
    wanted = (
        Ether(src=HERE, dst="33:33:00:00:00:01")
        / IPv6(src=OURS, dst="ff02::1", hlim=255)
        / NA(R=0, S=0, O=1, tgt=OURS)
        / ICMPv6NDOptDstLLAddr(lladdr=HERE)
    )
    assert Ndp(MAC).answer(heard) == bytes(wanted)


def test_we_ask_as_scapy_would() -> None:
    to = "ff02::1:ff00:1"
    head = Ether(src=HERE, dst="33:33:ff:00:00:01")
    ask = head / IPv6(src=OURS, dst=to, hlim=255) / NS(tgt=THEIRS)
    probe = head / IPv6(src="::", dst=to, hlim=255) / NS(tgt=THEIRS)
    ndp = Ndp(MAC)
    assert ndp.question(six(OURS), six(THEIRS)) == bytes(ask / ICMPv6NDOptSrcLLAddr(lladdr=HERE))
    assert ndp.question(None, six(THEIRS)) == bytes(probe)


def test_an_advertisement_tells_where_an_address_is_now() -> None:
    advertisement = (
        Ether(src="02:00:00:00:00:09", dst="33:33:00:00:00:01")
        / IPv6(src="fe80::9", dst="ff02::1", hlim=255)
        / NA(R=0, S=0, O=1, tgt=THEIRS)
        / ICMPv6NDOptDstLLAddr(lladdr=THERE)
    )
    heard = heard_by_ndp(advertisement)
    assert heard == NeighbourMessage(
        asks=False, sender=six(THEIRS), mac=THEIR_MAC, target=six(THEIRS)
    )


@pytest.mark.parametrize("cut", [0, 13, 53, 77])
def test_a_frame_that_is_cut_says_nothing(cut: int) -> None:
    frame = bytes(asked(THEIRS, OURS, HERE))
    assert Ndp(MAC).heard(frame[:cut]) is None
    assert Arp(MAC).heard(frame[: min(cut, 41)]) is None


def test_an_option_without_a_length_ends_the_reading() -> None:
    frame = bytes(asked(THEIRS, OURS, HERE))
    heard = Ndp(MAC).heard(frame[:78] + bytes(8))
    assert heard is not None
    assert heard.mac == THEIR_MAC  # of the frame itself


def test_arp_asks_and_answers_as_scapy_would() -> None:
    ours, theirs = "192.0.2.16", "192.0.2.1"
    arp = Arp(MAC)
    ask = Ether(src=HERE, dst="ff:ff:ff:ff:ff:ff") / ARP(
        op=1, hwsrc=HERE, psrc=ours, hwdst="00:00:00:00:00:00", pdst=theirs
    )
    assert arp.question(four(ours), four(theirs)) == bytes(ask).ljust(60, b"\0")
    heard = NeighbourMessage(asks=True, sender=four(theirs), mac=THEIR_MAC, target=four(ours))
    reply = Ether(src=HERE, dst=THERE) / ARP(op=2, hwsrc=HERE, psrc=ours, hwdst=THERE, pdst=theirs)
    assert arp.answer(heard) == bytes(reply).ljust(60, b"\0")
    asks = Ether(src=THERE) / ARP(op=1, hwsrc=THERE, psrc=theirs, pdst=ours)
    assert arp.heard(bytes(asks)) == heard
