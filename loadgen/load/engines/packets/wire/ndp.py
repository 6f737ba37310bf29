"""Neighbour discovery of IPv6 (RFC 4861), as ``neighbours`` speaks it."""

from __future__ import annotations

import struct

from loadgen.load.engines.packets.wire.language import NeighbourMessage
from loadgen.load.engines.packets.wire.versions import ETHERNET_BYTES, IPV6

_ICMPV6 = 58
_SOLICITATION, _ADVERTISEMENT = 135, 136
_SOURCE_MAC, _TARGET_MAC = 1, 2  # options
_SOLICITED, _OVERRIDE = 0x40000000, 0x20000000
_HOPS = 255
_HEADER = struct.Struct("!IHBB16s16s")
_MESSAGE = struct.Struct("!BBHI16s")
_MESSAGE_AT = ETHERNET_BYTES + IPV6.ip_bytes
_NOBODY = bytes(16)
_ALL_NODES = bytes.fromhex("ff02" + "00" * 13 + "01")
_SOLICITED_NODE = bytes.fromhex("ff02" + "00" * 9 + "01ff")
_STEPS = (
    (0x30, 0, 0, 20),  # ldb next header
    (0x15, 0, 6, _ICMPV6),
    (0x30, 0, 0, 21),  # ldb hop limit: of a neighbour's, no router has taken any
    (0x15, 0, 4, _HOPS),
    (0x30, 0, 0, _MESSAGE_AT),  # ldb type
    (0x15, 1, 0, _SOLICITATION),
    (0x15, 0, 1, _ADVERTISEMENT),
    (0x06, 0, 0, 0x40000),
    (0x06, 0, 0, 0),
)


class Ndp:
    """Frames from one MAC."""

    ethertype = IPV6.ethertype
    program = b"".join(struct.pack("=HBBI", *step) for step in _STEPS)

    def __init__(self, mac: bytes) -> None:
        self._mac = mac

    def question(self, sender: bytes | None, target: bytes) -> bytes:
        """Who has an address; from nobody, to find out whether it is taken (RFC 4862, 5.4)."""
        to = solicited_node(target)
        option = b"" if sender is None else struct.pack("!BB", _SOURCE_MAC, 1) + self._mac
        message = _MESSAGE.pack(_SOLICITATION, 0, 0, 0, target) + option
        return self._frame(_group_mac(to), sender or _NOBODY, to, message)

    def answer(self, query: NeighbourMessage) -> bytes:
        """It is ours; to all, where somebody without an address wants to have it."""
        unspecified = query.sender == _NOBODY
        to, mac = (_ALL_NODES, _group_mac(_ALL_NODES)) if unspecified else (query.sender, query.mac)
        flags = _OVERRIDE if unspecified else _OVERRIDE | _SOLICITED
        option = struct.pack("!BB", _TARGET_MAC, 1) + self._mac
        message = _MESSAGE.pack(_ADVERTISEMENT, 0, 0, flags, query.target) + option
        return self._frame(mac, query.target, to, message)

    def heard(self, frame: bytes) -> NeighbourMessage | None:
        """What a frame says; None if nothing."""
        if len(frame) < _MESSAGE_AT + _MESSAGE.size:
            return None
        kind, code, _, _, target = _MESSAGE.unpack_from(frame, _MESSAGE_AT)
        source = frame[2 * IPV6.source_word :][:16]
        if code != 0 or kind not in (_SOLICITATION, _ADVERTISEMENT):
            return None
        asks = kind == _SOLICITATION
        mac = _option(frame, _SOURCE_MAC if asks else _TARGET_MAC) or frame[6:12]
        return NeighbourMessage(
            asks=asks, sender=source if asks else target, mac=mac, target=target
        )

    def _frame(self, mac: bytes, source: bytes, to: bytes, message: bytes) -> bytes:
        pseudo = source + to + struct.pack("!II", len(message), _ICMPV6)
        checked = message[:2] + struct.pack("!H", _checksum(pseudo + message)) + message[4:]
        header = _HEADER.pack(6 << 28, len(message), _ICMPV6, _HOPS, source, to)
        return mac + self._mac + self.ethertype.to_bytes(2) + header + checked


def solicited_node(address: bytes) -> bytes:
    """The group that is asked about an address (RFC 4291, 2.7.1)."""
    return _SOLICITED_NODE + address[-3:]


def _group_mac(address: bytes) -> bytes:
    """Of a multicast address (RFC 2464, 7)."""
    return b"\x33\x33" + address[-4:]


def _option(frame: bytes, kind: int) -> bytes | None:
    """The MAC that an option tells; options are counted in eights of bytes."""
    at = _MESSAGE_AT + _MESSAGE.size
    while at + 8 <= len(frame) and frame[at + 1]:
        if frame[at] == kind:
            return frame[at + 2 : at + 8]
        at += 8 * frame[at + 1]
    return None


def _checksum(content: bytes) -> int:
    """RFC 1071; messages have whole words."""
    total: int = sum(struct.unpack(f"!{len(content) // 2}H", content))
    total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - ((total & 0xFFFF) + (total >> 16))
