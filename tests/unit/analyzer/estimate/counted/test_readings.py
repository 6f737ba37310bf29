"""What is claimed of simulated logs covers the truth; else it is said why nothing is claimed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from analyzer.estimate.counted.readings import (
    BEFORE,
    CONTRADICTED,
    HIDDEN,
    MEAN,
    NEVER,
    STILL_ON,
    TWO,
    UNEVEN,
    Interpretation,
    Interpretations,
    readings_of,
)
from tests.unit.analyzer.estimate.counted.builders_load import Log, Stage
from tests.unit.properties import examples


def covers(reading: Interpretation, timeout_s: float) -> bool:
    return abs(reading.timeout_s.value - timeout_s) <= reading.timeout_s.uncertainty


def found(log: Log, hz: int | None = None) -> Interpretations:
    return readings_of(log.series(), hz)


def steady(timeout_s: float, over_s: float, rate_per_s: float = 5.0, **others: object) -> Log:
    stages = (Stage(over_s=over_s, rate_per_s=rate_per_s),)
    return Log(stages=stages, timeout_s=timeout_s, **others)  # type: ignore[arg-type]


# -- a steady load -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("timeout_s", "over_s", "rate_per_s"),
    [(45.0, 600.0, 5.0), (20.0, 300.0, 10.0), (60.0, 240.0, 2.0), (30.0, 90.0, 20.0)],
)
def test_a_load_as_even_as_a_clock_has_two_readings_and_one_is_true(
    timeout_s: float, over_s: float, rate_per_s: float
) -> None:
    said = found(steady(timeout_s, over_s, rate_per_s, lateness="none"))
    assert said.claimed == ()
    assert said.why == TWO
    long, short = said.open
    assert (long.load, short.load) == ("steady", "burst")
    assert covers(long, timeout_s)
    assert long.rate_per_s == pytest.approx(rate_per_s, rel=0.05)
    assert covers(short, over_s)


@pytest.mark.parametrize("arrivals", ["regular", "poisson"])
@pytest.mark.parametrize(
    ("timeout_s", "over_s", "rate_per_s"), [(45.0, 180.0, 20.0), (30.0, 200.0, 50.0)]
)
def test_an_uneven_one_is_claimed_or_left_open_never_taken_for_a_burst(
    timeout_s: float, over_s: float, rate_per_s: float, arrivals: str
) -> None:
    said = found(steady(timeout_s, over_s, rate_per_s, lateness="random", arrivals=arrivals))
    assert all(reading.load == "steady" for reading in said.claimed + said.open)
    assert all(covers(reading, timeout_s) for reading in said.claimed + said.open)
    assert said.claimed or said.why


def test_a_steady_load_whose_entries_go_at_uneven_instants_is_claimed() -> None:
    said = found(steady(45.0, 180.0, lateness="random"))
    (reading,) = said.claimed
    assert reading.load == "steady"
    assert covers(reading, 45.0)
    assert reading.timeout_s.uncertainty < 10
    assert reading.n == pytest.approx(900, rel=0.03)
    assert reading.load_s == pytest.approx(180, abs=5)


def test_of_a_load_that_was_still_on_nothing_false_is_claimed() -> None:
    said = found(steady(45.0, 600.0, lateness="none", ends_s=300.0))
    assert said.claimed == ()
    assert said.why in (NEVER, STILL_ON)


def test_of_a_load_that_began_before_the_log_nothing_is_claimed() -> None:
    said = found(steady(45.0, 600.0, lateness="random", begins_s=200.0))
    assert said == Interpretations(claimed=(), why=BEFORE)


@pytest.mark.parametrize("poll_s", [2.0, 5.0])
def test_conns_settle_what_the_counter_leaves_open(poll_s: float) -> None:
    log = steady(45.0, 300.0, lateness="none", with_conns=True, poll_s=poll_s)
    (reading,) = found(log).claimed
    assert reading.load == "counted"
    assert covers(reading, 45.0)
    assert reading.n == pytest.approx(1500, rel=0.03)


def test_of_a_load_before_and_after_the_log_conns_tell_the_mean() -> None:
    """What is there, over what comes (Little's law); who was reset does not show."""
    log = steady(45.0, 900.0, lateness="random", with_conns=True, begins_s=200.0, ends_s=700.0)
    said = found(log)
    assert (said.claimed, said.why) == ((), MEAN)
    assert covers(said.open[0], 45.0)
    (reading,) = found(replace(log, protocol="UDP")).claimed  # which knows no resets
    assert covers(reading, 45.0)


# -- bursts --------------------------------------------------------------------------------------


@pytest.mark.parametrize("lateness", ["kernel", "random", "none"])
@pytest.mark.parametrize("poll_s", [1.0, 2.0, 5.0])
@pytest.mark.parametrize("timeout_s", [20.0, 60.0, 120.0])
def test_a_burst_that_came_at_once_is_claimed(
    timeout_s: float, poll_s: float, lateness: str
) -> None:
    stages = (Stage(over_s=0.4, rate_per_s=200.0),)
    log = Log(stages=stages, timeout_s=timeout_s, poll_s=poll_s, lateness=lateness)
    (reading,) = found(replace(log, begins_s=-10.2)).claimed
    assert reading.load == "burst"
    assert covers(reading, timeout_s)
    assert reading.n == 80


def test_a_burst_longer_than_that_and_even_has_two_readings() -> None:
    said = found(steady(60.0, 20.0, 10.0, lateness="none"))
    assert said.why == TWO
    assert [covers(reading, 60.0) for reading in said.open] == [False, True]
    assert covers(said.open[0], 20.0)


def test_stairs_of_the_timer_show_that_nothing_came_meanwhile() -> None:
    log = steady(30.0, 10.0, 6.0, hz=250, poll_s=0.25, stamps="fine")
    (reading,) = found(log, 250).claimed
    assert reading.load == "burst"
    assert covers(reading, 30.0)
    assert reading.timeout_s.uncertainty < 2.5


def test_a_second_load_of_another_length_settles_the_first() -> None:
    first, second = (
        Stage(over_s=over_s, rate_per_s=10.0, then_s=100.0) for over_s in (150.0, 70.0)
    )
    alone = Log(stages=(first,), timeout_s=30.0, lateness="none")
    assert found(alone).claimed == ()
    (reading,) = found(replace(alone, stages=(first, second))).claimed
    assert covers(reading, 30.0)
    assert reading.n == pytest.approx(2200, rel=0.03)


# -- CPS, as --rate prints it --------------------------------------------------------------------


@pytest.mark.parametrize("poll_s", [2.0, 5.0])
@pytest.mark.parametrize(
    ("timeout_s", "over_s", "rate_per_s"),
    [(45.0, 600.0, 5.0), (20.0, 300.0, 10.0), (60.0, 240.0, 2.0), (30.0, 45.0, 40.0)],
)
def test_cps_tells_a_steady_load_from_a_burst(
    timeout_s: float, over_s: float, rate_per_s: float, poll_s: float
) -> None:
    log = steady(timeout_s, over_s, rate_per_s, lateness="none", poll_s=poll_s)
    assert found(log).why == TWO
    (reading,) = found(replace(log, with_rates=True)).claimed
    assert reading.load == "steady"
    assert covers(reading, timeout_s)
    assert reading.n == pytest.approx(rate_per_s * over_s, rel=0.05)


@pytest.mark.parametrize("poll_s", [2.0, 5.0])
@pytest.mark.parametrize(
    ("timeout_s", "over_s", "rate_per_s"),
    [(60.0, 20.0, 10.0), (60.0, 16.0, 3.0), (120.0, 60.0, 5.0)],
)
def test_cps_tells_a_burst_from_a_steady_load(
    timeout_s: float, over_s: float, rate_per_s: float, poll_s: float
) -> None:
    log = steady(timeout_s, over_s, rate_per_s, lateness="none", poll_s=poll_s)
    assert found(log).why == TWO
    (reading,) = found(replace(log, with_rates=True)).claimed
    assert reading.load == "burst"
    assert covers(reading, timeout_s)
    assert reading.n == over_s * rate_per_s


def test_cps_of_0_all_along_is_not_believed() -> None:
    """The estimator was stopped (run_estimation=0): it settles nothing and takes nothing away."""
    stopped = (np.inf, np.inf)
    open_ones = steady(45.0, 600.0, lateness="none")
    assert found(replace(open_ones, with_rates=True, estimates=stopped)) == found(open_ones)
    clear = Log(stages=(Stage(over_s=0.4, rate_per_s=200.0),), timeout_s=60.0)
    assert found(clear).claimed
    assert found(replace(clear, with_rates=True, estimates=stopped)) == found(clear)


def test_cps_that_froze_settles_nothing() -> None:
    log = steady(45.0, 600.0, lateness="none", with_rates=True, estimates=(-np.inf, 100.0))
    said = found(log)
    assert (said.claimed, said.why) == ((), CONTRADICTED)
    assert [reading.load for reading in said.open] == ["steady", "burst"]


def test_no_burst_is_claimed_while_cps_shows_that_more_came() -> None:
    """Whatever left no entry: the answer rests on there being none."""
    series = Log(
        stages=(Stage(over_s=0.4, rate_per_s=200.0),), timeout_s=60.0, with_rates=True
    ).series()
    assert series.rates is not None
    assert readings_of(series, None).claimed
    more = replace(series, rates=replace(series.rates, cps=series.rates.cps + 4))
    said = readings_of(more, None)
    assert (said.claimed, said.why) == ((), CONTRADICTED)


# -- what cannot be inferred ---------------------------------------------------------------------


def test_the_counter_of_a_ramp_that_ends_at_once_is_not_claimed_as_anything() -> None:
    stages = (Stage(over_s=240.0, rate_per_s=0.0, to_rate_per_s=20.0),)
    said = found(Log(stages=stages, timeout_s=30.0))
    assert said.claimed == ()
    assert said.why in (UNEVEN, HIDDEN)


@pytest.mark.parametrize("timeout_s", [10.0, 20.0, 45.0])
@pytest.mark.parametrize("arrivals", ["regular", "poisson"])
def test_a_load_that_rose_and_fell_slowly_is_not_taken_for_a_long_lifetime(
    timeout_s: float, arrivals: str
) -> None:
    up, held, down = (
        Stage(over_s=60.0, rate_per_s=0.0, to_rate_per_s=20.0),
        Stage(over_s=300.0, rate_per_s=20.0),
        Stage(over_s=60.0, rate_per_s=20.0, to_rate_per_s=0.0),
    )
    log = Log(stages=(up, held, down), timeout_s=timeout_s, lateness="none", arrivals=arrivals)
    assert all(covers(reading, timeout_s) for reading in found(log).claimed)


def test_resets_that_may_be_among_those_that_expired_are_not_passed_over() -> None:
    """Twenty waited 15 s and then ten 10 s: as one group they would measure 13 s."""
    series = steady(15.0, 5.0, 6.0, poll_s=0.25, stamps="fine").series()
    came_s = np.arange(30) / 6 + 1000.0
    absent_s = came_s + np.where(np.arange(30) < 20, 15.3, 10.3)
    t_s = np.arange(990.0, 1030.0, 0.1)
    held = (came_s <= t_s[:, None]).sum(axis=1) - (absent_s <= t_s[:, None]).sum(axis=1)
    zeros = np.zeros(len(t_s), dtype=np.int64)
    mixed = replace(series, t_s=t_s - t_s[0], inactive=held.astype(np.int64), active=zeros)
    assert readings_of(mixed, 100).claimed == ()


STAGES = st.builds(
    Stage,
    over_s=st.floats(0.5, 120),
    rate_per_s=st.sampled_from([0.5, 2.0, 7.3, 20.0]),
    to_rate_per_s=st.sampled_from([None, None, 0.0, 12.0]),
    then_s=st.sampled_from([0.0, 15.0, 150.0]),
)


@given(
    stages=st.lists(STAGES, min_size=1, max_size=3),
    timeout_s=st.sampled_from([10.0, 15.0, 30.0, 45.0, 60.0, 120.0]),
    poll_s=st.sampled_from([1.0, 2.0, 5.0]),
    hz=st.sampled_from([100, 250, 1000]),
    lateness=st.sampled_from(["kernel", "random", "none"]),
    arrivals=st.sampled_from(["regular", "poisson"]),
    begins_s=st.sampled_from([-10.0, -10.0, 20.0]),
    with_conns=st.booleans(),
    with_rates=st.booleans(),
    estimator_phase_s=st.sampled_from([0.1, 0.9, 1.7]),
    estimates=st.sampled_from([(-np.inf, np.inf), (-np.inf, 40.0), (40.0, np.inf)]),
    seed=st.integers(0, 9),
)
@examples(25, derandomize=True)
def test_whatever_the_load_what_is_claimed_covers_the_truth(
    stages: list[Stage], timeout_s: float, **others: object
) -> None:
    log = Log(stages=stages, timeout_s=timeout_s, **others)  # type: ignore[arg-type]
    assume(len(log.came_s()))
    said = found(log)
    assert bool(said.claimed) == (said.why is None)
    largest = max(said.claimed, key=lambda reading: reading.n, default=None)
    assert largest is None or covers(largest, timeout_s)


def test_what_expired_in_a_log_that_ends_too_soon_is_not_taken_for_all() -> None:
    """A tenth was reset; the rest had not expired."""
    stages = (Stage(over_s=0.4, rate_per_s=200.0),)
    log = Log(stages=stages, timeout_s=120.0, reset_share=0.1, ends_s=60.0)
    said = found(replace(log, begins_s=-10.2))
    assert (said.claimed, said.why) == ((), STILL_ON)


def test_a_burst_that_stands_but_for_a_few_resets_is_no_steady_load() -> None:
    log = steady(60.0, 16.0, ends_s=50.0, lateness="random", reset_share=0.05)
    assert found(log).claimed == ()


def test_what_few_that_expired_would_mean_is_not_said() -> None:
    log = Log(
        stages=(Stage(over_s=24.4, rate_per_s=0.5),),
        timeout_s=15.0,
        poll_s=1.0,
        lateness="none",
        arrivals="poisson",
        stamps="fine",
        ends_s=21.7,
        seed=120,
    )
    assert found(log) == Interpretations(claimed=(), why=STILL_ON)


def test_no_timeout_is_claimed_that_is_longer_than_the_log() -> None:
    log = Log(
        stages=(Stage(over_s=90.0, rate_per_s=0.5, to_rate_per_s=0.05),),
        timeout_s=30.0,
        hz=100,
        phase_s=1.7,
        arrivals="poisson",
        with_conns=True,
        forwarding="nat",
        begins_s=3.6,
        ends_s=48.0,
        seed=683,
    )
    assert all(reading.timeout_s.value < 45 for reading in found(log).claimed)
