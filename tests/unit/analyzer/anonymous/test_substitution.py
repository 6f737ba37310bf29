"""What stands for an address, a MAC or a name."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from analyzer.anonymous.substitution import Substitution
from tests.unit.properties import examples

KEY = bytes(range(32))
MADE = Substitution(KEY, ["bal01", "bal01.example.com", "ssh://root@bal01:2222", "client", ""])
v4 = st.integers(0, 2**32 - 1).map(IPv4Address)
v6 = st.integers(0, 2**128 - 1).map(IPv6Address)


def shared_bits(one: IPv4Address | IPv6Address, other: IPv4Address | IPv6Address) -> int:
    return one.max_prefixlen - (int(one) ^ int(other)).bit_length()


@given(v4, st.integers(0, 24), st.integers(0, 2**24 - 1))
def test_ipv4_addresses_share_afterwards_what_they_shared(
    one: IPv4Address, width: int, low: int
) -> None:
    other = IPv4Address(int(one) ^ (low & ((1 << width) - 1)))
    assert shared_bits(MADE.address(one), MADE.address(other)) == shared_bits(one, other)


@given(v6, st.integers(0, 119))
@examples(40)
def test_ipv6_addresses_share_afterwards_what_they_shared(one: IPv6Address, bit: int) -> None:
    other = IPv6Address(int(one) ^ 1 << bit)
    assume(not {int(one), int(other)} & {0, 1} and not one.is_multicast)  # which stay
    assert shared_bits(MADE.address(one), MADE.address(other)) == shared_bits(one, other)


KEPT = ["0.0.0.0", "127.0.0.1", "224.0.0.18", "255.255.255.255", "::", "::1", "ff02::12"]


@pytest.mark.parametrize("text", KEPT)
def test_addresses_with_a_meaning_of_their_own_stay(text: str) -> None:
    assert str(MADE.address(ip_address(text))) == text


@given(v4)
@examples(200)
def test_no_address_is_mapped_to_one_with_a_meaning(address: IPv4Address) -> None:
    substitute, first = MADE.address(address), int(address) >> 24
    if first in (0, 127) or first >= 224:
        assert substitute == address
    else:
        assert 0 < int(substitute) >> 24 < 224
        assert int(substitute) >> 24 != 127


def test_a_solicited_nodes_group_does_not_tell_the_node() -> None:
    substitute = MADE.address(ip_address("ff02::1:ff12:3456"))
    assert str(substitute).startswith("ff02::1:ff")
    assert not str(substitute).endswith("12:3456")


@pytest.mark.parametrize(
    "mac", [0, 0xFFFFFFFFFFFF, 0x01005E000012, 0x00005E000133, 0x00005E000233, 0x333300000001]
)
def test_groups_and_vrrps_macs_stay(mac: int) -> None:
    assert MADE.mac(mac) == mac


@given(st.integers(1, 2**40 - 1))
def test_a_hosts_mac_becomes_a_locally_administered_one(number: int) -> None:
    mac = number | 0x52 << 40
    substitute = MADE.mac(mac)
    assert substitute != mac
    assert substitute >> 40 & 0b11 == 0b10
    assert MADE.mac(mac) == substitute


def test_a_name_has_one_stand_in_however_it_is_written() -> None:
    assert MADE.name("bal01") == MADE.name("Bal01") == MADE.name("BAL01")
    assert MADE.name("client") == "client"


def test_another_key_is_another_substitution() -> None:
    other = Substitution(bytes(32), ["bal01"])
    address, mac = ip_address("10.1.2.3"), 0x525400123456
    assert other.address(address) != MADE.address(address)
    assert other.name("bal01") != MADE.name("bal01")
    assert other.mac(mac) != MADE.mac(mac)


def test_a_clusters_mac_and_a_group_with_a_prefix_do_not_stay() -> None:
    cluster, group = 0x03BFCB00714D, ip_address("ff3e:40:2001:db8:7::1")
    assert MADE.mac(cluster) & 0xFFFFFFFF != 0xCB00714D
    assert MADE.mac(cluster) >> 40 & 1
    substitute = MADE.address(group)
    assert str(substitute).startswith("ff3e:")
    assert "2001:db8" not in str(substitute)
