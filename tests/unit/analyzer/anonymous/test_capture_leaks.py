"""No address of the original, in any spelling, and no byte of a payload is in a copy's frames."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_RR
from scapy.layers.inet6 import (
    ICMPv6ND_NS,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrRouting,
    PadN,
)
from scapy.layers.ipsec import AH
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.layers.vrrp import VRRP, VRRPv3

from analyzer.anonymous.capture import FrameAnonymiser
from analyzer.anonymous.capture_file import anonymous_capture
from analyzer.anonymous.substitution import Substitution
from analyzer.wire.capture.files import frame_chunks
from analyzer.wire.packets import read_packets
from tests.unit.analyzer.anonymous.test_capture import pcap
from tests.unit.analyzer.builders_packets import frame_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

SUBSTITUTION = Substitution(bytes(range(32)))
ANONYMISER = FrameAnonymiser(SUBSTITUTION)
MACS = ("52:54:00:12:34:56", "52:54:00:65:43:21")
FOUR = ("203.0.113.77", "198.51.100.23")
EUI64 = "2001:db8:7:9:5054:ff:fe12:3456"
SIX = ("2001:db8:5:6:7a:7b:7c:7d", EUI64, "::ffff:203.0.113.77", "2002:cb00:714d::1")
ETHER = Ether(src=MACS[0], dst=MACS[1])
V4, V6 = IP(src=FOUR[0], dst=FOUR[1]), IPv6(src=SIX[0], dst=SIX[1])
CLIENT, CLIENT6 = IPv4Address(FOUR[0]).packed, IPv6Address(SIX[0]).packed
SECRET = b"session=0123456789abcdef"

OPTIONS: dict[str, bytes] = {
    "toa-254": struct.pack("!BBH4s", 254, 8, 40001, CLIENT),
    "toa-200": struct.pack("!BBH4s", 200, 8, 40001, CLIENT),
    "toa-28": struct.pack("!BBH4s", 28, 8, 40001, CLIENT),
    "toa-254-ipv6": struct.pack("!BBH16s", 254, 20, 40001, CLIENT6),
    "mptcp-add-addr": struct.pack("!BBBB4s", 30, 8, 0x34, 1, CLIENT),
    "mptcp-add-addr6": struct.pack("!BBBB16s", 30, 20, 0x36, 1, CLIENT6),
    "fast-open": struct.pack("!BB16s", 34, 18, CLIENT6) + b"\1\1",
    "experimental": struct.pack("!BBH4s", 253, 8, 0xF989, CLIENT[::-1]),
    "timestamps": struct.pack("!BBII", 8, 10, 1, 2) + b"\1\1",
    "usual": struct.pack("!BBHBBBBBB", 2, 4, 1460, 4, 2, 1, 3, 3, 7)[:9] + b"\1\1\1",
}


def tcp(options: bytes = b"", payload: bytes = SECRET, offset: int | None = None) -> bytes:
    words = 5 + len(options) // 4 if offset is None else offset
    return struct.pack("!HHIIBBHHH", 40001, 80, 7, 9, words << 4, 0x18, 512, 0, 0) + (
        options + payload
    )


def on(network: Any, transport: bytes, protocol: int = 6) -> bytes:
    network = network.copy()
    setattr(network, "proto" if isinstance(network, IP) else "nh", protocol)
    return bytes(network / transport)


def cooked(address: bytes, hardware: int) -> bytes:
    return struct.pack("!HHH8sH", 0, hardware, len(address), address, 0x0800) + on(V4, tcp())


def cooked2(address: bytes, hardware: int) -> bytes:
    head = struct.pack("!HHIHBB8s", 0x0800, 0, 3, hardware, 0, len(address), address)
    return head + on(V4, tcp())


def links() -> Iterator[tuple[str, int, bytes]]:
    """Frames whose link says something: a name, the kind of link, the frame."""
    yield "vlan", 1, bytes(ETHER / Dot1Q(vlan=7) / V4 / TCP() / SECRET)
    yield "qinq", 1, bytes(ETHER)[:12] + b"\x91\0\0\7\x08\0" + on(V4, tcp())
    yield "cluster", 1, b"\x03\xbf" + CLIENT + bytes(ETHER)[6:12] + b"\x08\0" + on(V4, tcp())
    mac = bytes.fromhex(MACS[0].replace(":", ""))
    for hardware, address in ((1, mac), (768, CLIENT), (778, CLIENT), (776, CLIENT), (1, CLIENT)):
        yield f"cooked-{hardware}", 113, cooked(address, hardware)
        yield f"cooked2-{hardware}", 276, cooked2(address, hardware)
    yield "cooked-tunnel6", 113, cooked(CLIENT6[:8], 769)
    yield "cooked-odd", 113, cooked(mac + CLIENT[2:], 1)
    yield "raw", 101, on(V4, tcp())
    yield "null", 0, b"\2\0\0\0" + on(V4, tcp())
    yield "arp", 1, bytes(ETHER / ARP(hwsrc=MACS[0], psrc=FOUR[0], hwdst=MACS[1], pdst=FOUR[1]))


def networks() -> Iterator[tuple[str, Any]]:
    yield "quoted", V4 / ICMP(type=3) / V4 / TCP()
    yield "neighbour", V6 / ICMPv6ND_NS(tgt=SIX[1])
    yield "tunnel", IP(src=FOUR[0], dst=FOUR[1], proto=4) / V4 / TCP() / SECRET
    yield "fragment", IP(src=FOUR[0], dst=FOUR[1], frag=9, proto=6) / SECRET
    yield "route", IP(src=FOUR[0], dst=FOUR[1], options=[IPOption_RR(routers=[FOUR[0]])]) / TCP()
    yield "routing6", V6 / IPv6ExtHdrRouting(addresses=[SIX[0], SIX[1]]) / TCP() / SECRET
    yield "options6", V6 / IPv6ExtHdrDestOpt(options=[PadN(optdata=CLIENT)]) / TCP() / SECRET
    yield "fragment6", V6 / IPv6ExtHdrFragment(offset=9) / SECRET
    yield "signed6", V6 / AH(nh=6, payloadlen=4, icv=CLIENT * 3) / TCP() / SECRET
    yield "embedded", IPv6(src=SIX[2], dst=SIX[3]) / UDP() / SECRET
    yield "vrrp", IP(src=FOUR[0], dst="224.0.0.18", proto=112) / VRRP(addrlist=[FOUR[1]])
    yield "vrrp6", IP(src=FOUR[0], dst="224.0.0.18", proto=112) / VRRPv3(addrlist=[FOUR[1]])


def frames() -> Iterator[tuple[str, int, bytes]]:
    """All kinds: a name, the kind of link, the frame."""
    yield from links()
    for name, packet in networks():
        yield name, 1, bytes(ETHER / packet)
    for name, options in OPTIONS.items():
        for version, network in (("v4", V4), ("v6", V6)):
            yield f"{name}-{version}", 101, on(network, tcp(options))
    for offset in (0, 4, 6, 15):
        yield f"false-offset-{offset}", 101, on(V4, tcp(CLIENT, SECRET * 3, offset))


FRAMES = {name: (kind, frame) for name, kind, frame in frames()}


def spellings(address: str) -> set[bytes]:
    """An address as software writes it, binary and as text."""
    packed = ip_address(address).packed
    made = {
        packed,
        packed[::-1],
        address.encode(),
        packed.hex().encode(),
        packed[::-1].hex().encode(),
    }
    if len(packed) == 4:
        dashed = address.replace(".", "-")
        number = int.from_bytes(packed)
        made |= {dashed.encode(), f"ip-{dashed}".encode(), str(number).encode()}
        made.add(b"".join(packed[at : at + 2][::-1] for at in (0, 2)))
    else:
        made |= {IPv6Address(address).exploded.encode(), packed[8:], packed[:8]}
    return made | {each.upper() for each in made if each.isascii()}


def spellings_of_mac(mac: str) -> set[bytes]:
    digits = mac.replace(":", "")
    raw = bytes.fromhex(digits)
    eui = bytes([raw[0] ^ 2]) + raw[1:3] + b"\xff\xfe" + raw[3:]
    dotted = ".".join(digits[at : at + 4] for at in (0, 4, 8))
    texts = {mac, mac.replace(":", "-"), dotted, digits, digits.upper()}
    return {raw, raw[::-1], eui, raw[3:] + raw[:3], *(text.encode() for text in texts)}


SECRETS = {
    SECRET,
    *(each for address in (*FOUR, *SIX) for each in spellings(address)),
    *(each for mac in MACS for each in spellings_of_mac(mac)),
} - {bytes(8)}


@pytest.mark.parametrize("name", FRAMES)
def test_no_address_of_the_original_is_in_the_copy_in_any_spelling(name: str) -> None:
    kind, frame = FRAMES[name]
    copy = ANONYMISER.frame(frame, kind)
    assert any(secret in frame for secret in SECRETS)
    assert [secret for secret in SECRETS if secret in copy] == []
    assert len(copy) <= len(frame)


@pytest.mark.parametrize("name", FRAMES)
def test_no_address_is_in_the_copy_of_a_file_either(name: str) -> None:
    """Which also holds what stands in a tunnel."""
    kind, frame = FRAMES[name]
    made = b"".join(anonymous_capture(memoryview(pcap((1, frame), link=kind)), ANONYMISER))
    (frames,) = frame_chunks(memoryview(made))
    (copy,) = frame_bytes(frames)
    assert [secret for secret in SECRETS if secret in copy] == []


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("network", [V4, V6], ids=["v4", "v6"])
def test_options_leave_their_length_and_a_right_checksum(options: bytes, network: Any) -> None:
    made = type(network)(on(network, tcp(options)))
    del made[TCP].chksum
    whole = bytes(made)
    copy = ANONYMISER.frame(whole, 101)
    assert len(copy) == len(whole) - len(SECRET)
    assert copy[-len(options) :] == b"\1" * len(options)
    again = type(network)(copy + SECRET)
    expected = again[TCP].chksum
    del again[TCP].chksum
    assert type(network)(bytes(again))[TCP].chksum == expected


@given(st.sampled_from(list(FRAMES)), st.binary(min_size=60, max_size=60))
def test_what_stands_behind_the_headers_does_not_change_the_copy(name: str, other: bytes) -> None:
    kind, frame = FRAMES[name]
    begins = frame.find(SECRET)
    if begins < 0:
        return
    changed = frame[:begins] + other[: len(frame) - begins]
    changed += frame[len(changed) :]
    copies = [bytearray(ANONYMISER.frame(each, kind)) for each in (frame, changed)]
    if name.startswith("false-offset"):  # the checksum follows what was taken for options
        for copy in copies:
            copy[36:38] = bytes(2)
    assert copies[0] == copies[1]


@given(st.binary(min_size=40, max_size=40), st.binary(min_size=40, max_size=40))
def test_no_byte_of_options_changes_the_copy(one: bytes, other: bytes) -> None:
    copies = [bytearray(ANONYMISER.frame(on(V4, tcp(each)), 101)) for each in (one, other)]
    for copy in copies:
        copy[36:38] = bytes(2)
    assert copies[0] == copies[1]


SAME = ("protocol", "source_port", "destination_port", "flags", "sequence", "ttl", "at_ns")


@given(
    st.sampled_from(list(FRAMES)),
    st.lists(st.tuples(st.integers(0, 119), st.integers(0, 255)), max_size=4),
    st.integers(0, 160),
)
@example("tunnel", [], 0)
def test_the_copy_of_any_frame_has_the_same_segments(
    name: str, changes: list[tuple[int, int]], length: int
) -> None:
    kind, whole = FRAMES[name]
    frame = bytearray(whole[: length or len(whole)])
    for at, value in changes:
        if at < len(frame):
            frame[at] = value
    content = memoryview(pcap((10**18, bytes(frame)), link=kind))
    made = b"".join(anonymous_capture(content, ANONYMISER))
    original, copy = read_packets(content), read_packets(memoryview(made))
    for column in SAME:
        assert np.array_equal(getattr(original, column), getattr(copy, column)), column
    for end in ("source", "destination"):
        texts = [[run.addresses[at] for at in getattr(run, end)] for run in (original, copy)]
        replaced = [str(SUBSTITUTION.address(ip_address(text))) for text in texts[0]]
        assert replaced == texts[1]
