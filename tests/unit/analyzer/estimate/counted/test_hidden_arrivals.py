"""Whether a counter leaves room for entries that came unseen."""

from __future__ import annotations

import numpy as np
import pytest

from analyzer.estimate.counted.hidden_arrivals import may_hide_arrivals

Values = tuple[int, ...]


def hides(values: Values, poll_s: float = 2.0, stamp_s: float = 0.0) -> bool:
    t_s = poll_s * np.arange(float(len(values)))
    return may_hide_arrivals(t_s, np.array(values), stamp_s)


EVEN_RISE = (0, *range(10, 101, 10))
EVEN_FALL = (*range(90, -1, -10),)


@pytest.mark.parametrize("length", [10, 100, 300])
def test_an_even_rise_and_an_even_fall_leave_room(length: int) -> None:
    assert hides((*EVEN_RISE, *(100,) * length, *EVEN_FALL))


def test_a_rise_that_was_over_at_once_leaves_none() -> None:
    assert not hides((0, 100, *(100,) * 20, 0))
    assert not hides((0, 60, 100, *(100,) * 20, 0))
    assert hides((0, 100, *(100,) * 20, 0), poll_s=10.0)  # who knows what was on between two polls


def test_a_fall_faster_than_the_rise_leaves_none() -> None:
    assert not hides((*EVEN_RISE, *(100,) * 20, 50, 50, 0), poll_s=0.25)


def test_an_uneven_fall_after_a_level_that_never_moved_leaves_none() -> None:
    uneven = (88, 86, 71, 68, 52, 51, 33, 30, 14, 12, 0)
    assert not hides((*EVEN_RISE, *(100,) * 40, *uneven))
    assert hides((*EVEN_RISE, 100, *uneven))  # for so short a while it may be chance


def test_a_bend_is_not_taken_for_unevenness() -> None:
    bent = (0, 2, 8, 18, 32, 48, 64, 78, 88, 94, 96)
    assert hides((*bent, *(96,) * 60, *bent[::-1]))


def test_stamps_cut_to_seconds_may_make_an_even_rise_look_uneven() -> None:
    wavy = (0, 10, 20, 31, 40, 51, 60, 71, 80, 91, 100)
    assert not hides((*wavy, *(100,) * 60, *wavy[::-1]))
    assert hides((*wavy, *(100,) * 60, *wavy[::-1]), stamp_s=1.0)


@pytest.mark.parametrize("values", [(0, 0, 0), (0, 5, 9), (9, 5, 0), (5,)])
def test_without_a_rise_and_a_fall_nothing_is_ruled_out(values: Values) -> None:
    assert hides(values)
