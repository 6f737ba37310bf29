"""Rewriting of frames: cut to their headers, with other addresses in them.

Known headers are kept, with correct checksums: Ethernet, VLAN, Linux cooked and raw links; IPv4,
IPv6, TCP, UDP, ARP, VRRP. A frame is cut before anything else. The analysis reads no options of IP
and TCP, so none is kept: they may hold addresses (TOA, MPTCP), cookies and, where a header says
that it is longer than it is, payload. Their length stays. TCP and UDP checksums are adjusted only
by what was changed (RFC 1624), so that a right or wrong one remains so.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

from analyzer.wire.capture.ethertypes import ARP, IPV4, IPV6, VLAN_TAGS
from analyzer.wire.capture.links import BARE, ETHERNET, MOST_SHIMS
from analyzer.wire.capture.tunnels import IP_IN_IP

if TYPE_CHECKING:
    from analyzer.anonymous.substitution import Substitution

_COOKED, _COOKED2, _NULL, _LOOP = 113, 276, 0, 108
_LINKS = {  # bytes of header, where the ethertype is, where MACs are
    ETHERNET: (14, 12, (0, 6)),
    _COOKED: (16, 14, ()),
    _COOKED2: (20, 0, ()),
}
_COOKED_ADDRESS = {_COOKED: (2, 6), _COOKED2: (8, 12)}  # where its hardware type and address are
_ADDRESS_BYTES = 8
_HAVE_MACS = (1, 772, 801, 802, 803)  # ARPHRD_…: Ethernet, loopback, IEEE 802.11
_PROTOCOLS = {ethertype: protocol for protocol, ethertype in IP_IN_IP.items()}
_OUTER = struct.Struct("!BBHHHBBH8s")  # IPv4, RFC 791
_TTL = 64
_TCP, _UDP, _ICMP, _ICMPV6, _VRRP = 6, 17, 1, 58, 112
_EXTENSIONS = (0, 43, 60, 135)
_FRAGMENT, _AUTHENTICATION = 44, 51
_MOST_EXTENSIONS = 8
_TCP_HEADER, _UDP_HEADER = 20, 8
_NO_OPERATION = b"\x01"
_CHECKSUM_AT = {_TCP: 16, _UDP: 6}
_ICMP_HEADER = 4
_VRRP_PASSWORD = 8


class FrameAnonymiser:
    """Rewriter of frames; each result is a copy."""

    def __init__(self, substitution: Substitution) -> None:
        self.substitution = substitution

    def frame(self, frame: bytes, link_type: int) -> bytes:
        """One frame, its headers with other addresses, cut after them."""
        rewritten = bytearray(frame)
        ethertype, at = self._link(rewritten, link_type)
        readers = {IPV4: self._ipv4, IPV6: self._ipv6, ARP: self._arp}
        reader = readers.get(ethertype)
        return bytes(rewritten[: reader(rewritten, at) if reader else at])

    def _link(self, frame: bytearray, kind: int) -> tuple[int, int]:
        """The ethertype of a frame's payload (0 if not known), and where the payload begins."""
        if kind in BARE or kind in (_NULL, _LOOP):
            at = 0 if kind in BARE else 4
            version = frame[at] >> 4 if len(frame) > at else 0
            return {4: IPV4, 6: IPV6}.get(version, 0), at
        size, type_at, macs = _LINKS.get(kind, (0, 0, ()))
        if not size or len(frame) < size:
            return 0, 0
        for mac_at in macs:
            self._mac(frame, mac_at)
        if kind in _COOKED_ADDRESS:
            self._cooked_address(frame, *_COOKED_ADDRESS[kind])
        return _past_tags(frame, int.from_bytes(frame[type_at : type_at + 2]), size)

    def _cooked_address(self, frame: bytearray, type_at: int, at: int) -> None:
        """The sender's, of 8 bytes: a MAC, or of a tunnel an IP address, or what else a link has.

        What has no known form is replaced whole, by what a reader takes for a MAC.
        """
        whole = slice(at, at + _ADDRESS_BYTES)
        has_mac = int.from_bytes(frame[type_at : type_at + 2]) in _HAVE_MACS
        if has_mac and not any(frame[at + 6 : at + _ADDRESS_BYTES]):
            self._mac(frame, at)
        elif any(frame[whole]):
            frame[whole] = self.substitution.link_address(bytes(frame[whole])).to_bytes(6) + b"\0\0"

    def _mac(self, frame: bytearray, at: int) -> None:
        mac = int.from_bytes(frame[at : at + 6])
        frame[at : at + 6] = self.substitution.mac(mac).to_bytes(6)

    def _address(self, frame: bytearray, at: int, size: int) -> None:
        raw = bytes(frame[at : at + size])
        address = IPv4Address(raw) if size == 4 else IPv6Address(raw)
        frame[at : at + size] = self.substitution.address(address).packed

    def _arp(self, frame: bytearray, at: int) -> int:
        """RFC 826, of Ethernet and IPv4; where it ends."""
        if len(frame) < at + 28 or frame[at : at + 6] != b"\0\1\x08\0\6\4":
            return at
        for sender in (at + 8, at + 18):
            self._mac(frame, sender)
            self._address(frame, sender + 6, 4)
        return at + 28

    def _ipv4(self, frame: bytearray, at: int) -> int:
        if len(frame) < at + 20:
            return at
        if not 0x45 <= frame[at] <= 0x4F:
            return _blanked(frame, at + 1, at + 20)
        header = (frame[at] & 0x0F) * 4
        options = at + 20, min(at + header, len(frame))
        before = bytes(frame[at + 12 : at + 20])
        self._address(frame, at + 12, 4)
        self._address(frame, at + 16, 4)
        _blanked(frame, *options)
        frame[at + 10 : at + 12] = bytes(2)
        frame[at + 10 : at + 12] = _checksum(frame[at : options[1]])
        is_later = int.from_bytes(frame[at + 6 : at + 8]) & 0x1FFF
        ends = before, bytes(frame[at + 12 : at + 20])
        return options[1] if is_later else self._transport(frame, frame[at + 9], options[1], ends)

    def _ipv6(self, frame: bytearray, at: int) -> int:
        if len(frame) < at + 40:
            return at
        if frame[at] >> 4 != 6:
            return _blanked(frame, at + 1, at + 40)
        before = bytes(frame[at + 8 : at + 40])
        self._address(frame, at + 8, 16)
        self._address(frame, at + 24, 16)
        ends = before, bytes(frame[at + 8 : at + 40])
        protocol, at, is_later = _past_extensions(frame, frame[at + 6], at + 40)
        return at if is_later else self._transport(frame, protocol, at, ends)

    def _transport(
        self, frame: bytearray, protocol: int, at: int, ends: tuple[bytes, bytes]
    ) -> int:
        if protocol == _VRRP:
            return self._vrrp(frame, at, ends[1])
        if protocol in (_ICMP, _ICMPV6):
            return min(at + _ICMP_HEADER, len(frame))
        if protocol not in _CHECKSUM_AT or len(frame) < at + 8:
            return at
        end = at + _UDP_HEADER if protocol == _UDP else _tcp_end(frame, at)
        options = slice(at + _TCP_HEADER, end)
        before, now = ends[0] + frame[options], ends[1] + _NO_OPERATION * len(frame[options])
        frame[options] = now[len(ends[1]) :]
        where = at + _CHECKSUM_AT[protocol]
        if len(frame) >= where + 2:
            checksum = slice(where, where + 2)
            frame[checksum] = _adjusted(
                bytes(frame[checksum]), before, now, is_udp=protocol == _UDP
            )
        return end

    def _vrrp(self, frame: bytearray, at: int, ends: bytes) -> int:
        """RFC 3768 and 5798: the virtual addresses; a password of version 2 is blanked."""
        if len(frame) < at + 8:
            return at
        size = 4 if len(ends) == 8 else 16
        end = at + 8 + frame[at + 3] * size
        if len(frame) < end:
            return at
        for address in range(at + 8, end, size):
            self._address(frame, address, size)
        is_v3 = frame[at] >> 4 == 3
        if not is_v3:
            password = end, min(end + _VRRP_PASSWORD, len(frame))
            frame[slice(*password)] = bytes(password[1] - password[0])
            end = password[1]
        frame[at + 6 : at + 8] = bytes(2)
        pseudo = ends + struct.pack("!II", end - at, _VRRP) if is_v3 else b""
        frame[at + 6 : at + 8] = _checksum(pseudo + frame[at:end])
        return end


