"""Many runs against the uniform age of the last advertisement."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from analyzer.failover.describe import failover
from analyzer.failover.repeats import repeats
from reports.failover.repeats import verdict
from tests.unit.analyzer.failover.builders_wire import Silence

if TYPE_CHECKING:
    from analyzer.failover.results import Failover


def ran(fault_s: float) -> Failover:
    outcome = failover(Silence(fault_s=fault_s, to_s=14).evidence())
    assert outcome is not None
    return outcome


@pytest.fixture(scope="module")
def uniform() -> list[Failover]:
    """A run of each age."""
    return [ran(4.35 + place / 10) for place in range(10)]


def test_runs_of_every_age_fit_the_theory(uniform: list[Failover]) -> None:
    outcome = repeats(uniform)
    assert (outcome.runs, outcome.invalid, outcome.fit_neither, outcome.misjudged) == (
        10,
        (),
        (),
        (),
    )
    assert outcome.range_s == pytest.approx((2.965, 3.965), abs=1e-3)
    assert outcome.p_value is not None
    assert outcome.p_value > 0.5
    assert "fit a uniform age" in outcome.sentence


def test_runs_of_one_age_contradict_it() -> None:
    outcome = repeats([ran(4.4)] * 12)
    assert outcome.p_value is not None
    assert outcome.p_value < 0.01
    assert "contradict" in outcome.sentence


def test_a_run_that_fits_neither_is_named_and_an_invalid_one_left_out(
    uniform: list[Failover],
) -> None:
    slow = replace(uniform[3], outage_s=12.0)
    invalid = replace(uniform[4], valid=False, why_invalid="x", outage_s=30.0)
    outcome = repeats([*uniform[:3], slow, invalid, *uniform[5:]])
    assert outcome.fit_neither == (4,)
    assert outcome.invalid == (5,)
    assert "runs that fit neither: 4; invalid: 5" in outcome.sentence


def test_few_runs_are_not_judged_as_a_distribution(uniform: list[Failover]) -> None:
    assert repeats(uniform[:2]).p_value is None
    assert repeats([]).outage_mean_s is None


def test_a_row_that_was_interrupted_says_how_far_it_came(uniform: list[Failover]) -> None:
    outcome = repeats(uniform[:3], planned=5)
    assert outcome.sentence.startswith("interrupted after 3 of 5 runs; 3 of 3 runs judged")
    assert verdict(outcome).startswith("Interrupted after 3 of 5 runs. 3 of 3 fail-overs lasted")
    assert "interrupted" not in repeats(uniform[:3], planned=3).sentence
