"""How long connections are held: as given on average, the same again with the same seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.load.hold import Hold

NUMBERS = np.arange(20_000)
UNIFORM = Hold(distribution="uniform", given_s=(1.0, 5.0))
EXPONENTIAL = Hold(distribution="exponential", given_s=(3.0,))


def test_a_plain_hold_is_the_same_for_all() -> None:
    hold = Hold(given_s=(1.5,))
    assert (hold.mean_s, hold.varies, hold.ns(7)) == (1.5, False, 1_500_000_000)
    assert set(hold.ns_of(NUMBERS[:10])) == {1_500_000_000}


@pytest.mark.parametrize(
    ("hold", "part", "held_s"),
    [
        (UNIFORM, 0.25, 2.0),
        (UNIFORM, 0.5, 3.0),
        (UNIFORM, 0.99, 4.96),
        (EXPONENTIAL, 0.5, 3 * np.log(2)),
        (EXPONENTIAL, 0.99, 3 * np.log(100)),
    ],
)
def test_a_part_of_all_is_held_no_longer_than_the_distribution_says(
    hold: Hold, part: float, held_s: float
) -> None:
    held = hold.ns_of(NUMBERS) / 1e9
    assert np.mean(held <= held_s) == pytest.approx(part, abs=0.015)
    assert held.mean() == pytest.approx(hold.mean_s, rel=0.03)


def test_neighbours_have_nothing_to_do_with_each_other() -> None:
    held = UNIFORM.ns_of(NUMBERS).astype(float)
    assert abs(np.corrcoef(held[1:], held[:-1])[0, 1]) < 0.03


@given(
    seed=st.integers(-(2**63), 2**63),
    number=st.integers(0, 2**40),
    hold=st.sampled_from([UNIFORM, EXPONENTIAL]),
)
def test_it_hangs_on_seed_and_number_alone(seed: int, number: int, hold: Hold) -> None:
    seeded = Hold(distribution=hold.distribution, given_s=hold.given_s, seed=seed)
    held_ns = seeded.ns(number)
    assert held_ns >= 0
    assert seeded.ns_of(np.array([number + 1, number]))[1] == held_ns
    if hold is UNIFORM:
        assert 1_000_000_000 <= held_ns <= 5_000_000_000


def test_another_seed_gives_other_times() -> None:
    other = Hold(distribution="uniform", given_s=(1.0, 5.0), seed=1)
    assert abs(np.corrcoef(UNIFORM.ns_of(NUMBERS), other.ns_of(NUMBERS))[0, 1]) < 0.03
