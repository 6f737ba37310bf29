"""HZ and the phase of a director's timers, from expiries whose phase is known."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.ipvs.timers import expiry_uptime_s, granule_s
from analyzer.predicted.phase import InferredPhase, Sightings, infer_phase, refine_phase
from analyzer.units import KNOWN_HZ
from tests.unit.properties import examples


@dataclass(frozen=True)
class Burst:
    """Entries that expired at a director whose timers are known, and the polls that saw it."""

    hz: int = 100
    phase_s: float = 0.2161
    timeouts_s: tuple[float, ...] = (10.0,)
    last_s: tuple[float, ...] = tuple(1000.0037 + 0.1003 * n for n in range(50))
    poll_s: float = 0.1
    slack_s: float = 1e-4

    def sightings(self) -> Sightings:
        last_s = np.array(self.last_s)
        timeout_s = np.resize(np.array(self.timeouts_s), len(last_s))
        fired_s = expiry_uptime_s(last_s, timeout_s, hz=self.hz, phase_s=self.phase_s)
        n_polls = np.ceil((fired_s - 999.9) / self.poll_s)
        absent_s = 999.9 + n_polls * self.poll_s
        return Sightings(
            last_s=last_s, timeout_s=timeout_s, seen_s=absent_s - self.poll_s, absent_s=absent_s
        )

    def inferred(self, hz: int | None = -1) -> InferredPhase | None:
        """With the true HZ unless another is given."""
        return infer_phase(self.sightings(), self.hz if hz == -1 else hz, self.slack_s)

    @property
    def coarsest_s(self) -> float:
        return max(granule_s(waited_s, self.hz) for waited_s in self.sightings().timeout_s)

    def off_s(self, found: InferredPhase) -> float:
        """How far the phase is off; phases a coarsest granule apart are one."""
        away_s = (found.phase.phase_s - self.phase_s) % self.coarsest_s
        return float(min(away_s, self.coarsest_s - away_s))


TIMEOUTS_S = [(10.0,), (30.0,), (60.0,), (120.0,), (900.0,), (10.0, 120.0), (30.0, 60.0, 10.0)]


@st.composite
def bursts(draw: st.DrawFn) -> Burst:
    began_s = draw(st.floats(400, 5000))
    spread_s = draw(st.sampled_from([0.0, 0.03, 1.0, 7.0, 60.0]))
    moments = draw(st.lists(st.floats(0, 1), min_size=1, max_size=40))
    return Burst(
        hz=draw(st.sampled_from(KNOWN_HZ)),
        phase_s=draw(st.floats(0, 0.5)),
        timeouts_s=draw(st.sampled_from(TIMEOUTS_S)),
        last_s=tuple(began_s + spread_s * moment for moment in moments),
        poll_s=draw(st.sampled_from([0.05, 0.1, 0.25, 1.0])),
    )


@given(bursts())
@examples(300)
def test_the_true_phase_lies_within_the_uncertainty(burst: Burst) -> None:
    found = burst.inferred()
    assert found is not None
    assert found.phase.hz == burst.hz
    assert found.explained == 1
    assert found.n == len(burst.last_s)
    assert burst.off_s(found) <= found.phase.uncertainty_s + 1e-6


@given(bursts(), st.floats(-1, 1))
def test_last_packets_that_are_known_badly_do_no_harm(burst: Burst, wrong: float) -> None:
    known = burst.sightings()
    moved = replace(known, last_s=known.last_s + wrong * 0.02)
    found = infer_phase(moved, burst.hz, 0.02)
    assert found is not None
    assert burst.off_s(found) <= found.phase.uncertainty_s + 1e-6


@pytest.mark.parametrize("hz", KNOWN_HZ)
@pytest.mark.parametrize("poll_s", [0.1, 0.25])
def test_a_burst_over_some_steps_tells_the_phase_to_the_poll(hz: int, poll_s: float) -> None:
    burst = Burst(hz=hz, timeouts_s=(30.0,), poll_s=poll_s)
    found = burst.inferred()
    assert found is not None
    assert found.phase.uncertainty_s <= poll_s / 2 + 0.002


@pytest.mark.parametrize("hz", KNOWN_HZ)
@pytest.mark.parametrize("timeout_s", [10.0, 30.0, 60.0, 120.0])
def test_hz_is_recognised_where_the_steps_tell_it(hz: int, timeout_s: float) -> None:
    """60 s of traffic: several steps of every granule up to 13.7 s."""
    last_s = tuple(1000.0037 + 0.3017 * n for n in range(200))
    burst = Burst(hz=hz, timeouts_s=(timeout_s,), last_s=last_s)
    found = burst.inferred(hz=None)
    assert found is not None
    assert found.phase.hz == hz
    assert burst.off_s(found) <= found.phase.uncertainty_s + 1e-6


@pytest.mark.parametrize("hz", KNOWN_HZ)
def test_one_step_tells_no_hz(hz: int) -> None:
    """A short burst expires at once, whatever the granule: 0.64 s or 0.512 s alike."""
    burst = Burst(hz=hz, timeouts_s=(20.0,), last_s=tuple(1000.01 + 0.0007 * n for n in range(50)))
    assert burst.inferred(hz=None) is None
    assert burst.inferred() is not None


@given(bursts(), st.integers(2, 5))
def test_a_sample_of_expiries_tells_a_phase_that_all_of_them_allow(
    burst: Burst, every: int
) -> None:
    known = burst.sightings()
    some = Sightings(**{name: rows[::every] for name, rows in asdict(known).items()})
    of_all, of_some = burst.inferred(), infer_phase(some, burst.hz, burst.slack_s)
    assert of_all is not None
    assert of_some is not None
    assert of_some.n == -(-of_all.n // every)
    granule_of_some_s = max(granule_s(waited_s, burst.hz) for waited_s in some.timeout_s)
    away_s = (of_all.phase.phase_s - of_some.phase.phase_s) % granule_of_some_s
    open_s = of_all.phase.uncertainty_s + of_some.phase.uncertainty_s
    assert min(away_s, granule_of_some_s - away_s) <= open_s + 1e-6


@given(bursts())
@examples(200)
def test_a_wrong_hz_is_never_claimed(burst: Burst) -> None:
    found = burst.inferred(hz=None)
    assert found is None or found.phase.hz == burst.hz


def test_expiries_that_contradict_each_other_tell_nothing() -> None:
    """Each expired at an instant of its own, evenly over the granule: no timer wheel did this."""
    last_s = np.full(64, 1000.0)
    seen_s = 1120.0 + np.linspace(0, 5.1, 64)
    scattered = Sightings(
        last_s=last_s, timeout_s=np.full(64, 120.0), seen_s=seen_s, absent_s=seen_s + 0.05
    )
    for hz in (None, *KNOWN_HZ):
        assert infer_phase(scattered, hz, 1e-4) is None


def test_expiries_before_their_time_tell_nothing() -> None:
    known = Burst().sightings()
    early = replace(known, seen_s=known.seen_s - 5, absent_s=known.absent_s - 5)
    assert infer_phase(early, 100, 1e-4) is None


def test_a_few_that_something_else_ended_do_not_spoil_it() -> None:
    """Of 50, 5 were dropped early: 90 % are explained, and said so."""
    burst = Burst()
    known = burst.sightings()
    spoilt = np.arange(50) % 10 == 3
    found = infer_phase(
        replace(
            known,
            seen_s=known.seen_s - 4 * spoilt,
            absent_s=known.absent_s - 4 * spoilt,
        ),
        100,
        burst.slack_s,
    )
    assert found is not None
    assert found.explained == pytest.approx(0.9)
    assert burst.off_s(found) <= found.phase.uncertainty_s + 1e-6


def test_no_sightings_tell_nothing() -> None:
    none = np.zeros(0)
    assert (
        infer_phase(Sightings(last_s=none, timeout_s=none, seen_s=none, absent_s=none), 100, 0.0)
        is None
    )
    assert (
        infer_phase(Sightings(last_s=none, timeout_s=none, seen_s=none, absent_s=none), None, 0.0)
        is None
    )


def test_a_phase_as_read_is_moved_within_its_uncertainty_by_a_straddled_step() -> None:
    """A packet lies 1 ms past the edge of a step; by the phase as read, 3 ms off, before it."""
    true_s, read_s = 0.0, 0.003
    edge_s = 619.84  # a timer of 20 s started from here on fires a step later, at 640.48 s
    last_s = np.array([edge_s + 0.001, edge_s + 0.02])
    timeout_s = np.full(2, 20.0)
    absent_s = expiry_uptime_s(last_s, timeout_s, hz=100, phase_s=true_s)
    seen = Sightings(
        last_s=last_s, timeout_s=timeout_s, seen_s=absent_s - 0.1, absent_s=absent_s + 0.1
    )
    as_read_s = expiry_uptime_s(last_s, timeout_s, hz=100, phase_s=read_s)
    assert abs(as_read_s[0] - absent_s[0]) > 0.6  # a whole granule off
    refined_s = refine_phase(seen, 100, read_s, 0.01)
    assert list(expiry_uptime_s(last_s, timeout_s, hz=100, phase_s=refined_s)) == pytest.approx(
        list(absent_s), abs=0.02
    )
    assert abs(refined_s - read_s) <= 0.01
    assert refine_phase(seen, 100, true_s, 0.01) == true_s  # it explained all as it was


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("hz", KNOWN_HZ)
def test_no_entry_is_predicted_a_granule_off_by_a_phase_inferred(hz: int, seed: int) -> None:
    """A packet within a jiffy of a step is decided by the jiffy that it came in."""
    chance = random.Random(seed)
    burst = Burst(
        hz=hz,
        phase_s=chance.random(),
        last_s=tuple(sorted(1000 + 6 * chance.random() for _ in range(50))),
        timeouts_s=chance.choice([(10.0,), (20.0,), (10.0, 60.0, 30.0)]),
    )
    found, known = burst.inferred(), burst.sightings()
    assert found is not None
    goes_s = expiry_uptime_s(known.last_s, known.timeout_s, hz=hz, phase_s=found.phase.phase_s)
    assert (np.maximum(known.seen_s - goes_s, goes_s - known.absent_s) < 0.05).all()
