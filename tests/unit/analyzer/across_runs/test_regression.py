"""Two runs differ when they do, and only then: granules, order statistics, exact counts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.across_runs.regression import (
    Tolerances,
    changed,
    count_difference,
    differences,
    peak_difference,
    quantile_difference,
    quantile_draws,
    timeout_difference,
)
from analyzer.results import Estimate, Lifetime, Spread
from tests.unit.reports import builders_analysis as build

NOTHING = Tolerances(timeout_s=0, latency_share=0, latency_ms=0, peak_share=0, peak=0)


def group(mean_s: float, measured: Estimate | None, granule_s: float = 0.64) -> Lifetime:
    lived = Spread(mean=mean_s, min=mean_s, max=mean_s, uncertainty=0.1)
    return replace(
        build.demo().lifetimes[0],
        lifetime_s=lived,
        timeout_measured_s=measured,
        granule_s=granule_s,
    )


# -- timeouts ------------------------------------------------------------------------------------


def test_a_timeout_that_moved_by_more_than_both_uncertainties_differs() -> None:
    before = group(20.3, Estimate(value=20.0, uncertainty=0.1))
    after = group(30.5, Estimate(value=30.1, uncertainty=0.2))
    found = timeout_difference("FIN_WAIT", before, after)
    assert found.verdict == "higher"
    assert found.difference == pytest.approx(10.1)
    assert (found.low, found.high) == pytest.approx((9.8, 10.4))


def test_within_both_uncertainties_it_is_alike() -> None:
    before = group(20.3, Estimate(value=20.0, uncertainty=0.1))
    after = group(20.4, Estimate(value=20.15, uncertainty=0.1))
    assert timeout_difference("FIN_WAIT", before, after).verdict == "alike"


def test_without_the_timers_phase_a_granule_stays_open() -> None:
    before, after = group(20.1, None), group(20.7, None)
    found = timeout_difference("FIN_WAIT", before, after)
    assert found.verdict == "alike"
    assert found.low == pytest.approx(0.6 - 0.2 - 0.64)
    assert timeout_difference("FIN_WAIT", before, group(21.1, None)).verdict == "higher"


def test_a_state_that_one_run_did_not_have_is_unknown_not_alike() -> None:
    found = timeout_difference("CLOSE", None, group(10.1, None))
    assert (found.verdict, found.difference, found.after) == ("unknown", None, 10.1)


# -- counts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ((0, 1000), (0, 1000), "alike"),
        ((0, 1000), (2, 1000), "alike"),  # p = 0.5: chance does that
        ((0, 1000), (20, 1000), "higher"),
        ((50, 50), (0, 50), "lower"),
        ((5, 1000), (50, 10_000), "alike"),  # ten times as many of ten times as many
        ((0, 0), (3, 1000), "unknown"),
    ],
)
def test_counts_are_judged_exactly(
    before: tuple[int, int], after: tuple[int, int], verdict: str
) -> None:
    found = count_difference("failed", before, after)
    assert found.verdict == verdict
    assert found.before == (before[0] if before[1] else None)


def test_a_peak_is_compared_as_it_was_polled() -> None:
    assert peak_difference("inactive_peak", 1000.0, 1040.0, Tolerances()).verdict == "alike"
    assert peak_difference("inactive_peak", 1000.0, 1060.0, Tolerances()).verdict == "higher"
    assert peak_difference("inactive_peak", 3.0, 0.0, Tolerances()).verdict == "lower"
    assert peak_difference("inactive_peak", None, 5.0, Tolerances()).verdict == "unknown"


# -- quantiles -----------------------------------------------------------------------------------


def test_the_draws_are_the_bootstrap_of_the_quantile() -> None:
    """Against real resampling: the same spread, to a tenth."""
    random = np.random.default_rng(5)
    values = random.lognormal(0, 1, 400)
    resampled = [
        np.percentile(random.choice(values, 400), 90, method="inverted_cdf") for _ in range(4000)
    ]
    drawn = quantile_draws(values, 0.9, random)
    assert drawn.mean() == pytest.approx(np.mean(resampled), rel=0.03)
    assert drawn.std() == pytest.approx(np.std(resampled), rel=0.15)


def test_unchanged_runs_give_no_alarm_and_a_real_shift_is_found() -> None:
    alarms, found = 0, 0
    for seed in range(200):
        random = np.random.default_rng(seed)
        first, second = random.lognormal(1, 0.5, (2, 2000))
        for quantile in (0.5, 0.9, 0.99):
            alike = quantile_difference("x", quantile, first, second, NOTHING)
            moved = quantile_difference("x", quantile, first, second * 1.5, NOTHING)
            alarms += alike.verdict != "alike"
            found += moved.verdict == "higher"
    assert alarms <= 12  # 600 at 1 in 100, and some luck
    assert found >= 590


def test_slow_spells_widen_the_interval() -> None:
    random = np.random.default_rng(3)
    spells = np.repeat(random.lognormal(0, 0.7, 40), 50) * random.lognormal(0, 0.05, 2000)
    mixed = random.permutation(spells)
    clumped, loose = (quantile_draws(one, 0.9, np.random.default_rng(0)) for one in (spells, mixed))
    assert np.std(clumped) > 2 * np.std(loose)


def test_too_few_values_are_unknown_and_say_how_many_are_needed() -> None:
    values = np.arange(1.0, 51)
    found = quantile_difference("connect_p99", 0.99, values, values, NOTHING)
    assert found.verdict == "unknown"
    assert found.by == "too few: 50 values, 1,000 are needed"
    assert quantile_difference("connect_p50", 0.5, values, values, NOTHING).verdict == "alike"


def test_a_shift_within_the_tolerance_is_none() -> None:
    values = np.linspace(10, 11, 5000)
    allowed = Tolerances(latency_share=0.2, latency_ms=0.5)
    assert quantile_difference("x", 0.5, values, values + 1.5, allowed).verdict == "alike"
    assert quantile_difference("x", 0.5, values, values + 2.5, allowed).verdict == "higher"


@given(
    st.lists(st.floats(0.01, 1e5), min_size=1, max_size=200),
    st.lists(st.floats(0.01, 1e5), min_size=1, max_size=200),
    st.sampled_from([0.5, 0.9, 0.99]),
)
def test_exchanging_the_runs_turns_the_difference_round(
    one: list[float], other: list[float], quantile: float
) -> None:
    there, back = (
        quantile_difference("x", quantile, np.array(a), np.array(b), NOTHING)
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


# -- whole runs ----------------------------------------------------------------------------------


def test_a_run_is_like_itself() -> None:
    found = differences(build.demo(), build.demo())
    assert changed(found) == ()
    assert {one.quantity for one in found} >= {
        "timeout(FIN_WAIT)",
        "ended(FIN_WAIT)",
        "inactive_peak",
        "failed",
        "late",
        "connect_p50",
        "total_p99",
    }


def test_another_last_state_is_a_difference_of_both_states() -> None:
    run = build.demo()
    nat = replace(run, lifetimes=(replace(run.lifetimes[0], state="TIME_WAIT"),))
    named = {one.quantity: one.verdict for one in changed(differences(run, nat))}
    assert named == {"ended(FIN_WAIT)": "lower", "ended(TIME_WAIT)": "higher"}


@pytest.mark.parametrize("name", build.RUNS)
def test_any_two_runs_can_be_compared(name: str) -> None:
    for pair in ((build.demo(), build.RUNS[name]()), (build.RUNS[name](), build.demo())):
        for one in differences(*pair):
            assert (one.difference is None) == (one.verdict == "unknown")
