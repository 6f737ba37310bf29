"""Readings in order of time, to values and the times of their changes."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from analyzer.estimate.in_force.readings import Source, TimeoutReading
from analyzer.estimate.in_force.steps import LEAST, Step, steps_of

if TYPE_CHECKING:
    import random


def read(at: int, low: int, high: int | None = None, *, n: int = 1) -> TimeoutReading:
    """An entry whose packet came at an instant and that shows one of some values."""
    return TimeoutReading(at, at, low, low if high is None else high, low, n)


def said(at: int, value: int, by: Source = "director") -> TimeoutReading:
    return TimeoutReading(at, at, value, value, value, 0, by)


def values(steps: list[Step]) -> list[int]:
    return [step.value_s for step in steps]


def windows(steps: list[Step]) -> list[tuple[int | None, int | None]]:
    return [(step.from_ns, step.until_ns) for step in steps]


def test_nothing_says_nothing() -> None:
    assert steps_of([]) == []


def test_one_value_is_one_step() -> None:
    (step,) = steps_of([read(at, 20) for at in range(5)])
    assert (step.value_s, step.low_s, step.high_s, step.n) == (20, 20, 20, 5)
    assert (step.from_ns, step.until_ns, step.noticed_ns) == (None, None, None)


def test_a_change_lies_between_the_last_of_the_old_and_the_first_of_the_new() -> None:
    steps = steps_of([read(at, 10 if at < 7 else 5) for at in range(12)])
    assert values(steps) == [10, 5]
    assert windows(steps) == [(None, None), (6, 7)]


def test_there_and_back() -> None:
    steps = steps_of([read(at, 5 if 4 <= at < 8 else 10) for at in range(12)])
    assert values(steps) == [10, 5, 10]
    assert windows(steps)[1:] == [(3, 4), (7, 8)]


def test_one_entry_alone_is_no_change() -> None:
    """A packet that nobody saw restarted its timer."""
    steps = steps_of([read(at, 20 if at != 5 else 23) for at in range(12)])
    assert values(steps) == [20]
    assert steps[0].n == 11


def test_two_entries_that_disagree_with_each_other_are_no_change() -> None:
    odd = {5: 23, 6: 31}
    assert values(steps_of([read(at, odd.get(at, 20)) for at in range(12)])) == [20]


def test_a_reading_that_leaves_both_open_decides_nothing() -> None:
    readings = [read(0, 10), read(1, 10), read(2, 10, 11), read(3, 11), read(4, 11)]
    steps = steps_of(readings)
    assert values(steps) == [10, 11]
    assert windows(steps)[1] == (1, 3)


def test_what_is_common_to_all_is_the_value() -> None:
    (step,) = steps_of([read(0, 19, 20), read(1, 20, 21), read(2, 19, 21)])
    assert (step.value_s, step.low_s, step.high_s) == (20, 20, 20)


def test_what_is_left_open_is_said_and_the_likeliest_taken() -> None:
    readings = [TimeoutReading(at, at, 19, 22, 20, 1) for at in range(4)]
    (step,) = steps_of(readings)
    assert (step.value_s, step.low_s, step.high_s) == (20, 19, 22)
    assert steps_of(readings, 22)[0].value_s == 22  # as somebody said


def test_the_most_that_is_left_is_seen_just_after_a_packet() -> None:
    """Looks five seconds apart: entries show 15 to 19 of 20 s, and one of them all 20."""
    left = [15 + n % 5 for n in range(40)]
    readings = [TimeoutReading(n, n, one, one + 6, one + 1, 1) for n, one in enumerate(left)]
    (step,) = steps_of([*readings, TimeoutReading(40, 40, 20, 26, 21, 1)])
    assert step.value_s == 20
    assert (step.low_s, step.high_s) == (20, 21)


def test_what_the_director_said_needs_no_second() -> None:
    steps = steps_of([said(0, 10), said(9, 10), said(19, 5)])
    assert values(steps) == [10, 5]
    assert windows(steps)[1] == (9, 19)
    assert steps[1].noticed_ns == 19
    assert steps[1].n == 0


def test_entries_say_sooner_what_was_noticed_late() -> None:
    readings = [said(0, 10), *(read(at, 10 if at < 4 else 5) for at in range(1, 9)), said(19, 5)]
    steps = steps_of(readings)
    assert values(steps) == [10, 5]
    assert windows(steps)[1] == (3, 4)
    assert steps[1].noticed_ns == 19


def test_one_entry_is_believed_where_nobody_says_otherwise() -> None:
    assert values(steps_of([read(3, 20)])) == [20]
    assert values(steps_of([said(0, 60), read(3, 20)])) == [60]
    assert values(steps_of([said(0, 60, "somebody"), read(3, 20)])) == [60]


def test_two_entries_stand_against_what_somebody_said() -> None:
    steps = steps_of([said(0, 60, "somebody"), read(3, 20), read(4, 20)])
    assert values(steps) == [60, 20]
    assert steps[0].n == 0


def test_a_later_word_of_the_director_confirms_a_single_entry() -> None:
    steps = steps_of([said(0, 60), read(3, 60), read(4, 20), said(9, 20)])
    assert values(steps) == [60, 20]
    assert windows(steps)[1] == (3, 4)


Course = tuple[list[tuple[int, int, int]], list[TimeoutReading]]


@st.composite
def courses(draw: st.DrawFn) -> Course:
    """Periods (begin, end, value), neighbours unlike, and readings that are all true."""
    periods = []
    at, last = 0, 0
    for _ in range(draw(st.integers(1, 4))):
        length = draw(st.integers(6, 12))
        value = draw(st.integers(1, 60).filter(lambda one: abs(one - last) > 2))  # noqa: B023
        periods.append((at, at + length, value))
        at, last = at + length, value
    readings = []
    for begin, end, value in periods:
        for when in range(begin, end):
            below, above = draw(st.sampled_from([(0, 0), (0, 0), (0, 1), (1, 0)]))
            edge = when in (begin, begin + 1, end - 1)  # so that each change has exact neighbours
            low, high = (value, value) if edge else (value - below, value + above)
            readings.append(TimeoutReading(when, when, low, high, value, 1))
    return periods, readings


@given(courses())
def test_true_readings_give_the_true_course(course: Course) -> None:
    periods, readings = course
    steps = steps_of(readings)
    assert values(steps) == [value for _, _, value in periods]
    for (_, end, _), (_, after) in zip(periods, pairwise(steps), strict=False):
        assert (after.from_ns, after.until_ns) == (end - 1, end)


@given(courses(), st.randoms(use_true_random=False), st.integers(1, 60))
def test_a_wrong_one_among_many_changes_nothing(
    course: Course,
    chance: random.Random,
    wrong: int,
) -> None:
    periods, readings = course
    inside = [one for one in readings if any(b + 2 < one.since_ns < e - 2 for b, e, _ in periods)]
    if not inside:
        return
    spoilt = chance.choice(inside)
    where = readings.index(spoilt)
    readings[where] = TimeoutReading(
        spoilt.since_ns, spoilt.still_ns, wrong, wrong, wrong, LEAST - 1
    )
    assert values(steps_of(readings)) == [value for _, _, value in periods]
