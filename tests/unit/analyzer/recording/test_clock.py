"""A director's clock from nothing but polls."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.ipvs.timers import expiry_uptime_s
from analyzer.recording.clock import (
    BOOT_S,
    WINDOW_S,
    DirectorClock,
    boot_bounds_ns,
    clock_from_polls,
)
from analyzer.units import KNOWN_HZ

NS = 1_000_000_000
BOOT_NS = 1_795_352_000 * NS + 123_456_789
MS = 1_000_000


def shown_s(uptime_s: float) -> float:
    """What ``/proc/uptime`` prints: hundredths, the rest cut off."""
    return math.floor(uptime_s * 100 + 1e-7) / 100


def polled(
    looks: list[tuple[float, int, int]], *, boot_ns: int = BOOT_NS, drift: float = 0.0
) -> DirectorClock:
    """A clock from looks: uptime in seconds, ns on the way there, ns on the way back."""
    rows = []
    for uptime_s, there_ns, back_ns in looks:
        at_ns = boot_ns + round(uptime_s * (1 + drift) * NS)
        rows.append((at_ns - there_ns, at_ns + back_ns, shown_s(uptime_s)))
    asked, answered, uptimes = zip(*rows, strict=True)
    return clock_from_polls(
        np.array(asked, dtype=np.int64), np.array(answered, dtype=np.int64), np.array(uptimes)
    )


def test_one_poll_bounds_the_boot_from_both_sides() -> None:
    asked, answered = np.array([BOOT_NS + 5 * NS]), np.array([BOOT_NS + 5 * NS + 3 * MS])
    low, high = boot_bounds_ns(asked, answered, np.array([5.0]))
    assert low[0] == BOOT_NS - 10 * MS  # asked, less the uptime, less what was cut off of it
    assert high[0] == BOOT_NS + 3 * MS


def test_a_single_poll_is_known_to_half_its_duration_and_half_a_step() -> None:
    found = polled([(100.0, 2 * MS, 4 * MS)])
    assert found.uncertainty_s == pytest.approx((0.006 + 0.010) / 2)


looks = st.lists(
    st.tuples(
        st.floats(0, 3000, allow_nan=False),
        st.integers(0, 50 * MS),
        st.integers(0, 50 * MS),
    ),
    min_size=1,
    max_size=40,
).map(sorted)


@given(looks, st.integers(-(10**15), 10**15))
def test_the_true_boot_lies_within_the_uncertainty(
    taken: list[tuple[float, int, int]], moved_ns: int
) -> None:
    found = polled(taken, boot_ns=BOOT_NS + moved_ns)
    error_s = np.abs(found.boot_ns - (BOOT_NS + moved_ns)).max() / NS
    assert error_s <= found.uncertainty_s + 1e-6


def test_more_polls_know_better() -> None:
    few = polled([(100.0, 5 * MS, 5 * MS)])
    many = polled([(100.0 + 0.253 * n, 5 * MS, 5 * MS) for n in range(100)])
    assert many.uncertainty_s < few.uncertainty_s / 1.5


def test_the_uptime_counts_up_from_the_boot() -> None:
    found = DirectorClock(at_ns=np.array([BOOT_NS]), boot_ns=np.array([BOOT_NS]), uncertainty_s=0.0)
    assert found.uptime_s(np.array([BOOT_NS, BOOT_NS + 7 * NS])) == pytest.approx([0.0, 7.0])
    assert found.client_ns(np.array([0.0, 7.0])).tolist() == [BOOT_NS, BOOT_NS + 7 * NS]


@given(looks, st.floats(0, 3000))
def test_client_time_is_the_inverse_of_uptime(
    taken: list[tuple[float, int, int]], uptime_s: float
) -> None:
    found = polled(taken)
    back_s = found.uptime_s(found.client_ns(np.array([uptime_s])))
    # To the second order of the drift that the polls themselves allow.
    assert back_s[0] == pytest.approx(uptime_s, abs=0.002)


@pytest.mark.parametrize("drift", [-2e-4, -5e-5, 5e-5, 2e-4])
def test_a_drifting_clock_is_followed_window_by_window(drift: float) -> None:
    began_s = 1000.0
    taken = [(began_s + 0.25 * n, 300_000, 300_000) for n in range(4 * 600)]
    found = polled(taken, drift=drift)
    assert len(found.at_ns) >= 10
    uptimes = np.arange(began_s + WINDOW_S / 2, began_s + 600 - WINDOW_S / 2, 7.0)
    true_ns = BOOT_NS + np.rint(uptimes * (1 + drift) * NS).astype(np.int64)
    worst_s = np.abs(found.uptime_s(true_ns) - uptimes).max()
    assert worst_s <= abs(drift) * WINDOW_S / 2 + 0.005


def test_a_window_stands_at_its_centre() -> None:
    found = polled([(1000.0 + n, MS, MS) for n in range(int(WINDOW_S))])
    centre_s = (found.at_ns[0] - BOOT_NS) / NS
    assert centre_s == pytest.approx(1000 + (WINDOW_S - 1) / 2, abs=0.01)


# A director that reboots ---------------------------------------------------------------------

CRASHED_S, SECOND_BOOT_S = 500.0, 530.0
"""On our clock, seconds after the first boot: its last poll, and uptime 0 of the second."""


def rebooted(*, uptime_s: float = 100.0) -> DirectorClock:
    """Polls each quarter of a second from 100 s on, until a crash; then of the next boot."""
    first = [(at_s, at_s) for at_s in np.arange(uptime_s, CRASHED_S, 0.2513)]
    second = [(SECOND_BOOT_S + up_s, up_s) for up_s in np.arange(4, 200, 0.2513)]
    at_ns = np.array([BOOT_NS + round(at_s * NS) for at_s, _ in first + second])
    shown = np.array([shown_s(up_s) for _, up_s in first + second])
    return clock_from_polls(at_ns - MS, at_ns + MS, shown)


def after(seconds: float) -> int:
    return BOOT_NS + round(seconds * NS)


def test_each_boot_has_a_clock_of_its_own() -> None:
    found = rebooted()
    assert found.uncertainty_s < 0.006
    assert list(found.began_ns) == [pytest.approx(after(SECOND_BOOT_S), abs=6 * MS)]
    instants = np.array([after(300), after(SECOND_BOOT_S + 60)])
    of_first, of_second = found.uptime_s(instants)
    assert of_first == pytest.approx(300, abs=0.006)
    assert of_second == pytest.approx(BOOT_S + 60, abs=0.006)
    assert found.client_ns(found.uptime_s(instants)) == pytest.approx(instants, abs=2000)


def test_the_same_uptime_of_two_boots_is_two_instants() -> None:
    first, second = rebooted().client_ns(np.array([150.0, BOOT_S + 150.0]))
    assert first == pytest.approx(after(150), abs=6 * MS)
    assert second == pytest.approx(after(SECOND_BOOT_S + 150), abs=6 * MS)


def test_a_boot_ends_when_the_next_begins() -> None:
    found = rebooted()
    ended = found.boot_ended_ns(np.array([after(300), after(SECOND_BOOT_S + 1)]))
    assert ended[0] == found.began_ns[0]
    assert ended[1] == np.iinfo(np.int64).max
    assert list(polled([(100.0, MS, MS)]).boot_ended_ns(np.array([after(1)]))) == [ended[1]]


def test_a_director_that_was_up_for_minutes_only_may_come_back_older_than_it_was() -> None:
    """Its uptime then goes forwards; its boot instant tells."""
    at_s = [10.0, 10.25, 60.0, 60.25]
    uptimes = np.array([5.0, 5.25, 30.0, 30.25])
    at_ns = np.array([after(second) for second in at_s])
    found = clock_from_polls(at_ns - MS, at_ns + MS, uptimes)
    assert len(found.began_ns) == 1
    assert found.uncertainty_s < 0.01


def test_a_slow_answer_is_no_reboot() -> None:
    uptimes = np.array([100.0, 100.25, 108.0, 108.25])
    asked = np.array([after(s) for s in (100.0, 100.25, 100.5, 108.25)])
    answered = asked + np.array([MS, MS, 8 * NS, MS])
    assert len(clock_from_polls(asked, answered, uptimes).began_ns) == 0


@pytest.mark.parametrize("hz", KNOWN_HZ)
@pytest.mark.parametrize("timeout_s", [10.0, 120.0, 900.0])
def test_the_wheel_turns_the_same_in_every_boot(hz: int, timeout_s: float) -> None:
    started_s = np.array([33.21, 47.5, 1234.56])
    first = expiry_uptime_s(started_s, timeout_s, hz=hz, phase_s=0.0)
    third = expiry_uptime_s(2 * BOOT_S + started_s, timeout_s, hz=hz, phase_s=0.0)
    assert third - 2 * BOOT_S == pytest.approx(first, abs=1e-5)
