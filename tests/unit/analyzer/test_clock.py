"""A director's clock from nothing but polls."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.clock import WINDOW_S, DirectorClock, boot_bounds_ns, clock_from_polls

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
