"""From InActConn alone: the timeouts behind its fall, on decays whose timeouts are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from analyzer.estimate.counted.mixture import Component, Mixture, decompose
from analyzer.ipvs.timers import expiry_uptime_s, granule_s
from tests.unit.properties import examples

CLOSE_S, TIME_WAIT_S = 10.0, 120.0


@dataclass(frozen=True)
class Decay:
    """A burst whose entries wait ``tcpfin_s``, but for some that were reset and wait 10 s."""

    tcpfin_s: float
    hz: int = 100
    n: int = 200
    resets: int = 0
    over_s: float = 4.0  # a load longer than the timeout shows no more than its end
    poll_s: float = 0.25
    phase_s: float = 0.1713
    fixed_s: tuple[float, ...] = (CLOSE_S,)

    def polled(self) -> tuple[np.ndarray, np.ndarray]:
        """When the counter was polled, and its values."""
        came_s = 1000.0 + self.over_s * (np.arange(self.n) + 0.5) / self.n
        every = self.n // self.resets if self.resets else self.n + 1
        is_reset = np.arange(self.n) % every == every - 1
        waited_s = np.where(is_reset, CLOSE_S, self.tcpfin_s)
        went_s = expiry_uptime_s(came_s, waited_s, hz=self.hz, phase_s=self.phase_s)
        t_s = np.arange(998.0, went_s.max() + 5, self.poll_s)
        held = (came_s[None, :] <= t_s[:, None]) & (t_s[:, None] < went_s[None, :])
        return t_s, held.sum(axis=1)

    def found(self) -> Mixture:
        t_s, inactive = self.polled()
        mixture = decompose(t_s, inactive, self.fixed_s, self.hz)
        assert mixture is not None
        return mixture

    @property
    def tolerance_s(self) -> float:
        """One granule and one poll."""
        return granule_s(self.tcpfin_s, self.hz) + self.poll_s


def free(mixture: Mixture) -> Component:
    """The timeout that is not one of the kernel's fixed ones."""
    (part,) = [part for part in mixture.components if part.is_free]
    return part


@pytest.mark.parametrize("hz", [100, 250, 1000])
@pytest.mark.parametrize("tcpfin_s", [5.0, 15.0, 20.0, 30.0, 45.0, 60.0, 120.0, 300.0])
@pytest.mark.parametrize("resets", [0, 40])
def test_tcpfin_is_found_within_a_granule_and_a_poll(tcpfin_s: float, hz: int, resets: int) -> None:
    decay = Decay(tcpfin_s, hz, resets=resets)
    mixture = decay.found()
    assert abs(free(mixture).timeout_s.value - tcpfin_s) <= decay.tolerance_s
    assert mixture.explained > 0.95


@given(
    tcpfin_s=st.integers(5, 300),
    hz=st.sampled_from([100, 250, 1000]),
    over_s=st.floats(3.0, 30.0),
    poll_s=st.sampled_from([0.25, 1.0]),
    phase_s=st.floats(0, 0.4),
)
@examples(20)
def test_whatever_the_timeout_it_is_found(
    tcpfin_s: int, hz: int, over_s: float, poll_s: float, phase_s: float
) -> None:
    assume(over_s < 0.8 * tcpfin_s)  # else the counter shows the load's length, too
    decay = Decay(float(tcpfin_s), hz, over_s=over_s, poll_s=poll_s, phase_s=phase_s)
    parts = decay.found().components
    nearest = min(parts, key=lambda part: abs(part.timeout_s.value - tcpfin_s))
    assert abs(nearest.timeout_s.value - tcpfin_s) <= decay.tolerance_s
    assert nearest.timeout_s.uncertainty <= decay.tolerance_s + granule_s(tcpfin_s + 1, hz)


def test_resets_are_distinguished_from_closes_by_how_many_there_were() -> None:
    mixture = Decay(45.0, resets=40).found()
    by_kind = {part.is_free: part.n for part in mixture.components}
    assert by_kind[True] == pytest.approx(160, abs=12)
    assert by_kind[False] == pytest.approx(40, abs=12)
    (reset,) = [part for part in mixture.components if not part.is_free]
    assert reset.timeout_s.value == CLOSE_S


def test_how_many_came_and_went_is_counted() -> None:
    t_s, inactive = Decay(30.0).polled()
    whole, cut_off = decompose(t_s, inactive, (CLOSE_S,), 100), t_s < 1032
    part = decompose(t_s[cut_off], inactive[cut_off], (CLOSE_S,), 100)
    assert whole is not None
    assert part is not None
    assert (whole.arrived, whole.expired) == (200, 200)
    assert part.arrived == 200
    assert part.expired == 200 - inactive[cut_off][-1]
    assert 0 < part.expired < 200


def test_a_log_polled_once_a_second_is_enough() -> None:
    decay = Decay(30.0, poll_s=1.0)
    assert abs(free(decay.found()).timeout_s.value - 30) <= decay.tolerance_s


def test_a_burst_that_fell_in_one_step_is_enough() -> None:
    decay = Decay(30.0, n=50, over_s=0.05)
    assert abs(free(decay.found()).timeout_s.value - 30) <= decay.tolerance_s


def test_nat_is_explained_by_the_fixed_time_wait() -> None:
    decay = Decay(TIME_WAIT_S, fixed_s=(10.0, 60.0, 120.0))
    largest = decay.found().components[0]
    assert abs(largest.timeout_s.value - TIME_WAIT_S) <= decay.tolerance_s
    assert sum(part.n for part in decay.found().components) == pytest.approx(200, abs=10)


def series(*values: int) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(len(values), dtype=np.float64), np.array(values)


@pytest.mark.parametrize(
    "values",
    [
        (0, 0, 0, 0),  # nothing happened
        (0, 10, 20, 20, 20),  # came and stayed
        (20, 20, 10, 0, 0),  # was there before, and went
        (5,),
        (),
    ],
)
def test_what_never_rose_and_fell_tells_nothing(values: tuple[int, ...]) -> None:
    assert decompose(*series(*values), (CLOSE_S,), 100) is None


def test_a_fall_that_no_timeout_explains_is_not_explained() -> None:
    """It fell all the time while it rose: entries of before, and of other clients."""
    t_s = np.arange(0, 120.0, 0.5)
    noise = np.random.default_rng(7).integers(0, 40, len(t_s))
    mixture = decompose(t_s, noise, (CLOSE_S,), 100)
    assert mixture is None or mixture.explained < 1


@pytest.mark.parametrize("lifetime_s", [46.0, 122.0])
def test_a_single_entry_is_not_forgiven(lifetime_s: float) -> None:
    """It waited as long as it was seen, not the 10 s of a reset."""
    t_s = np.arange(0.0, 160.0, 2.0)
    held = ((t_s >= 10) & (t_s < 10 + lifetime_s)).astype(np.int64)
    found = decompose(t_s, held, (10.0, 60.0, 120.0), None)
    assert found is not None
    (only,) = found.components
    assert abs(only.lifetime_s.value - lifetime_s) <= only.lifetime_s.uncertainty < 6


def test_polls_further_apart_than_entries_live_leave_all_of_that_open() -> None:
    t_s = np.arange(0.0, 240.0, 30.0)
    held = np.where(t_s == 30, 300, 0)
    found = decompose(t_s, held, (10.0,), 250)
    assert found is not None
    (only,) = found.components
    for lifetime_s in (10.0, 45.0, 55.0):
        assert abs(only.timeout_s.value - lifetime_s) <= only.timeout_s.uncertainty
