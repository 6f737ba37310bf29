"""The timer wheel: how late an entry expires, and how the director's ticks are learnt."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.ipvs.timers import (
    TickReading,
    expiry_uptime_s,
    granule_jiffies,
    granule_s,
    phase_from_readings,
    timeouts_of_granule_s,
)

# What was measured, or read in the kernel, to the digits given.
GRANULES_S = {
    # timeout: HZ 100, 250, 300, 1000
    10: (0.64, 0.256, 0.213, 0.512),
    30: (0.64, 2.05, 1.71, 0.512),
    60: (5.12, 2.05, 1.71, 4.10),
    120: (5.12, 2.05, 13.7, 4.10),
    300: (5.12, 16.4, 13.7, 32.8),
    900: (41.0, 16.4, 109, 32.8),
}
HZ = (100, 250, 300, 1000)
MEASURED = [
    (timeout_s, hz, said)
    for timeout_s, row in GRANULES_S.items()
    for hz, said in zip(HZ, row, strict=True)
]


@pytest.mark.parametrize(("timeout_s", "hz", "said"), MEASURED)
def test_the_granule_is_the_one_measured(timeout_s: float, hz: int, said: float) -> None:
    assert granule_s(timeout_s, hz) == pytest.approx(said, rel=0.004)


@pytest.mark.parametrize(
    ("granule", "hz", "shortest_s", "bound_s"),
    [
        (0.01, 100, 0.0, 0.63),
        (0.64, 100, 5.04, 40.32),
        (0.512, 1000, 4.032, 32.256),
        (167772.16, 100, 1321205.76, float("inf")),
    ],
)
def test_the_timeouts_of_a_granule_are_those_of_its_level(
    granule: float, hz: int, shortest_s: float, bound_s: float
) -> None:
    assert timeouts_of_granule_s(granule, hz) == pytest.approx((shortest_s, bound_s))


@pytest.mark.parametrize(
    ("jiffies", "granule"),
    [
        (1, 1),  # level 0 below 63
        (62, 1),
        (63, 8),  # level 1 from 63
        (503, 8),
        (504, 64),
        (4031, 64),
        (4032, 512),
        (32255, 512),
        (32256, 4096),
        (258047, 4096),
        (258048, 32768),
        (63 * 8**7, 8**8),  # the highest level
        (2**31, 8**8),
    ],
)
def test_the_granule_steps_up_at_63_times_8_to_the_level(jiffies: int, granule: int) -> None:
    assert granule_jiffies(jiffies) == granule


def test_granules_come_in_arrays_too() -> None:
    assert granule_jiffies(np.array([10, 2000, 12000])).tolist() == [1, 64, 512]


def ticks(uptime_s: Fraction, phase_s: Fraction, hz: int) -> int:
    """The jiffies counter, as the kernel has it, without its modulus."""
    return (uptime_s - phase_s) * hz // 1 - 300 * hz


hz_values = st.sampled_from(HZ)
phases = st.integers(-10_000, 400_000).map(lambda us: Fraction(us, 1_000_000))
timeouts = st.integers(1, 2000)


@given(
    jiffy=st.integers(0, 10**9),
    timeout_s=timeouts,
    hz=hz_values,
    phase_ms=st.integers(-10, 400),
)
def test_the_timer_fires_at_the_next_granule_strictly_after_the_nominal_jiffy(
    jiffy: int, timeout_s: int, hz: int, phase_ms: int
) -> None:
    # In the middle of a jiffy, so that rounding has no say.
    uptime_s = Fraction(2 * jiffy + 1, 2 * hz) + Fraction(phase_ms, 1000)
    nominal = ticks(uptime_s, Fraction(phase_ms, 1000), hz) + timeout_s * hz
    level = max((n for n in range(1, 9) if timeout_s * hz >= 63 * 8 ** (n - 1)), default=0)
    fire = (nominal // 8**level + 1) * 8**level
    expected_s = Fraction(fire, hz) + 300 + Fraction(phase_ms, 1000)
    found_s = expiry_uptime_s(float(uptime_s), timeout_s, hz=hz, phase_s=phase_ms / 1000)
    assert float(found_s) == pytest.approx(float(expected_s), abs=1e-5)


@given(
    uptime_s=st.floats(0, 1e7, allow_nan=False),
    timeout_s=timeouts,
    hz=hz_values,
    phase_s=st.floats(-0.01, 0.4),
)
def test_an_entry_expires_late_by_up_to_a_granule_and_never_early(
    uptime_s: float, timeout_s: int, hz: int, phase_s: float
) -> None:
    late_s = float(expiry_uptime_s(uptime_s, timeout_s, hz=hz, phase_s=phase_s))
    late_s -= uptime_s + timeout_s
    assert -1e-6 < late_s <= granule_s(timeout_s, hz) + 1e-6


@given(
    uptime_s=st.floats(0, 1e6),
    timeout_s=timeouts,
    hz=hz_values,
    shift_ms=st.integers(-400, 400),
)
def test_a_shift_of_the_phase_shifts_the_whole_staircase(
    uptime_s: float, timeout_s: int, hz: int, shift_ms: int
) -> None:
    # An integral shift of everything by whole ms: expiry moves by exactly that.
    jiffy = round(uptime_s * hz) + 0.5
    still = expiry_uptime_s(jiffy / hz, timeout_s, hz=hz, phase_s=0.0)
    shift_s = shift_ms / 1000
    moved = expiry_uptime_s(jiffy / hz + shift_s, timeout_s, hz=hz, phase_s=shift_s)
    assert float(moved - still) == pytest.approx(shift_s, abs=1e-6)


def test_entries_whose_instants_fall_into_one_granule_go_at_the_same_instant() -> None:
    # Jiffy 0 is at uptime 300 s, and 720 s are 1125 granules of 0.64 s.
    within_one_granule_s = 1000.0 + np.arange(0.005, 0.64, 0.01)
    gone_s = expiry_uptime_s(within_one_granule_s, 20.0, hz=100, phase_s=0.0)
    assert np.unique(gone_s) == pytest.approx([1020.64])
    over_the_edge_s = within_one_granule_s + 0.3
    gone_s = expiry_uptime_s(over_the_edge_s, 20.0, hz=100, phase_s=0.0)
    assert np.unique(gone_s) == pytest.approx([1020.64, 1021.28])


def test_a_timeout_on_a_boundary_waits_one_more_granule() -> None:
    # Jiffy 0 is at uptime 300 s; 2048 = 32 x 64 jiffies: strictly after means 33 x 64.
    gone_s = expiry_uptime_s(300.005, 20.48, hz=100, phase_s=0.0)
    assert float(gone_s) == pytest.approx(300 + 33 * 0.64)


# Learning the phase ----------------------------------------------------------------------------


@st.composite
def true_readings(draw: st.DrawFn) -> tuple[int, Fraction, list[TickReading]]:
    """HZ, the phase, and readings as a script on a director with a clock of 1 us takes them."""
    hz = draw(hz_values)
    phase_s = draw(phases)
    began_s = Fraction(draw(st.integers(1, 10**8)), 1000)
    at_s, readings = began_s, []
    batches = [draw(st.integers(1, 30)), draw(st.integers(1, 30))]
    for count in batches:
        for _ in range(count):
            at_s += Fraction(draw(st.integers(100, 9000)), 1_000_000)
            before_s = at_s - Fraction(draw(st.integers(0, 2000)), 1_000_000)
            after_s = at_s + Fraction(draw(st.integers(0, 2000)), 1_000_000)
            counter = ticks(at_s, phase_s, hz) + 2**32
            readings.append(
                TickReading(before_s=float(before_s), jiffies=counter, after_s=float(after_s))
            )
        at_s += Fraction(1, 2)
    return hz, phase_s, readings


@given(true_readings())
def test_the_true_phase_lies_within_the_interval_and_hz_is_recognised(
    case: tuple[int, Fraction, list[TickReading]],
) -> None:
    hz, phase_s, readings = case
    found = phase_from_readings(readings)
    assert found is not None
    assert found.hz == hz
    assert abs(found.phase_s - float(phase_s)) <= found.uncertainty_s + 1e-6


@given(true_readings(), st.data())
def test_one_reading_in_twelve_may_be_of_a_late_tick_or_have_taken_too_long(
    case: tuple[int, Fraction, list[TickReading]], data: st.DataObject
) -> None:
    hz, phase_s, readings = case
    count = len(readings) // 12
    wrong = data.draw(st.sets(st.integers(0, len(readings) - 1), min_size=count, max_size=count))
    for at in wrong - {0, len(readings) - 1}:  # HZ is told by the first and the last
        late = data.draw(st.integers(-1, 1))
        readings[at] = replace(readings[at], jiffies=readings[at].jiffies + late)
    found = phase_from_readings(readings)
    assert found is not None
    assert found.hz == hz
    assert abs(found.phase_s - float(phase_s)) <= found.uncertainty_s + 1e-6


def test_one_tick_that_came_late_does_not_make_the_phase_certain_and_wrong() -> None:
    """Read from a busy machine: 2 ms late, and the phase seemed to be known to 1.7 ms."""
    on_time = [500.0 + 0.0613 * step for step in range(11)]
    readings = [replace(reading(at, counter(at, 100)), after_s=at + 0.005) for at in on_time]
    late = TickReading(before_s=500.7022, jiffies=counter(500.695, 100), after_s=500.7072)
    found = phase_from_readings([*readings[:6], late, *readings[6:]])
    assert found is not None
    assert abs(found.phase_s) <= found.uncertainty_s


@given(true_readings())
def test_a_counter_of_32_bits_that_has_wrapped_tells_the_same(
    case: tuple[int, Fraction, list[TickReading]],
) -> None:
    hz, _, readings = case
    wrapped = [
        TickReading(
            before_s=reading.before_s, jiffies=reading.jiffies % 2**32, after_s=reading.after_s
        )
        for reading in readings
    ]
    if wrapped[0].jiffies > wrapped[-1].jiffies:
        return  # the wrap itself, once in 49 days, between the two batches
    found, whole = phase_from_readings(wrapped), phase_from_readings(readings)
    assert found is not None
    assert found.hz == hz
    assert found == whole


def reading(at_s: float, jiffies: int) -> TickReading:
    return TickReading(before_s=at_s, jiffies=jiffies, after_s=at_s)


def counter(at_s: float, hz: int, phase_s: float = 0.0) -> int:
    return int((at_s - phase_s) * hz) - 300 * hz + 2**32


@pytest.mark.parametrize(
    ("readings", "why"),
    [
        ([], "nothing was read"),
        ([reading(500.0, counter(500.0, 100))], "one reading tells no rate"),
        ([reading(500.0, 2**32)] * 3, "the clock stood still"),
        ([reading(500.0, 2**32), reading(500.0, 2**32 + 5)], "the clock alone stood still"),
        (
            [reading(500.0, 2**32), reading(501.0, 2**32)],
            "the counter stood still: no jiffies",
        ),
        (
            [reading(500.0, 2**32), reading(501.0, 2**32 + 180)],
            "180 a second is no HZ that a kernel has",
        ),
        (
            [reading(501.0, counter(501.0, 100)), reading(500.0, counter(500.0, 100))],
            "time runs backwards",
        ),
        (
            [reading(500.0, counter(500.0, 100)), reading(501.005, counter(501.0, 100) + 3)],
            "the two bounds are two and a half ticks apart, where one reading leaves one open",
        ),
        (
            [reading(500.0, counter(500.0, 100)), reading(501.0, counter(501.0, 100) + 4)],
            "at the rate of HZ 100, but the two bounds contradict each other",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_readings_that_tell_nothing_give_none(readings: list[TickReading], why: str) -> None:
    assert phase_from_readings(readings) is None, why


@pytest.mark.parametrize("days", [0, 10, 60, 400, 3650])
def test_a_director_that_has_been_up_for_long_has_a_small_phase_all_the_same(days: int) -> None:
    """At HZ 1000 the counter passes 2^32 ticks after 49.7 days."""
    hz, began_s = 1000, days * 86400 + 100.0
    at_s = [began_s + step / 10 for step in range(20)]
    readings = [
        TickReading(before_s=at, jiffies=counter(at, hz, 0.25) % 2**64, after_s=at) for at in at_s
    ]
    found = phase_from_readings(readings)
    assert found is not None
    assert found.phase_s == pytest.approx(0.25, abs=0.002)


def test_readings_on_the_tick_leave_half_a_tick_open_on_either_side() -> None:
    found = phase_from_readings([reading(at, counter(at, 100)) for at in (500.0, 501.0)])
    assert found is not None
    assert found.hz == 100
    assert found.uncertainty_s == pytest.approx(0.005)
    assert found.phase_s == pytest.approx(-0.005)


def test_bounds_that_part_by_less_than_a_tick_are_the_rounding_of_clocks() -> None:
    off = [reading(500.0, counter(500.0, 100)), reading(501.005, counter(501.0, 100) + 2)]
    found = phase_from_readings(off)
    assert found is not None
    assert found.uncertainty_s == pytest.approx(0.0025)


@pytest.mark.parametrize(("counted", "hz"), [(46, 100), (54, 100), (44, None), (56, None)])
def test_a_rate_more_than_a_tenth_from_every_hz_is_none_however_wide_the_bounds(
    counted: int, hz: int | None
) -> None:
    """Half a second, of which the instants are known to 0.2 s."""
    began = counter(500.0, 100)
    found = phase_from_readings(
        [
            TickReading(before_s=500.0, jiffies=began, after_s=500.2),
            TickReading(before_s=500.5, jiffies=began + counted, after_s=500.7),
        ]
    )
    assert (None if found is None else found.hz) == hz
