"""What comes in: each frame finds the address of ours that it is for, or none."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.load.engines.packets.wire.intake import Places

NEAR = [f"fd99::{number:x}" for number in range(1, 6)]
FAR = [f"fd99:{number:x}::1" for number in range(1, 6)]
"""Whose lower halves are the same."""


def pools(version: Any) -> st.SearchStrategy[list[str]]:
    addresses = st.ip_addresses(v=version).map(str)
    return st.lists(addresses, min_size=2, max_size=40, unique=True)


def words(addresses: list[str]) -> Any:
    packed = b"".join(ip_address(address).packed for address in addresses)
    return np.frombuffer(packed, ">u4").reshape(len(addresses), -1).astype(np.uint32)


@given(pool=st.one_of(pools(4), pools(6), st.just(NEAR + FAR)), port=st.integers(1, 65535))
def test_an_address_of_the_pool_is_found_and_another_is_nobodys(pool: list[str], port: int) -> None:
    """The last of them is not in it."""
    ports = np.full(len(pool), port, np.uint32)
    found = Places(pool[:-1]).pairs(words(pool), ports)
    assert found.tolist() == [number * 65536 + port for number in range(len(pool) - 1)] + [0]


@pytest.mark.parametrize("alone", ["192.0.2.7", "fd99::7"])
def test_a_pool_of_one_knows_its_own(alone: str) -> None:
    other = alone.replace("7", "8")
    found = Places([alone]).pairs(words([alone, other]), np.array([80, 80], np.uint32))
    assert found.tolist() == [80, 0]
