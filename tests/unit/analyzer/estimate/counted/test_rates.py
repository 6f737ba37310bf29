"""What CPS allows of connections, against the kernel's estimator, simulated by its formula."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.estimate.counted.rates import (
    ConnectionRates,
    allow,
    allow_arrivals,
    arrivals_of_steady,
    believed,
    births_of_burst,
    births_seen,
    show_clearly,
)
from tests.unit.analyzer.estimate.counted.builders_load import Log, Stage
from tests.unit.properties import examples

SLACK_S = 3.0


def rates_of(log: Log) -> ConnectionRates:
    rates = replace(log, with_rates=True).series().rates
    assert rates is not None
    return rates


def burst(n: int, over_s: float = 0.5, **others: object) -> Log:
    stages = (Stage(over_s=over_s, rate_per_s=n / over_s),)
    return Log(stages=stages, timeout_s=60.0, **others)  # type: ignore[arg-type]


def steady(rate_per_s: float, over_s: float = 300.0, **others: object) -> Log:
    stages = (Stage(over_s=over_s, rate_per_s=rate_per_s),)
    return Log(stages=stages, timeout_s=45.0, **others)  # type: ignore[arg-type]


def allows_burst(log: Log) -> bool:
    series = log.series()
    births = births_of_burst(series.t_s, series.active, series.inactive)
    return allow(rates_of(log), births, series.stamp_s)


def allows_steady(log: Log, rate_per_s: float, load_s: float | None) -> bool:
    series = log.series()
    arrivals = arrivals_of_steady(series.t_s, series.active, -log.begins_s, load_s, rate_per_s)
    return allow_arrivals(rates_of(log), arrivals, SLACK_S)


def test_the_simulated_estimator_counts_as_the_kernel_does() -> None:
    """80 at once are 10 a second, of which each step loses a quarter; 7.5 is printed as 7."""
    rates = rates_of(burst(80, over_s=0.1, estimator_step_s=2.0))
    assert rates.cps[rates.cps > 0].tolist() == [10, 7, 6, 4, 3, 2, 2, 1, 1, 1, 1]
    long = rates_of(steady(7.0, estimator_step_s=2.0))
    assert set(long.cps[40:140].tolist()) == {7}


PHASES = st.floats(0.0, 2.0)
STEPS_S = st.sampled_from([2.0, 2.016, 2.08])
POLLS_S = st.sampled_from([1.0, 2.0, 5.0, 10.0])


@given(
    n=st.integers(1, 500), over_s=st.floats(0.1, 20.0), phase=PHASES, step_s=STEPS_S, poll_s=POLLS_S
)
@examples(25, derandomize=True)
def test_what_came_as_a_burst_is_allowed_whatever_the_phase(
    n: int, over_s: float, phase: float, step_s: float, poll_s: float
) -> None:
    log = burst(n, over_s, estimator_phase_s=phase, estimator_step_s=step_s, poll_s=poll_s)
    assert allows_burst(log)


@given(
    rate_per_s=st.sampled_from([0.5, 1.0, 3.0, 20.0, 200.0]),
    over_s=st.floats(60.0, 400.0),
    phase=PHASES,
    step_s=STEPS_S,
    poll_s=POLLS_S,
    arrivals=st.sampled_from(["regular", "poisson"]),
    seed=st.integers(0, 99),
)
@examples(25, derandomize=True)
def test_what_came_steadily_is_allowed_whatever_the_phase(
    rate_per_s: float, over_s: float, phase: float, step_s: float, **others: object
) -> None:
    log = steady(rate_per_s, over_s, estimator_phase_s=phase, estimator_step_s=step_s, **others)
    assert allows_steady(log, rate_per_s, over_s)


@pytest.mark.parametrize("poll_s", [1.0, 2.0, 5.0, 10.0])
@pytest.mark.parametrize("rate_per_s", [2.0, 5.0, 50.0])
def test_a_steady_load_is_no_burst_and_a_burst_no_steady_load(
    rate_per_s: float, poll_s: float
) -> None:
    assert not allows_burst(steady(rate_per_s, lateness="none", poll_s=poll_s))
    short = steady(rate_per_s, over_s=45.0, lateness="none", poll_s=poll_s)
    assert not allows_steady(short, rate_per_s, 300.0)


def test_connections_that_rounding_hides_are_allowed_either_way() -> None:
    """CPS never rises above 0 for one connection every three seconds."""
    log = steady(1 / 3, lateness="none")
    assert not rates_of(log).cps.any()
    assert allows_steady(log, 1 / 3, 300.0)
    assert allows_burst(log)
    assert not show_clearly(rates_of(log))


def test_each_real_server_adds_its_own_rounding() -> None:
    log = steady(2.0, lateness="none")
    many = replace(rates_of(log), servers=10)
    series = log.series()
    births = births_of_burst(series.t_s, series.active, series.inactive)
    assert allow(many, births, series.stamp_s)
    assert not show_clearly(many)


def test_what_came_before_the_first_look_decays_and_contradicts_nothing() -> None:
    log = burst(400, over_s=0.5, begins_s=3.0)
    rates = rates_of(log)
    assert rates.cps[0] > 10
    assert allows_burst(log)


# -- an estimator that does not run ----------------------------------------------------------------


def is_believed(log: Log) -> bool:
    series = log.series()
    seen = births_seen(series.t_s, series.active, series.inactive)
    return believed(rates_of(log), seen, series.stamp_s)


@pytest.mark.parametrize(
    "estimates", [(np.inf, np.inf), (60.0, np.inf)], ids=["never", "from later on"]
)
def test_a_cps_of_0_while_counters_rise_is_no_measurement(estimates: tuple[float, float]) -> None:
    assert is_believed(steady(5.0))
    assert not is_believed(steady(5.0, estimates=estimates))


def test_a_cps_of_0_all_along_proves_nothing_though_nothing_contradicts_it() -> None:
    """Three connections do not show; neither does an estimator that was stopped."""
    assert not is_believed(burst(3))


def test_a_cps_that_froze_fits_no_load_that_ended() -> None:
    log = steady(5.0, estimates=(-np.inf, 30.0), lateness="none")
    assert is_believed(log)
    assert not allows_burst(log)
    assert not allows_steady(log, 5.0, 300.0)
