"""Frames without addresses and payload: cut to their headers, with other ones in them.

What is understood keeps its headers, their checksums right: Ethernet, VLAN, Linux cooked and raw
links; IPv4, IPv6, TCP, UDP, ARP, VRRP. Of anything else only what lies before it is kept. TCP and
UDP checksums are adjusted by the change of the addresses alone (RFC 1624), so that one that was
right or wrong with its payload still is.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analyzer.anonymous.substitution import Substitution

_ETHERNET, _COOKED, _COOKED2, _NULL, _LOOP = 1, 113, 276, 0, 108
_RAW = (12, 14, 101, 228, 229)
_VLAN_TAGS = (0x8100, 0x88A8)
_IPV4, _IPV6, _ARP = 0x0800, 0x86DD, 0x0806
_TCP, _UDP, _ICMP, _ICMPV6, _VRRP = 6, 17, 1, 58, 112
_EXTENSIONS = (0, 43, 60, 135)
_FRAGMENT = 44
_CHECKSUM_AT = {_TCP: 16, _UDP: 6}
_ICMP_HEADER = 4
_VRRP_PASSWORD = 8


class FrameAnonymiser:
    """Rewrites frames, each in a copy of its own."""

    def __init__(self, substitution: Substitution) -> None:
        self._substitution = substitution

    def frame(self, frame: bytes, link_type: int) -> bytes:
        """One frame, its headers with other addresses, cut after them."""
        made = bytearray(frame)
        ethertype, at = self._link(made, link_type)
        readers = {_IPV4: self._ipv4, _IPV6: self._ipv6, _ARP: self._arp}
        reader = readers.get(ethertype)
        return bytes(made[: reader(made, at) if reader else at])

    def _link(self, made: bytearray, kind: int) -> tuple[int, int]:
        """What a frame carries (0 if that is not known), and where it begins."""
        if kind in _RAW or kind in (_NULL, _LOOP):
            at = 0 if kind in _RAW else 4
            version = made[at] >> 4 if len(made) > at else 0
            return {4: _IPV4, 6: _IPV6}.get(version, 0), at
        sizes = {_ETHERNET: (14, 12, (0, 6)), _COOKED: (16, 14, (6,)), _COOKED2: (20, 0, (12,))}
        size, type_at, macs = sizes.get(kind, (0, 0, ()))
        if not size or len(made) < size:
            return 0, 0
        for mac_at in macs:
            self._mac(made, mac_at)
        return _past_tags(made, int.from_bytes(made[type_at : type_at + 2]), size)

    def _mac(self, made: bytearray, at: int) -> None:
        mac = int.from_bytes(made[at : at + 6])
        made[at : at + 6] = self._substitution.mac(mac).to_bytes(6)

    def _address(self, made: bytearray, at: int, size: int) -> None:
        raw = bytes(made[at : at + size])
        address = IPv4Address(raw) if size == 4 else IPv6Address(raw)
        made[at : at + size] = self._substitution.address(address).packed

    def _arp(self, made: bytearray, at: int) -> int:
        """RFC 826, of Ethernet and IPv4; where it ends."""
        if len(made) < at + 28 or made[at : at + 6] != b"\0\1\x08\0\6\4":
            return at
        for sender in (at + 8, at + 18):
            self._mac(made, sender)
            self._address(made, sender + 6, 4)
        return at + 28

    def _ipv4(self, made: bytearray, at: int) -> int:
        header = (made[at] & 0x0F) * 4 if len(made) > at else 0
        if header < 20 or len(made) < at + header:
            return at
        before = bytes(made[at + 12 : at + 20])
        self._address(made, at + 12, 4)
        self._address(made, at + 16, 4)
        made[at + 20 : at + header] = bytes(header - 20)  # options may hold addresses
        made[at + 10 : at + 12] = bytes(2)
        made[at + 10 : at + 12] = _checksum(made[at : at + header])
        is_later = int.from_bytes(made[at + 6 : at + 8]) & 0x1FFF
        ends = before, bytes(made[at + 12 : at + 20])
        return at + header if is_later else self._transport(made, made[at + 9], at + header, ends)

    def _ipv6(self, made: bytearray, at: int) -> int:
        if len(made) < at + 40:
            return at
        before = bytes(made[at + 8 : at + 40])
        self._address(made, at + 8, 16)
        self._address(made, at + 24, 16)
        ends = before, bytes(made[at + 8 : at + 40])
        protocol, at = made[at + 6], at + 40
        while protocol in (*_EXTENSIONS, _FRAGMENT) and len(made) >= at + 8:
            size = 8 if protocol == _FRAGMENT else (made[at + 1] + 1) * 8
            is_later = protocol == _FRAGMENT and int.from_bytes(made[at + 2 : at + 4]) >> 3
            if len(made) < at + size:
                return at
            if protocol != _FRAGMENT:
                made[at + 2 : at + size] = bytes(size - 2)
            protocol, at = made[at], at + size
            if is_later:
                return at
        return self._transport(made, protocol, at, ends)

    def _transport(self, made: bytearray, protocol: int, at: int, ends: tuple[bytes, bytes]) -> int:
        if protocol == _VRRP:
            return self._vrrp(made, at, ends[1])
        if protocol in (_ICMP, _ICMPV6):
            return min(at + _ICMP_HEADER, len(made))
        if protocol not in _CHECKSUM_AT or len(made) < at + 8:
            return at
        where = at + _CHECKSUM_AT[protocol]
        if len(made) >= where + 2:
            told = bytes(made[where : where + 2])
            made[where : where + 2] = _adjusted(told, *ends, is_udp=protocol == _UDP)
        size = 8 if protocol == _UDP or len(made) < at + 13 else (made[at + 12] >> 4) * 4
        return min(at + max(size, 8), len(made))

    def _vrrp(self, made: bytearray, at: int, ends: bytes) -> int:
        """RFC 3768 and 5798: the virtual addresses; a password of version 2 is blanked."""
        if len(made) < at + 8:
            return at
        size = 4 if len(ends) == 8 else 16
        end = at + 8 + made[at + 3] * size
        if len(made) < end:
            return at
        for address in range(at + 8, end, size):
            self._address(made, address, size)
        is_v3 = made[at] >> 4 == 3
        if not is_v3:
            password = end, min(end + _VRRP_PASSWORD, len(made))
            made[slice(*password)] = bytes(password[1] - password[0])
            end = password[1]
        made[at + 6 : at + 8] = bytes(2)
        pseudo = ends + struct.pack("!II", end - at, _VRRP) if is_v3 else b""
        made[at + 6 : at + 8] = _checksum(pseudo + made[at:end])
        return end


def _past_tags(made: bytearray, ethertype: int, at: int) -> tuple[int, int]:
    for _ in range(2):  # a tag, and a tag in it
        if ethertype in _VLAN_TAGS and len(made) >= at + 4:
            ethertype, at = int.from_bytes(made[at + 2 : at + 4]), at + 4
    return ethertype, at


def _sum(octets: bytes | bytearray) -> int:
    """The ones' complement sum of 16-bit words (RFC 1071)."""
    padded = bytes(octets) + b"\0" * (len(octets) % 2)
    total = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    return total % 0xFFFF or (0xFFFF if total else 0)


def _checksum(octets: bytes | bytearray) -> bytes:
    return (0xFFFF - _sum(octets)).to_bytes(2)


def _adjusted(checksum: bytes, before: bytes, now: bytes, *, is_udp: bool) -> bytes:
    """A checksum after some of what it covers changed (RFC 1624); UDP's 0 means none."""
    if is_udp and checksum == b"\0\0":
        return checksum
    told = 0xFFFF - int.from_bytes(checksum)
    total = (told + (0xFFFF - _sum(before)) + _sum(now)) % 0xFFFF or 0xFFFF
    made = 0xFFFF - total
    return (0xFFFF if is_udp and made == 0 else made).to_bytes(2)
