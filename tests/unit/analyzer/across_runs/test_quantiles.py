"""Quantiles of latencies differ when they do, and only then."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.across_runs.difference import Tolerances
from analyzer.across_runs.quantiles import Sample, quantile_difference, quantile_draws

if TYPE_CHECKING:
    from analyzer.across_runs.difference import Difference
    from analyzer.arrays import Floats

NOTHING = Tolerances(timeout_s=0, latency_share=0, latency_ms=0, peak_share=0, peak=0)


def difference_of(
    name: str, quantile: float, before: Floats, after: Floats, allowed: Tolerances
) -> Difference:
    samples = Sample.of(before), Sample.of(after)
    return quantile_difference(name, quantile, *samples, allowed)


def test_batches_go_on_from_one_stretch_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analyzer.charts.long_columns.PART_ROWS", 7)
    values = np.r_[np.arange(10.0), np.nan, np.arange(10.0, 20.0)]
    batches = np.concatenate([*Sample.of(values).batches(3)])
    assert batches.tolist() == np.arange(18.0).reshape(-1, 3).tolist()


def test_the_draws_are_the_bootstrap_of_the_quantile() -> None:
    """Against real resampling: the same spread, to a tenth."""
    random = np.random.default_rng(5)
    values = random.lognormal(0, 1, 400)
    resampled = [
        np.percentile(random.choice(values, 400), 90, method="inverted_cdf") for _ in range(4000)
    ]
    drawn = quantile_draws(Sample.of(values), 0.9, random)
    assert drawn.mean() == pytest.approx(np.mean(resampled), rel=0.03)
    assert drawn.std() == pytest.approx(np.std(resampled), rel=0.15)


def test_unchanged_runs_give_no_alarm_and_a_real_shift_is_found() -> None:
    alarms, found = 0, 0
    for seed in range(200):
        random = np.random.default_rng(seed)
        first, second = random.lognormal(1, 0.5, (2, 2000))
        for quantile in (0.5, 0.9, 0.99):
            alike = difference_of("x", quantile, first, second, NOTHING)
            moved = difference_of("x", quantile, first, second * 1.5, NOTHING)
            alarms += alike.verdict != "alike"
            found += moved.verdict == "higher"
    assert alarms <= 12  # 600 at 1 in 100, and some luck
    assert found >= 590


def test_slow_spells_widen_the_interval() -> None:
    random = np.random.default_rng(3)
    spells = np.repeat(random.lognormal(0, 0.7, 40), 50) * random.lognormal(0, 0.05, 2000)
    mixed = random.permutation(spells)
    clumped, loose = (
        quantile_draws(Sample.of(one), 0.9, np.random.default_rng(0)) for one in (spells, mixed)
    )
    assert np.std(clumped) > 2 * np.std(loose)


def test_too_few_values_are_unknown_and_say_how_many_are_needed() -> None:
    values = np.arange(1.0, 51)
    found = difference_of("connect_p99", 0.99, values, values, NOTHING)
    assert found.verdict == "unknown"
    assert found.by == "too few: 50 values, 1,000 are needed"
    assert difference_of("connect_p50", 0.5, values, values, NOTHING).verdict == "alike"


def test_a_shift_within_the_tolerance_is_none() -> None:
    values = np.linspace(10, 11, 5000)
    allowed = Tolerances(latency_share=0.2, latency_ms=0.5)
    assert difference_of("x", 0.5, values, values + 1.5, allowed).verdict == "alike"
    assert difference_of("x", 0.5, values, values + 2.5, allowed).verdict == "higher"


@given(
    st.lists(st.floats(0.01, 1e5), min_size=1, max_size=200),
    st.lists(st.floats(0.01, 1e5), min_size=1, max_size=200),
    st.sampled_from([0.5, 0.9, 0.99]),
)
def test_exchanging_the_runs_turns_the_difference_round(
    one: list[float], other: list[float], quantile: float
) -> None:
    there, back = (
        difference_of("x", quantile, np.array(a), np.array(b), NOTHING)
        for a, b in ((one, other), (other, one))
    )
    assert {there.verdict, back.verdict} in (
        {"alike"},
        {"unknown"},
        {"higher", "lower"},
        {"alike", "higher"},  # at the very edge the draws decide
        {"alike", "lower"},
    )
    if there.difference is not None and back.difference is not None:
        assert there.difference == pytest.approx(-back.difference)
