"""Clock offsets from round trips."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.cluster.clocks import (
    RoundTrip,
    WorkerOffset,
    check_offsets,
    of_one_kernel,
    offset_of,
    over_the_run,
)
from loadgen.errors import UsageProblem

ways = st.tuples(st.integers(0, 10**8), st.integers(0, 10**8))


def trip(at_ns: int, there_ns: int, back_ns: int, offset_ns: int) -> RoundTrip:
    return RoundTrip(
        asked_ns=at_ns,
        there_ns=at_ns + there_ns + offset_ns,
        answered_ns=at_ns + there_ns + back_ns,
    )


@given(st.integers(-(10**13), 10**13), st.lists(ways, min_size=1, max_size=20))
def test_the_true_offset_is_within_the_uncertainty(
    offset_ns: int, delays: list[tuple[int, int]]
) -> None:
    trips = [trip(k * 10**9, there, back, offset_ns) for k, (there, back) in enumerate(delays)]

    found = offset_of(trips)

    assert abs(found.offset_ns - offset_ns) <= found.uncertainty_ns
    fastest_ns = min(there + back for there, back in delays)
    assert found.uncertainty_ns <= (fastest_ns + 1) // 2 + 1


def test_trips_slow_in_opposite_directions_agree_on_less_than_either() -> None:
    found = offset_of([trip(0, 1_000_000, 100, 5_000), trip(9, 100, 1_000_000, 5_000)])

    assert found.uncertainty_ns == 100
    assert found.offset_ns == 5_000


def test_a_clock_that_was_set_meanwhile_makes_the_offset_uncertain() -> None:
    found = offset_of([trip(0, 50, 50, 0), trip(9, 500, 500, 10**9)])

    assert found.offset_ns == 0
    assert found.uncertainty_ns >= 10**9 - 1_000


def test_a_clock_an_hour_off_is_refused_by_name() -> None:
    offsets = [
        ("near", WorkerOffset(offset_ns=10_000, uncertainty_ns=1_000)),
        ("far", WorkerOffset(offset_ns=-3_600 * 10**9, uncertainty_ns=400_000)),
    ]

    with pytest.raises(UsageProblem, match=r"the clock of far is 3600 s .* behind this host's"):
        check_offsets(offsets, 1.0)


@pytest.mark.parametrize(
    ("uncertainty_ns", "is_refused"), [(500_000_000, False), (500_000_001, True)]
)
def test_the_uncertainty_counts_too(uncertainty_ns: int, is_refused: bool) -> None:
    offsets = [("w", WorkerOffset(offset_ns=500_000_000, uncertainty_ns=uncertainty_ns))]

    if is_refused:
        with pytest.raises(UsageProblem, match="ahead of"):
            check_offsets(offsets, 1.0)
    else:
        check_offsets(offsets, 1.0)


@pytest.mark.parametrize(
    ("after_ns", "after_unsure_ns", "uncertainty_ns"),
    [
        (1000, 50, 100),
        (1150, 50, 100),  # both may be right
        (1151, 50, 201),
        (849, 50, 201),
        (1000, 900, 100),  # what is known less well says nothing
    ],
)
def test_the_uncertainty_covers_how_far_a_clock_has_moved(
    after_ns: int, after_unsure_ns: int, uncertainty_ns: int
) -> None:
    before = WorkerOffset(offset_ns=1000, uncertainty_ns=100)
    after = WorkerOffset(offset_ns=after_ns, uncertainty_ns=after_unsure_ns)

    found = over_the_run(before, after)

    assert found == WorkerOffset(offset_ns=1000, uncertainty_ns=uncertainty_ns)


@pytest.mark.parametrize(
    ("boot", "offset_ns", "expected"),
    [
        ("a", 900, WorkerOffset(offset_ns=0, uncertainty_ns=0)),
        ("b", 900, WorkerOffset(offset_ns=900, uncertainty_ns=1000)),
        ("", 900, WorkerOffset(offset_ns=900, uncertainty_ns=1000)),
        ("a", 1001, WorkerOffset(offset_ns=1001, uncertainty_ns=1000)),
    ],
    ids=["the same kernel", "another", "unknown", "the same, but its clock is another"],
)
def test_hosts_of_one_kernel_have_one_clock(
    boot: str, offset_ns: int, expected: WorkerOffset
) -> None:
    measured = WorkerOffset(offset_ns=offset_ns, uncertainty_ns=1000)

    assert of_one_kernel(measured, boot, "a" if boot else "") == expected
