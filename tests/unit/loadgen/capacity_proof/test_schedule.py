"""When the datagrams of a proof are due."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.capacity_proof.schedule import PATIENCE_NS, Pacer, due_s, flows, frames_per_s


def test_an_even_stream_has_even_steps() -> None:
    assert [due_s(number, 100, 1.0) for number in (0, 1, 50, 250)] == pytest.approx(
        [0, 0.01, 0.5, 2.5]
    )


def test_a_burst_is_half_a_second_high_and_half_a_second_low() -> None:
    times = [due_s(number, 1000, 1.3) for number in range(2000)]
    in_halves = [sum(low <= each < low + 0.5 for each in times) for low in (0, 0.5, 1, 1.5)]
    assert in_halves == [650, 350, 650, 350]


@given(
    rate=st.floats(10, 5000),
    burst=st.floats(1, 1.99),
    number=st.integers(0, 10**6),
)
def test_times_ascend_and_keep_the_average(rate: float, burst: float, number: int) -> None:
    here, following = due_s(number, rate, burst), due_s(number + 1, rate, burst)
    assert following > here
    assert here == pytest.approx(number / rate, abs=0.51)


@given(st.integers(1, 60))
def test_every_vip_has_as_many_flows(vips: int) -> None:
    assert flows(vips) % vips == 0
    assert 24 <= flows(vips) < 24 + vips


def test_a_rate_is_in_frames_of_1242_bytes() -> None:
    assert frames_per_s(15e6) == pytest.approx(1509.66, abs=0.01)


MS = 1_000_000


def test_a_little_late_is_sent_at_once_and_much_is_made_good_slowly() -> None:
    assert Pacer().turn_ns(100 * MS, 100 * MS + PATIENCE_NS) == 100 * MS
    pacer, step_ns, now_ns = Pacer(), MS, 300 * MS  # held up for 0.3 s at a thousand a second
    sent_ns = []
    for due_ns in range(0, 4000 * MS, step_ns):
        now_ns = max(now_ns, pacer.turn_ns(due_ns, now_ns))
        while now_ns < (turn_ns := pacer.turn_ns(due_ns, now_ns)):
            now_ns = turn_ns
        sent_ns.append(now_ns)
    first_second = sum(each < 1300 * MS for each in sent_ns)
    assert 1120 <= first_second <= 1180
    assert sent_ns[-1] == 3999 * MS


@given(st.lists(st.integers(0, 400 * MS), min_size=1, max_size=50))
def test_no_datagram_goes_before_it_is_due_nor_waits_longer_than_it_was_late(
    delays_ns: list[int],
) -> None:
    pacer, now_ns = Pacer(), 0
    for number, delay_ns in enumerate(delays_ns):
        due_ns = number * MS
        now_ns = max(now_ns, due_ns) + delay_ns
        turn_ns = pacer.turn_ns(due_ns, now_ns)
        assert due_ns <= turn_ns <= max(now_ns, due_ns + sum(delays_ns))