def in_a_tunnel(packet: bytes, ethertype: int) -> bytes:
    """An IP packet in another one, whose ends are unspecified addresses (RFC 2003, RFC 4213)."""

    def outer(checksum: bytes) -> bytes:
        size = _OUTER.size + len(packet)
        fields = (size, 0, 0, _TTL, _PROTOCOLS[ethertype], int.from_bytes(checksum), bytes(8))
        return _OUTER.pack(0x45, 0, *fields)

    return outer(_checksum(outer(b""))) + packet


def _blanked(frame: bytearray, begin: int, end: int) -> int:
    """Zeros from ``begin`` on; where they end."""
    frame[begin:end] = bytes(end - begin)
    return end


def _tcp_end(frame: bytearray, at: int) -> int:
    """Where a TCP header ends, by its data offset; one that is too small is as good as none."""
    if len(frame) < at + _TCP_HEADER:
        return min(at + 8, len(frame))  # ports and sequence number, as ICMP quotes them
    return min(at + max((frame[at + 12] >> 4) * 4, _TCP_HEADER), len(frame))


def _past_extensions(frame: bytearray, protocol: int, at: int) -> tuple[int, int, bool]:
    """Blank IPv6's extension headers; the protocol behind them, where, if a later fragment's."""
    for _ in range(_MOST_EXTENSIONS):
        if protocol not in (*_EXTENSIONS, _FRAGMENT, _AUTHENTICATION) or len(frame) < at + 8:
            break
        words = frame[at + 1]
        size = (words + 2) * 4 if protocol == _AUTHENTICATION else (words + 1) * 8
        if protocol == _FRAGMENT:
            size, is_later = 8, int.from_bytes(frame[at + 2 : at + 4]) >> 3 > 0
        else:
            is_later = False
            _blanked(frame, at + 2, min(at + size, len(frame)))
        protocol, at = frame[at], min(at + size, len(frame))
        if is_later:
            return protocol, at, True
    return protocol, at, False


