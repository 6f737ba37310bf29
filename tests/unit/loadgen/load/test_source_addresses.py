"""``--local-ips``: ranges and networks, and whether this machine has them."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.errors import UsageProblem
from loadgen.load.source_addresses import MOST_ADDRESSES, check_pool, parse_pool


@pytest.mark.parametrize(
    ("text", "pool"),
    [
        ("10.0.0.7", ["10.0.0.7"]),
        ("10.0.0.7-10.0.0.9", ["10.0.0.7", "10.0.0.8", "10.0.0.9"]),
        ("10.0.0.0/30", ["10.0.0.1", "10.0.0.2"]),
        ("10.0.0.4/31", ["10.0.0.4", "10.0.0.5"]),
        ("10.0.0.4/32", ["10.0.0.4"]),
        ("10.0.0.9, 10.0.0.1,10.0.0.9", ["10.0.0.9", "10.0.0.1"]),
        ("2001:db8::1-2001:db8::2", ["2001:db8::1", "2001:db8::2"]),
    ],
)
def test_addresses_ranges_and_networks(text: str, pool: list[str]) -> None:
    assert list(parse_pool(text)) == pool


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "10.0.0.1-",
        "10.0.0.9-10.0.0.1",
        "10.0.0.1-2001:db8::1",
        "10.0.0.0/33",
        "10.0.0.0/8",
        "::/0",
        "10.0.0.1,,10.0.0.2",
    ],
)
def test_what_is_none_or_too_many_is_one_line(text: str) -> None:
    with pytest.raises(UsageProblem, match="--local-ips") as caught:
        parse_pool(text)
    assert "\n" not in str(caught.value)


@given(st.integers(0, 2**32 - MOST_ADDRESSES), st.integers(1, 500))
def test_a_range_holds_each_address_from_its_first_to_its_last(first: int, count: int) -> None:
    last = first + count - 1
    pool = parse_pool(f"{IPv4Address(first)}-{IPv4Address(last)}")
    assert [int(IPv4Address(address)) for address in pool] == list(range(first, last + 1))


def test_an_address_that_this_machine_has_not_is_named() -> None:
    check_pool(["127.0.0.1", "127.77.0.1"])
    with pytest.raises(UsageProblem, match=r"192\.0\.2\.77 is not an address of this machine"):
        check_pool(["127.0.0.1", "192.0.2.77"])
