"""Two runs differ when they do, and only then: granules, exact counts, whole runs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analyzer.across_runs.difference import Tolerances, changed
from analyzer.across_runs.regression import (
    count_difference,
    differences,
    peak_difference,
    timeout_difference,
)
from analyzer.results import Estimate, Lifetime, Spread
from tests.unit.reports import builders_analysis as build


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
