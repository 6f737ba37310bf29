"""drop_entry's distribution, against the kernel's sweeps done one by one, before and since 7.1."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.ipvs.drop_entry import half_life_s, in_words, sweep_of
from tests.unit.analyzer.ipvs.law import mean_life_s, survival

BUCKETS = 4096
ENTRIES = 20_000
TIMER_S = 62.5
DRAWN, IN_A_ROW = "6.12.113", "7.2.7"
KERNELS = (DRAWN, IN_A_ROW)


def looked_at(rng: np.random.Generator, kernel: str) -> np.ndarray:
    """The buckets of one second: as ``ip_vs_random_dropentry`` chooses them."""
    if kernel == DRAWN:
        return rng.integers(BUCKETS, size=BUCKETS // 32)
    return (rng.integers(BUCKETS) + np.arange(BUCKETS // 32)) % BUCKETS


@pytest.fixture(scope="module", params=KERNELS)
def swept(request: pytest.FixtureRequest) -> tuple[str, np.ndarray]:
    """A kernel, and the ages at which entries were dropped there, had there been no timer.

    Many tables, as neighbours in one share their fate where buckets lie in a row.
    """
    kernel: str = request.param
    rng = np.random.default_rng(20)
    lives = []
    for _ in range(60):
        bucket = rng.integers(BUCKETS, size=ENTRIES // 10)
        born_s = rng.random(len(bucket))  # before the first sweep, at 1 s
        gone_s = np.full(len(bucket), np.inf)
        for second in range(1, 400):
            hit = np.zeros(BUCKETS, dtype=bool)
            hit[looked_at(rng, kernel)] = True
            gone_s = np.where(hit[bucket] & np.isinf(gone_s), second, gone_s)
        lives.append(gone_s - born_s)
    return kernel, np.concatenate(lives)


@pytest.mark.parametrize("age_s", [1, 5, 10, 20, 32, 45, 60, 100])
def test_the_share_that_is_left_at_an_age(swept: tuple[str, np.ndarray], age_s: float) -> None:
    kernel, lives_s = swept
    assert survival(age_s, kernel) == pytest.approx(float((lives_s > age_s).mean()), abs=0.02)


def test_the_mean_life_where_a_timer_ends_what_was_not_swept(
    swept: tuple[str, np.ndarray],
) -> None:
    kernel, lives_s = swept
    simulated_s = float(np.minimum(lives_s, TIMER_S).mean())
    assert mean_life_s(TIMER_S, kernel) == pytest.approx(simulated_s, rel=0.03)


@pytest.mark.parametrize(
    ("kernel", "spared"),
    [
        ("4.19.0", math.exp(-1 / 32)),
        ("6.12.113", math.exp(-1 / 32)),
        ("7.0.9", math.exp(-1 / 32)),
        (None, math.exp(-1 / 32)),  # taken for 6.1
        ("7.1.0", 31 / 32),
        ("7.2.7", 31 / 32),
    ],
)
def test_the_survival_goes_by_the_kernels_version(kernel: str | None, spared: float) -> None:
    assert sweep_of(kernel).spared == spared
    for age_s in (1, 7, 60):
        assert survival(age_s, kernel) == pytest.approx(spared**age_s)


def test_what_drop_entry_does_is_stated_of_each_kernel() -> None:
    assert in_words(DRAWN) == (
        "drop_entry looks at 1/32 of the table each second (buckets drawn one by one, some of them "
        "twice): of what may be dropped, half is gone after 22.2 s."
    )
    assert in_words(IN_A_ROW) == (
        "drop_entry looks at 1/32 of the table each second (buckets in a row, from one that is "
        "drawn): of what may be dropped, half is gone after 21.8 s."
    )


def test_half_open_entries_as_measured() -> None:
    """50 entries under drop_entry=3 on a real kernel lived 32.67 s on average, 0.49 to 63.86."""
    spread_s = math.sqrt(
        np.var(np.minimum(32 * np.random.default_rng(1).exponential(size=9999), 62))
    )
    assert abs(32.67 - mean_life_s(TIMER_S, DRAWN)) < 3 * spread_s / math.sqrt(50)
    share_early = 1 - survival(0.49 + 1, DRAWN)
    assert 50 * share_early > 0.5  # one that early is no wonder among 50


AGES_S = st.integers(0, 10**12).map(lambda ns: ns / 1e9)


@given(AGES_S, AGES_S, st.sampled_from(KERNELS))
def test_ever_fewer_are_left(one_s: float, other_s: float, kernel: str) -> None:
    early_s, late_s = sorted((one_s, other_s))
    assert 0 <= survival(late_s, kernel) <= survival(early_s, kernel) <= 1
    lives_s = (mean_life_s(early_s, kernel), mean_life_s(late_s, kernel))
    assert lives_s[0] <= lives_s[1] <= min(late_s, 32) * (1 + 1e-12)


@given(AGES_S)
def test_in_a_row_a_little_more_is_dropped(age_s: float) -> None:
    assert survival(age_s, IN_A_ROW) <= survival(age_s, DRAWN)
    assert half_life_s(IN_A_ROW) < half_life_s(DRAWN)


@pytest.mark.parametrize("kernel", KERNELS)
def test_before_it_is_born_nothing_was_dropped(kernel: str) -> None:
    assert survival(-5, kernel) == survival(0, kernel) == 1
    assert mean_life_s(0, kernel) == 0
