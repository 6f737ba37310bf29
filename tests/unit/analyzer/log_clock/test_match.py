"""Log and capture on one clock: the true shift is among the possible ones, or none is claimed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from analyzer.log_clock.counters import match_counters
from analyzer.log_clock.entries import match_entries
from analyzer.log_clock.model import Appeared, ClockMatch, Track
from tests.unit.properties import examples

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

BURST_S = np.linspace(0, 0.49, 50)
GRANULE_S = 2.048


def track(
    began_s: Floats,
    polled_s: Floats,
    *,
    shift_s: float,
    lived_s: float = 120.0,
    step_s: float = 1.0,
    captured: npt.NDArray[np.bool_] | None = None,
    conns: bool = False,
    foreign_s: Floats | None = None,
) -> Track:
    """A log whose stamps are ``shift_s`` ahead and rounded down, and a capture of connections."""
    began_s = np.sort(began_s)
    gone_s = np.floor((began_s + lived_s) / GRANULE_S + 1) * GRANULE_S
    others_s = np.sort(foreign_s) if foreign_s is not None else np.zeros(0)
    came = np.searchsorted(began_s, polled_s, side="right")
    came = came + np.searchsorted(others_s, polled_s, side="right")
    held = came - np.searchsorted(gone_s, polled_s, side="right")
    held = held - np.searchsorted(others_s + lived_s, polled_s, side="right")
    stamps_s = polled_s + shift_s
    return Track(
        polled_s=np.floor(stamps_s / step_s) * step_s if step_s else stamps_s,
        held=held.astype(np.int64),
        came=came.astype(np.int64) if conns else None,
        began_s=began_s if captured is None else began_s[captured],
    )


def polls(first_s: float, last_s: float, every_s: float) -> Floats:
    return np.arange(first_s + 0.37, last_s, every_s)


def matched(one: Track, step_s: float = 1.0) -> ClockMatch:
    return match_counters([one], (float(one.began_s[0]), float(one.began_s[-1]) + 0.01), step_s)


@pytest.mark.parametrize("shift_s", [0.0, 3600.0, 19_800.0, -7.3, -28_800.0, -1_795_824_000.0])
@pytest.mark.parametrize("every_s", [1.0, 2.0, 5.0])
def test_one_burst_tells_the_shift_to_a_poll(shift_s: float, every_s: float) -> None:
    found = matched(track(BURST_S, polls(-20, 150, every_s), shift_s=shift_s))
    assert found.clear
    assert found.low_s - 1e-3 <= shift_s <= found.high_s + 1e-3
    assert found.uncertainty_s <= every_s / 2 + 1
    assert (found.explained, found.contradicted) == (50, 0)


def test_fine_stamps_tell_it_finely() -> None:
    one = track(BURST_S, polls(-5, 40, 0.1), shift_s=1.3, lived_s=20, step_s=0)
    found = matched(one, 0.0)
    assert found.clear
    assert found.shift_s == pytest.approx(1.3, abs=0.03)
    assert found.uncertainty_s <= 0.05


BURSTS_S = np.concatenate([BURST_S + 60 * number for number in range(5)])
UNEQUAL_S = np.concatenate([BURST_S + at_s for at_s in (0, 37, 101, 230)])


def test_bursts_at_one_interval_are_clear_where_both_show_the_quiet_around_them() -> None:
    found = matched(track(BURSTS_S, polls(-70, 380, 1), shift_s=3600, lived_s=20))
    assert found.clear
    assert found.low_s <= 3600 <= found.high_s


@pytest.mark.parametrize(
    ("polled_s", "captured"),
    [
        pytest.param(polls(-10, 280, 1), BURSTS_S >= 0, id="log ends with the last"),
        pytest.param(polls(50, 200, 1), BURSTS_S >= 0, id="log of three of them"),
        pytest.param(polls(-10, 280, 1), BURSTS_S < 65, id="capture of two of them"),
    ],
)
def test_bursts_that_repeat_are_ambiguous(
    polled_s: Floats, captured: npt.NDArray[np.bool_]
) -> None:
    found = matched(track(BURSTS_S, polled_s, shift_s=3600, lived_s=20, captured=captured))
    assert not found.clear
    assert "repeats itself" in found.why
    assert any(low_s <= 3600 <= high_s for low_s, high_s in found.possible_s)
    assert len(found.possible_s) > 1


@pytest.mark.parametrize("from_s", [-1.0, 20.0])
def test_unequal_intervals_are_clear_also_to_a_capture_of_some(from_s: float) -> None:
    captured = np.sort(UNEQUAL_S) >= from_s
    one = track(UNEQUAL_S, polls(-10, 280, 1), shift_s=-18_000, lived_s=20, captured=captured)
    found = matched(one)
    assert found.clear
    assert found.low_s <= -18_000 <= found.high_s


def test_a_steady_load_that_lasts_beyond_the_log_tells_nothing() -> None:
    steady_s = np.arange(0, 600, 0.2)
    found = matched(track(steady_s, polls(100, 500, 2), shift_s=7200, lived_s=45))
    assert not found.clear
    assert any(low_s <= 7200 <= high_s for low_s, high_s in found.possible_s)


def test_conns_count_what_net_counters_hide() -> None:
    """Births at random, each hidden by an end: only Conns tell them."""
    began_s = np.sort(np.random.default_rng(7).uniform(0, 600, 1500))
    polled_s = polls(-20, 700, 2)
    hidden = matched(track(began_s, polled_s, shift_s=7200, lived_s=4))
    counted = matched(track(began_s, polled_s, shift_s=7200, lived_s=4, conns=True))
    assert counted.clear
    assert counted.low_s <= 7200 <= counted.high_s
    assert not hidden.clear or hidden.low_s - 1 <= 7200 <= hidden.high_s + 1


def test_some_foreign_entries_do_not_matter() -> None:
    others_s = np.random.default_rng(3).uniform(-200, 150, 10)
    found = matched(track(BURST_S, polls(-20, 150, 2), shift_s=3600, foreign_s=others_s))
    assert found.clear
    assert found.low_s <= 3600 <= found.high_s


def test_a_log_of_another_occasion_is_not_matched() -> None:
    log = track(BURST_S, polls(-20, 150, 2), shift_s=0)
    other = Track(polled_s=log.polled_s, held=log.held, came=None, began_s=np.linspace(0, 0.3, 12))
    found = match_counters([other], (-60.0, 60.0), 1.0)
    assert not found.clear
    assert not found.possible_s


def test_a_few_entries_are_believed_where_a_zone_explains_the_shift() -> None:
    few_s = BURST_S[:2]
    assert matched(track(few_s, polls(-20, 150, 2), shift_s=19_800)).clear
    odd = matched(track(few_s, polls(-20, 150, 2), shift_s=1234))
    assert not odd.clear
    assert "too few" in odd.why


@pytest.mark.parametrize(
    ("held", "why"),
    [([0] * 20, "never rise"), ([5] * 20, "never rise")],
)
def test_counters_that_never_rise_tell_nothing(held: list[int], why: str) -> None:
    one = Track(polled_s=np.arange(20.0), held=np.array(held), came=None, began_s=BURST_S + 3)
    assert why in matched(one).why


@examples(60)
@given(
    starts_s=st.lists(st.floats(0, 400), min_size=1, max_size=5),
    sizes=st.lists(st.integers(1, 40), min_size=5, max_size=5),
    every_s=st.floats(0.5, 6),
    lived_s=st.floats(2, 150),
    shift_s=st.floats(-50_000, 50_000),
    before_s=st.floats(0, 120),
    after_s=st.floats(0, 120),
)
@example(  # shifts below those that the search tries are possible too
    starts_s=[0.0, 0.0, 31.5],
    sizes=[1, 1, 5, 1, 1],
    every_s=4.4375,
    lived_s=4.0,
    shift_s=1.5,
    before_s=0.0,
    after_s=0.0,
)
@example(  # the last ones come just before most others end
    starts_s=[67.0, 0.0, 0.0, 0.0, 13.0],
    sizes=[4, 1, 1, 1, 8],
    every_s=0.75,
    lived_s=53.0,
    shift_s=1.125,
    before_s=2.0,
    after_s=0.0,
)
def test_a_shift_that_is_claimed_is_the_true_one(
    starts_s: list[float],
    sizes: list[int],
    every_s: float,
    lived_s: float,
    shift_s: float,
    before_s: float,
    after_s: float,
) -> None:
    bursts = [
        start_s + np.arange(size) * 0.01 for start_s, size in zip(starts_s, sizes, strict=False)
    ]
    began_s = np.concatenate(bursts)
    polled_s = polls(min(starts_s) - before_s, max(starts_s) + after_s + 10, every_s)
    found = matched(track(began_s, polled_s, shift_s=shift_s, lived_s=lived_s))
    if found.clear:
        assert found.low_s - 0.05 <= shift_s <= found.high_s + 0.05


def test_a_small_burst_that_fits_is_not_left_out_for_a_large_one_that_would_fit_too() -> None:
    """The log began after 26 came and saw 5 come; the 26 may have come and gone between polls."""
    began_s = np.concatenate([np.arange(26) * 0.01, 6 + np.arange(5) * 0.01])
    found = matched(track(began_s, polls(0, 16, 2), shift_s=0.0, lived_s=2.0))
    assert not found.clear or found.low_s - 0.05 <= 0 <= found.high_s + 0.05


# By entries whose ports are known -----------------------------------------------------------------


def appeared(packet_s: Floats, shift_s: float, every_s: float = 2.0) -> Appeared:
    by_s = (np.floor((packet_s + shift_s) / every_s) + 1) * every_s
    return Appeared(after_s=by_s - every_s, by_s=by_s, packet_s=packet_s)


@pytest.mark.parametrize("shift_s", [0.0, -3600.0, 17.25])
def test_ports_tell_the_shift(shift_s: float) -> None:
    found = match_entries(appeared(np.linspace(0, 30, 40), shift_s), 1.0)
    assert found.clear
    assert found.low_s <= shift_s <= found.high_s
    assert found.uncertainty_s <= 1.0


def test_ports_that_agree_on_nothing_are_refused() -> None:
    packets_s = np.linspace(0, 3000, 40)
    shuffled = Appeared(
        after_s=packets_s[::-1] - 2, by_s=packets_s[::-1].copy(), packet_s=packets_s
    )
    assert "agree on no shift" in match_entries(shuffled, 1.0).why


def test_an_entry_of_the_first_poll_bounds_nothing() -> None:
    first = Appeared(after_s=np.full(9, -np.inf), by_s=np.zeros(9), packet_s=np.arange(-9.0, 0))
    assert not match_entries(first, 1.0).clear
