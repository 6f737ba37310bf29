"""Replacements of addresses, MACs and names.

Addresses go through Crypto-PAn (Xu and others, "Prefix-Preserving IP Address Anonymization", ICNP
2002), keyed. Addresses with a meaning of their own stay as they are, and nothing is ever mapped to
them: an address that would be is mapped again, which keeps the mapping one to one and, as their
ranges are wide, every prefix of 8 bits or more.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

from yacryptopan import CryptoPAn

if TYPE_CHECKING:
    from collections.abc import Iterable

    Address = IPv4Address | IPv6Address

KEY_BYTES = 32
ROLES = frozenset({"client", "server", "director", "localhost"})
"""Host names that identify no host."""

_SOLICITED_NODE = int(IPv6Address("ff02::1:ff00:0")) >> 24
_LOCAL_UNICAST = 0x02 << 40
_MAC_KINDS = 0xFC << 40 | (1 << 40) - 1
_VRRP_MACS = (0x00005E0001, 0x00005E0002)
_BROADCAST = (1 << 48) - 1
_GROUPS = (0x01005E, 0x0180C2, 0x01000C, 0x011B19)  # IPv4 multicast, IEEE 802.1, CDP, PTP
_HOLDS_PREFIX = 0x6
"""Flags R and P of an IPv6 group: it contains a site's prefix (RFC 3306, RFC 3956)."""


class Substitution:
    """The replacements under one key.

    Args:
        key: 32 bytes; whoever has it can undo the substitution of addresses.
        names: of hosts and labs, which are replaced in sentences too.
    """

    def __init__(self, key: bytes, names: Iterable[str] = ()) -> None:
        self._key = key
        self._cipher = CryptoPAn(key)
        self.names = frozenset(name for name in names if name and name.lower() not in ROLES)
        self.address = lru_cache(maxsize=1 << 20)(self._address)
        self.mac = lru_cache(maxsize=1 << 16)(self._mac)

    def _address(self, address: Address) -> Address:
        """An address's replacement; itself, if its range has a special meaning."""
        number = int(address)
        if isinstance(address, IPv4Address):
            return IPv4Address(self._walk(number, 4))
        if number >> 24 == _SOLICITED_NODE:  # which holds the end of a host's address
            return IPv6Address(_SOLICITED_NODE << 24 | self._digest(number.to_bytes(16), 3))
        if number >> 120 == 0xFF and number >> 116 & _HOLDS_PREFIX:
            return IPv6Address(number >> 112 << 112 | self._digest(number.to_bytes(16), 14))
        return IPv6Address(self._walk(number, 6))

    def _walk(self, number: int, version: int) -> int:
        if _has_meaning(number, version):
            return number
        while _has_meaning(number := int(self._cipher.anonymize_bin(number, version)), version):
            pass
        return number

    def _mac(self, mac: int) -> int:
        """A MAC's replacement, locally administered; known groups, VRRP's and zero stay."""
        if mac >> 32 == 0x3333 and mac & 0xFF000000 == 0xFF000000:
            return mac >> 24 << 24 | self._digest(mac.to_bytes(6), 3)
        if mac in (0, _BROADCAST) or mac >> 8 in _VRRP_MACS or _is_known_group(mac):
            return mac
        group = mac & 1 << 40  # a cluster's of Windows NLB holds its IPv4 address
        return (self._digest(mac.to_bytes(6), 6) & _MAC_KINDS) | _LOCAL_UNICAST | group

    def link_address(self, address: bytes) -> int:
        """A locally administered MAC for a link without MACs, such as a tunnel's IPv4 address."""
        return (self._digest(address, 6) & _MAC_KINDS) | _LOCAL_UNICAST

    def name(self, name: str) -> str:
        """A host's replacement, ``host-`` and six hexadecimal digits; roles stay."""
        if name.lower() in ROLES:
            return name
        return f"host-{self._digest(name.lower().encode(), 3):06x}"

    def _digest(self, value: bytes, size: int) -> int:
        made = hashlib.blake2b(value, key=self._key, digest_size=size)
        return int.from_bytes(made.digest())


def _has_meaning(number: int, version: int) -> bool:
    """Whether an address is unspecified, loopback, multicast or broadcast; IPv4 by range."""
    if version == 4:
        return number >> 24 in (0, 127) or number >> 24 >= 224
    return number in (0, 1) or number >> 120 == 0xFF


def _is_known_group(mac: int) -> bool:
    """Whether a MAC is of a protocol's group, and so of no host."""
    return mac >> 24 in _GROUPS or mac >> 32 == 0x3333
