"""Timeouts from the falls of a counter: what is claimed holds, whatever HZ, phase and polls are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.estimate.falls.bounds import ExpiryBounds, Misfit, ServiceCounter, expiry_bounds
from analyzer.estimate.falls.timeout import timeout_of
from analyzer.ipvs.timers import expiry_uptime_s
from analyzer.units import KNOWN_HZ
from tests.unit.properties import examples

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

POLL_S = 2.0


def counted(
    last_s: Floats, absent_s: Floats, polled_s: Floats, others: int = 0, clock_s: float = 0.0
) -> ServiceCounter:
    """The counter of entries that came shortly before their last packets."""
    came = np.array([(last_s - 0.01 <= at).sum() for at in polled_s])
    ended = np.array([(absent_s <= at).sum() for at in polled_s])
    least, most = (
        np.array([(last_s - 0.01 <= at + by_s).sum() for at in polled_s])
        for by_s in (-clock_s, clock_s)
    )
    return ServiceCounter(
        polled_s=polled_s, held=came - ended + others, least=least, most=most, before=others
    )


def lived(last_s: Floats, absent_s: Floats, poll_s: float = POLL_S) -> ExpiryBounds:
    polled_s = np.arange(last_s[0] - 20, absent_s[-1] + 20, poll_s)
    found = expiry_bounds(counted(last_s, absent_s, polled_s), last_s)
    assert isinstance(found, ExpiryBounds)
    return found


def test_each_entry_goes_between_the_polls_that_saw_the_counter_fall() -> None:
    last_s, absent_s = np.array([0.0, 0.5, 9.0]), np.array([30.6, 30.6, 41.0])
    found = expiry_bounds(counted(last_s, absent_s, np.arange(-2.0, 60, 2)), last_s)
    assert isinstance(found, ExpiryBounds)
    assert found.seen_s.tolist() == [30, 30, 40]
    assert found.absent_s.tolist() == [32, 32, 42]


def test_an_entry_that_is_left_is_not_gone() -> None:
    last_s, absent_s = np.array([0.0, 9.0]), np.array([30.6, 41.0])
    found = expiry_bounds(counted(last_s, absent_s, np.arange(-2.0, 38, 2)), last_s)
    assert isinstance(found, ExpiryBounds)
    assert found.absent_s.tolist() == [32, np.inf]
    assert found.seen_s.tolist() == [30, 36]


def test_what_was_there_before_may_be_what_went() -> None:
    """Two older entries may be the two that fell first, so nothing is claimed of the others."""
    last_s = np.linspace(0, 0.3, 4)
    absent_s = np.full(4, 30.6)
    early = counted(last_s, absent_s, np.arange(-2.0, 60, 2), others=2)
    found = expiry_bounds(early, last_s)
    assert isinstance(found, ExpiryBounds)
    assert np.isinf(found.absent_s).sum() == 2  # the last two stay in the counter for all it says
    assert (found.seen_s <= 30).all()


@pytest.mark.parametrize("surplus", [-10, 10])
def test_a_counter_that_others_fill_or_that_leaves_some_out_is_refused(surplus: int) -> None:
    last_s = np.linspace(0, 1, 50)
    whole = counted(last_s, np.full(50, 121.0), np.arange(-2.0, 130, 2))
    held = np.where((whole.polled_s > 20) & (whole.polled_s < 90), whole.held + surplus, whole.held)
    more = ServiceCounter(
        polled_s=whole.polled_s, held=held, least=whole.least, most=whole.most, before=0
    )
    found = expiry_bounds(more, last_s)
    assert isinstance(found, Misfit)
    assert found.entries == 10
    assert found.too_many


def test_entries_that_never_came_into_the_counter_are_a_misfit_the_other_way() -> None:
    last_s = np.linspace(0, 1, 50)
    whole = counted(last_s, np.full(50, 121.0), np.arange(-2.0, 130, 2))
    lower = ServiceCounter(
        polled_s=whole.polled_s,
        held=np.maximum(whole.held - 20, 0),
        least=whole.least + 10,
        most=whole.most + 10,
        before=0,
    )
    found = expiry_bounds(lower, last_s)
    assert isinstance(found, Misfit)
    assert not found.too_many


def test_two_steps_of_the_wheel_bound_the_timeout_without_hz() -> None:
    """30 of 50 go at one step, 20 at the next: the step lies between the 30th and the 31st."""
    last_s = np.linspace(0, 0.49, 50)
    absent_s = np.where(np.arange(50) < 30, 120.295, 124.391)
    found = timeout_of([lived(last_s, absent_s)], None, 0.02)
    assert found is not None
    assert found.value - found.uncertainty == pytest.approx(120 - 0.3 - 0.02, abs=0.02)
    assert found.value + found.uncertainty == pytest.approx(122 - 0.29 + 0.02, abs=0.02)


def test_entries_that_share_no_timeout_have_none() -> None:
    last_s = np.linspace(0, 100, 50)
    absent_s = np.sort(last_s + np.linspace(20, 80, 50))
    assert timeout_of([lived(last_s, absent_s, 0.5)], 1000, 0.02) is None


def test_none_is_claimed_where_none_went() -> None:
    last_s = np.array([0.0, 1.0])
    still = expiry_bounds(counted(last_s, np.full(2, 900.0), np.arange(-2.0, 100, 2)), last_s)
    assert isinstance(still, ExpiryBounds)
    assert timeout_of([still], None, 0.02) is None


@examples(200)
@given(
    hz=st.sampled_from(KNOWN_HZ),
    is_known=st.booleans(),
    timeout_s=st.integers(2, 400),
    phase_s=st.floats(0, 1),
    begun_s=st.floats(1000, 2000),
    span_s=st.floats(0, 60),
    entries=st.integers(1, 60),
    poll_s=st.floats(0.1, 12),
    clock_s=st.floats(-0.4, 0.4),
)
def test_the_timeout_lies_in_what_is_claimed(
    hz: int,
    is_known: bool,
    timeout_s: int,
    phase_s: float,
    begun_s: float,
    span_s: float,
    entries: int,
    poll_s: float,
    clock_s: float,
) -> None:
    last_s = np.linspace(begun_s, begun_s + span_s, entries)
    absent_s = expiry_uptime_s(last_s, timeout_s, hz=hz, phase_s=phase_s)
    polled_s = np.arange(begun_s - 30, absent_s[-1] + 30, poll_s)
    off = counted(last_s, absent_s, polled_s)
    seen = ServiceCounter(  # what the analysis knows: the polls' instants to within 0.4 s
        polled_s=polled_s + clock_s,
        held=off.held,
        least=counted(last_s, absent_s, polled_s + clock_s, clock_s=0.4).least,
        most=counted(last_s, absent_s, polled_s + clock_s, clock_s=0.4).most,
        before=0,
    )
    found = expiry_bounds(seen, last_s)
    assert isinstance(found, ExpiryBounds)
    assert np.isfinite(found.absent_s).all()
    measured = timeout_of([found], hz if is_known else None, 0.42)
    assert measured is not None
    assert abs(measured.value - timeout_s) <= measured.uncertainty + 1.1 / hz