def _past_tags(frame: bytearray, ethertype: int, at: int) -> tuple[int, int]:
    for _ in range(MOST_SHIMS):
        if ethertype in VLAN_TAGS and len(frame) >= at + 4:
            ethertype, at = int.from_bytes(frame[at + 2 : at + 4]), at + 4
    return ethertype, at


def _sum(octets: bytes | bytearray) -> int:
    """The ones' complement sum of 16-bit words (RFC 1071)."""
    padded = bytes(octets) + b"\0" * (len(octets) % 2)
    total = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    return total % 0xFFFF or (0xFFFF if total else 0)


def _checksum(octets: bytes | bytearray) -> bytes:
    return (0xFFFF - _sum(octets)).to_bytes(2)


def _adjusted(checksum: bytes, before: bytes, now: bytes, *, is_udp: bool) -> bytes:
    """A checksum, updated for changed bytes (RFC 1624); 0 in UDP means no checksum."""
    if is_udp and checksum == b"\0\0":
        return checksum
    old = 0xFFFF - int.from_bytes(checksum)
    total = (old + (0xFFFF - _sum(before)) + _sum(now)) % 0xFFFF or 0xFFFF
    new = 0xFFFF - total
    return (0xFFFF if is_udp and new == 0 else new).to_bytes(2)
