"""Addresses and ports: each pair in one hand at a time, and none again before it has rested."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from loadgen.load.engines.packets.ports import FIRST_PORT, PORTS, Pairs


def split(pairs: list[int]) -> list[tuple[int, int]]:
    return [(pair >> 16, pair & 0xFFFF) for pair in pairs]


def test_addresses_take_turns() -> None:
    taken = split(Pairs(3).take(5, 0).tolist())
    assert taken == [
        (0, FIRST_PORT),
        (1, FIRST_PORT),
        (2, FIRST_PORT),
        (0, FIRST_PORT + 1),
        (1, FIRST_PORT + 1),
    ]


def test_every_port_of_every_address_goes_out_once_and_then_there_is_none() -> None:
    pairs = Pairs(2)
    taken = split(pairs.take(3 * PORTS, 0).tolist())
    assert len(set(taken)) == len(taken) == 2 * PORTS
    assert max(taken) == (1, 65535)
    assert len(pairs.take(1, 0)) == 0


def test_without_a_time_the_one_that_rested_longest_comes_after_all_others() -> None:
    pairs = Pairs(1)
    (first,) = pairs.take(1, 0)
    pairs.give_back(pairs.take(1, 0), 5)
    pairs.give_back(pairs.take(0, 0), 5)
    rest = pairs.take(PORTS, 9)
    assert len(rest) == PORTS - 1
    assert rest[-1] == first + 1


def test_a_port_comes_back_before_the_others_when_its_time_is_over_and_not_before() -> None:
    pairs = Pairs(1, 1000)
    pairs.give_back(pairs.take(2, 0), 100)
    assert split(pairs.take(1, 1099).tolist()) == [(0, FIRST_PORT + 2)]
    assert split(pairs.take(3, 1100).tolist()) == [
        (0, FIRST_PORT),
        (0, FIRST_PORT + 1),
        (0, FIRST_PORT + 3),
    ]


@given(
    st.none() | st.integers(0, 50),
    st.lists(
        st.tuples(st.integers(0, 3000), st.integers(0, 3000), st.integers(0, 40)), max_size=30
    ),
)
def test_no_pair_is_ever_in_two_hands_or_back_too_soon(
    reuse_ns: int | None, steps: list[tuple[int, int, int]]
) -> None:
    pairs, now = Pairs(2, reuse_ns), 0
    out: list[int] = []
    returned: dict[int, int] = {}
    for wanted, back, wait in steps:
        now += wait
        for pair in pairs.take(wanted, now).tolist():
            assert now - returned.get(pair, -(10**9)) >= (reuse_ns or 0)
            out.append(pair)
        assert len(set(out)) == len(out)
        going, out = out[:back], out[back:]
        returned.update(dict.fromkeys(going, now))
        pairs.give_back(np.array(going, np.int64), now)
