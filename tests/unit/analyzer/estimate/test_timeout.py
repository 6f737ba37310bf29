"""How closely a timeout is known: what is late on the way, in a poll, in the softirq."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.estimate.timeout import measured_timeout
from analyzer.ipvs.timers import TimerPhase, expiry_uptime_s, granule_s
from analyzer.parts.summary import summary_of
from analyzer.predicted.phase import Sightings
from analyzer.recording.clock import REACTION_S

if TYPE_CHECKING:
    from analyzer.results import Estimate

HZ, PHASE_S, TIMEOUT_S, POLL_S = 100, 0.17, 20.0, 0.25
GRANULE_S = granule_s(TIMEOUT_S, HZ)
STEADY_S = 1000.0037 + 0.02 * np.arange(1500)  # 50 a second for 30 s: some 47 steps of the wheel


def seen(wire_s: np.ndarray, *, late_s: float | np.ndarray = 0.0) -> Sightings:
    """What polls see of entries whose last packets reach the director so much later."""
    goes_s = expiry_uptime_s(wire_s + late_s, TIMEOUT_S, hz=HZ, phase_s=PHASE_S)
    absent_s = np.ceil(goes_s / POLL_S) * POLL_S
    return Sightings(
        last_s=wire_s,
        timeout_s=np.full(len(wire_s), TIMEOUT_S),
        seen_s=absent_s - POLL_S,
        absent_s=absent_s,
    )


def measured(sightings: Sightings) -> Estimate:
    lifetime_s = (sightings.seen_s + sightings.absent_s) / 2 - sightings.last_s
    phase = TimerPhase(hz=HZ, phase_s=PHASE_S, uncertainty_s=0.001)
    found = measured_timeout([sightings], summary_of([lifetime_s]), HZ, phase, 0.001, POLL_S / 2)
    assert found is not None
    return found


def is_right(found: Estimate) -> bool:
    return abs(found.value - TIMEOUT_S) <= found.uncertainty


def test_many_steps_leave_little_more_than_clocks_and_reaction_leave() -> None:
    found = measured(seen(STEADY_S))
    assert is_right(found)
    assert REACTION_S < found.uncertainty < 2 * REACTION_S


@given(st.floats(0, REACTION_S))
def test_packets_that_all_take_their_time_are_within_it(late_s: float) -> None:
    found = measured(seen(STEADY_S, late_s=late_s))
    assert is_right(found)
    assert found.uncertainty < 2 * REACTION_S


@given(st.integers(0, 1400), st.integers(1, 8), st.floats(0.03, 0.2))
def test_a_director_that_was_busy_for_a_moment_neither_shifts_nor_blurs_it(
    first: int, count: int, late_s: float
) -> None:
    """The packets of that moment all count from its end."""
    delays_s = np.zeros(len(STEADY_S))
    moment = slice(first, first + count)
    delays_s[moment] = STEADY_S[first] + late_s - STEADY_S[moment]
    found = measured(seen(STEADY_S, late_s=np.maximum(delays_s, 0)))
    assert is_right(found)
    assert found.uncertainty < GRANULE_S / 4


def test_a_slow_answer_leaves_open_until_when_an_entry_was_there() -> None:
    """Gone when the table was read, there at the instant that the poll bears: once in the run."""
    sightings = seen(STEADY_S)
    chosen = sightings.absent_s == np.unique(sightings.absent_s)[10]
    shift_s = np.where(chosen, POLL_S, 0.0)
    dated_early = replace(
        sightings, seen_s=sightings.seen_s - shift_s, absent_s=sightings.absent_s - shift_s
    )
    answered = replace(dated_early, absent_s=sightings.absent_s)
    assert is_right(measured(dated_early))
    assert is_right(measured(answered))
    assert measured(answered).uncertainty < 2 * REACTION_S


@pytest.mark.parametrize("n", [1, 20, 500])
def test_entries_of_one_step_are_one_witness_however_many(n: int) -> None:
    at_once = measured(seen(1000.2 + np.linspace(0, 0.004, n)))
    assert is_right(at_once)
    assert at_once.uncertainty == pytest.approx(GRANULE_S / 2 + REACTION_S, abs=0.01)


def test_lifetimes_that_no_timeout_explains_are_reported_by_their_mean() -> None:
    chance = np.random.default_rng(8).uniform(0, 3, len(STEADY_S))
    found = measured(seen(STEADY_S, late_s=chance))
    assert found.value == pytest.approx(TIMEOUT_S + 1.5, abs=0.1)
    assert found.uncertainty > GRANULE_S / 2
