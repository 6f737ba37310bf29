"""drop_entry's distribution, against the kernel's draws done one by one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.ipvs.drop_entry import mean_life_s, survival

BUCKETS = 4096
ENTRIES = 20_000
TIMER_S = 62.5


@pytest.fixture(scope="module")
def lives_s() -> np.ndarray:
    """Ages at which droppable entries went, had there been no timer.

    ``ip_vs_random_dropentry``: once a second, as many draws as 1/32 of the buckets, each of any
    bucket, drawn before or not; what is in the bucket goes.
    """
    rng = np.random.default_rng(20)
    bucket = rng.integers(BUCKETS, size=ENTRIES)
    born_s = rng.random(ENTRIES)  # before the first draw, at 1 s
    gone_s = np.full(ENTRIES, np.inf)
    for second in range(1, 400):
        drawn = np.zeros(BUCKETS, dtype=bool)
        drawn[rng.integers(BUCKETS, size=BUCKETS // 32)] = True
        gone_s = np.where(drawn[bucket] & np.isinf(gone_s), second, gone_s)
    return gone_s - born_s


@pytest.mark.parametrize("age_s", [1, 5, 10, 20, 32, 45, 60, 100])
def test_the_share_that_is_left_at_an_age(lives_s: np.ndarray, age_s: float) -> None:
    assert survival(age_s) == pytest.approx(float((lives_s > age_s).mean()), abs=0.03)


def test_the_mean_life_where_a_timer_ends_what_was_not_drawn(lives_s: np.ndarray) -> None:
    simulated_s = float(np.minimum(lives_s, TIMER_S).mean())
    assert mean_life_s(TIMER_S) == pytest.approx(simulated_s, rel=0.03)


def test_half_open_entries_as_measured() -> None:
    """50 entries under drop_entry=3 on a real kernel lived 32.67 s on average, 0.49 to 63.86."""
    spread_s = math.sqrt(
        np.var(np.minimum(32 * np.random.default_rng(1).exponential(size=9999), 62))
    )
    assert abs(32.67 - mean_life_s(TIMER_S)) < 3 * spread_s / math.sqrt(50)
    share_early = 1 - survival(0.49 + 1)
    assert 50 * share_early > 0.5  # one that early is no wonder among 50


AGES_S = st.integers(0, 10**12).map(lambda ns: ns / 1e9)


@given(AGES_S, AGES_S)
def test_ever_fewer_are_left(one_s: float, other_s: float) -> None:
    early_s, late_s = sorted((one_s, other_s))
    assert 0 <= survival(late_s) <= survival(early_s) <= 1
    assert mean_life_s(early_s) <= mean_life_s(late_s) <= min(late_s, 32) * (1 + 1e-12)


def test_before_it_is_born_nothing_was_dropped() -> None:
    assert survival(-5) == survival(0) == 1
    assert mean_life_s(0) == 0
