"""Predicted beside observed, and by how much they differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.charts.curves import Curve
from analyzer.compared.agreement import Tolerance, agreement, value_at
from analyzer.compared.states import state_matches
from analyzer.ipvs.states import Flag, Timeouts
from analyzer.observed.entries import Sampled
from analyzer.observed.parted import Parted
from analyzer.predicted.entries import DROP_ENTRY, PORT_REUSE, TIMER, Prediction, predict
from tests.unit.analyzer.builders_packets import BOOT_NS, NS, Seg, clock, rules, segments
from tests.unit.properties import examples

if TYPE_CHECKING:
    from analyzer.results import Agreement


def curve(points: list[tuple[float, int, int]], server: str = "a:80") -> Curve:
    """Of points (second, active, inactive)."""
    t_s, active, inactive = zip(*points, strict=True) if points else ((), (), ())
    return Curve(
        director="bal01",
        real_server=server,
        t_s=np.array(t_s, dtype=np.float64),
        active=np.array(active, dtype=np.int64),
        inactive=np.array(inactive, dtype=np.int64),
    )


def prediction() -> Prediction:
    """One connection: SYN at 1000, ACK 0.1 s later, FIN at 1000.4; tcpfin 20."""
    rows = [
        Seg(1000.0, 1, Flag.SYN),
        Seg(1000.1, 1, Flag.ACK),
        Seg(1000.4, 1, Flag.FIN),
    ]
    return predict(segments(rows), clock(), rules(timeouts=Timeouts(tcpfin_s=20)), "bal01")


def tracked(*, ends_late_s: float = 0.0, cause: str = TIMER) -> pd.DataFrame:
    """Its life, seen to go between 1020.25 and 1020.5; predicted for 1020.4."""
    seconds = {"seen_ns": 1020.25, "absent_ns": 1020.5, "ends_ns": 1020.4 + ends_late_s}
    seconds["absent_by_ns"] = seconds["absent_ns"]
    rows = {name: [BOOT_NS + round(second * NS)] for name, second in seconds.items()}
    known = pd.DataFrame({"entry": [0]} | rows).astype("Int64").assign(cause=cause)
    return known.assign(flow=0, appeared_ns=BOOT_NS + 1000 * NS, real_server="a:80")


def samples(*seen: tuple[float, str], flow: int = 0) -> Sampled:
    """Polls, each of which saw the flow in a state."""
    polled_ns = np.array([BOOT_NS + round(at_s * NS) for at_s, _ in seen], dtype=np.int64)
    first = np.arange(len(seen))
    states = pd.Series([state for _, state in seen], dtype="string")
    held = {"flow": flow, "state": states, "first": first, "until": first + 1}
    return Sampled(polled_ns=polled_ns, held=Parted.of(pd.DataFrame(held)))


def judged(
    observed: list[Curve] | None = None,
    predicted: list[Curve] | None = None,
    seen: Sampled | None = None,
    found: pd.DataFrame | None = None,
    *,
    unseen_packets: bool = False,
) -> Agreement:
    return agreement(
        prediction(),
        Parted.of(tracked() if found is None else found),
        samples() if seen is None else seen,
        observed or [],
        predicted or [],
        Tolerance(clock_s=0.02, phase_is_known=True, unseen_packets=unseen_packets),
    )


@pytest.mark.parametrize(
    ("at_s", "state", "counted", "matches", "why"),
    [
        (1000.05, "SYN_RECV", 1, 1, "between SYN and ACK"),
        (1000.05, "ESTABLISHED", 1, 0, "a state that the packets do not explain"),
        (1000.2, "ESTABLISHED", 1, 1, "open"),
        (1010.0, "FIN_WAIT", 1, 1, "closed"),
        (1010.0, "TIME_WAIT", 1, 0, "closed, but not as dr closes"),
        (1000.42, "ESTABLISHED", 0, 0, "within 30 ms after a packet nothing can be said"),
        (1000.38, "FIN_WAIT", 0, 0, "nor within 30 ms before one"),
        (1000.02, "NONE", 0, 0, "nor at the very start"),
        (999.0, "FIN_WAIT", 0, 0, "before the first packet it was another entry"),
    ],
)
def test_a_polled_state_is_held_against_the_last_packet_before_it(
    at_s: float, state: str, counted: int, matches: int, why: str
) -> None:
    found = judged(seen=samples((at_s, state)))
    assert (found.state_samples, found.state_matches) == (counted, matches), why


@examples(50)
@given(at_s=st.lists(st.integers(9990, 10200).map(lambda tenth: tenth / 10), unique=True))
def test_polls_of_one_state_count_as_if_each_were_judged_alone(at_s: list[float]) -> None:
    at_s.sort()
    alone = [judged(seen=samples((at, "FIN_WAIT"))) for at in at_s]
    together = samples(*((at, "FIN_WAIT") for at in at_s))
    held = together.held.map(lambda rows: rows.iloc[:1].assign(first=0, until=len(at_s)))
    found = judged(seen=Sampled(polled_ns=together.polled_ns, held=held))
    assert found.state_samples == sum(one.state_samples for one in alone)
    assert found.state_matches == sum(one.state_matches for one in alone)


def test_another_flows_samples_are_its_own() -> None:
    found = judged(seen=samples((1010.0, "FIN_WAIT"), flow=1))
    assert (found.state_samples, found.state_matches) == (0, 0)


def test_an_expiry_is_off_by_its_distance_from_the_middle_between_two_polls() -> None:
    assert judged().worst_expiry_error_s == pytest.approx(0.025, abs=1e-5)
    late = judged(found=tracked(ends_late_s=2.0))
    assert late.worst_expiry_error_s == pytest.approx(2.025, abs=1e-5)


@pytest.mark.parametrize("cause", [PORT_REUSE, DROP_ENTRY])
def test_only_a_timer_can_be_late(cause: str) -> None:
    assert judged(found=tracked(ends_late_s=2.0, cause=cause)).worst_expiry_error_s is None


def test_without_an_expiry_seen_there_is_no_error_to_tell() -> None:
    still_there = tracked()
    still_there[["seen_ns", "absent_ns"]] = pd.NA
    assert judged(found=still_there).worst_expiry_error_s is None


def test_entries_are_counted_on_both_sides() -> None:
    stranger = tracked()
    stranger["entry"] = pd.NA
    stranger["flow"] = 1
    found = judged(found=pd.concat([tracked(), stranger], ignore_index=True))
    assert (found.entries_observed, found.entries_predicted) == (1, 1)


POLLS = [0.25 * n for n in range(40)]


def polled(values: dict[float, tuple[int, int]]) -> Curve:
    """Polls 4 times a second, each with the last value of a staircase."""
    steps = sorted(values.items())
    rows = []
    for at_s in POLLS:
        active, inactive = next((v for when, v in reversed(steps) if when <= at_s), (0, 0))
        rows.append((at_s, active, inactive))
    return curve(rows)


def test_curves_that_are_the_same_differ_by_nothing() -> None:
    steps = {1.1: (3, 0), 2.1: (0, 50), 8.1: (0, 0)}
    predicted = curve([(at_s, *value) for at_s, value in steps.items()])
    found = judged([polled(steps)], [predicted])
    assert (found.active_max_error, found.inactive_max_error) == (0, 0)
    assert found.disagreement_polls == 0


def test_a_difference_that_stays_is_an_error() -> None:
    found = judged([polled({1.0: (2, 50)})], [curve([(1.0, 1, 43)])])
    assert (found.active_max_error, found.inactive_max_error) == (1, 7)
    assert found.disagreement_polls == 36  # all polls from 1 s on


def test_a_difference_near_a_change_is_not_held_against_the_calm_polls() -> None:
    """The director changed 0.15 s after the prediction: within the margin."""
    found = judged([polled({2.0: (0, 50)})], [curve([(1.85, 0, 50)])])
    assert found.inactive_max_error == 0


@pytest.mark.parametrize(
    ("at_s", "error"), [(0.199, None), (0.2, None), (0.201, 7), (-0.199, None), (-0.201, 7)]
)
def test_a_poll_is_calm_when_it_is_more_than_a_fifth_of_a_second_from_every_change(
    at_s: float, error: int | None
) -> None:
    """One poll about a predicted change at 0 s, from 43 to 43 and an active one."""
    predicted = curve([(-9.0, 0, 43), (0.0, 1, 43)])
    assert judged([curve([(at_s, 0, 50)])], [predicted]).inactive_max_error == error


@pytest.mark.parametrize(("off", "polls"), [(2, 0), (3, 36), (-2, 0), (-3, 36)])
def test_up_to_two_entries_are_no_disagreement(off: int, polls: int) -> None:
    found = judged([polled({1.0: (0, 50)})], [curve([(1.0, 0, 50 - off)])])
    assert found.disagreement_polls == polls


@pytest.mark.parametrize(("off", "polls"), [(2, 0), (3, 40), (-2, 0), (-3, 40)])
def test_up_to_two_entries_need_no_explanation(off: int, polls: int) -> None:
    found = judged([polled({0.0: (0, 50)})], [curve([(-9.0, 0, 50 - off)])])
    assert found.unexplained_polls == polls


def test_the_longest_run_of_disagreement_counts_not_the_sum() -> None:
    observed = polled({1.0: (0, 50), 1.5: (0, 0), 4.0: (0, 50), 5.0: (0, 0)})
    assert judged([observed], []).disagreement_polls == 4


def test_a_director_that_was_not_polled_has_no_curve_errors() -> None:
    found = judged([], [curve([(1.0, 0, 50)])])
    assert (found.active_max_error, found.inactive_max_error) == (None, None)
    assert found.disagreement_polls == 0


def test_active_and_inactive_are_each_held_against_their_own() -> None:
    found = judged([polled({1.0: (50, 0)})], [curve([(1.0, 0, 50)])])
    assert (found.active_max_error, found.inactive_max_error) == (50, 50)


def test_the_curves_of_all_real_servers_are_summed_at_every_poll() -> None:
    """One server too many here and one too few there: the director's total is right."""
    observed = [
        curve([(t, 0, 10) for t in POLLS], "a:80"),
        curve([(t, 0, 5) for t in POLLS], "b:80"),
    ]
    predicted = [curve([(-1.0, 0, 9)], "a:80"), curve([(-1.0, 0, 6)], "b:80")]
    assert judged(observed, predicted).inactive_max_error == 0
    assert judged(observed, predicted[:1]).inactive_max_error == 6
    assert judged(observed[:1], predicted[:1]).inactive_max_error == 1


def test_a_real_server_that_is_not_in_the_table_is_not_held_against_it() -> None:
    """Removed from 2 s to 5 s: its entries stay, its counters are not in the table."""
    listed = [(t, 0, 15) for t in POLLS if not 2 <= t < 5]
    observed = [curve([(t, 0, 15) for t in POLLS], "a:80"), curve(listed, "b:80")]
    predicted = [curve([(-1.0, 0, 15)], "a:80"), curve([(-1.0, 0, 15)], "b:80")]
    found = judged(observed, predicted)
    assert found.inactive_max_error == 0
    assert found.disagreement_polls == 0


def test_entries_whose_real_server_is_not_known_count_in_the_total() -> None:
    observed = [curve([(t, 0, 15) for t in POLLS], "a:80")]
    predicted = [curve([(-1.0, 0, 10)], "a:80"), curve([(-1.0, 0, 5)], "unknown")]
    assert judged(observed, predicted).inactive_max_error == 0


def test_a_step_curve_holds_its_value_until_the_next() -> None:
    at_s = np.array([0.0, 1.0, 1.5, 2.0, 9.0])
    found = value_at(np.array([1.0, 2.0]), np.array([7, 3]), at_s)
    assert found.tolist() == [0, 7, 7, 3, 3]


# -- what polls, clocks and timers leave open ------------------------------------------------------


@pytest.mark.parametrize(
    ("late_s", "reason", "beyond_s"),
    [
        (0.0, "poll", None),
        (0.11, "clock", None),  # 0.01 s outside the gap between polls, clocks known to 0.02 s
        (0.3, "poll_width", None),  # 0.2 s outside a gap of 0.25 s
        (0.4, "unexplained", 0.3),
        (-0.3, "poll_width", None),
        (-0.5, "unexplained", 0.35),
    ],
)
def test_an_expiry_is_unexplained_only_beyond_a_polls_width(
    late_s: float, reason: str, beyond_s: float | None
) -> None:
    found = judged(observed=[polled({0: (0, 0)})], found=tracked(ends_late_s=late_s))
    assert found.residuals == {reason: 1}
    assert found.unexplained_s == (None if beyond_s is None else pytest.approx(beyond_s, abs=1e-6))


def test_polls_far_apart_leave_no_more_than_a_second_open() -> None:
    seldom = tracked(ends_late_s=-2.0)
    seldom["seen_ns"] = seldom["absent_ns"] - 30 * NS
    assert judged(found=seldom).residuals == {"poll": 1}
    early = tracked(ends_late_s=-32.0)
    early["seen_ns"] = early["absent_ns"] - 30 * NS
    assert judged(found=early).residuals == {"unexplained": 1}


@pytest.mark.parametrize(("late_s", "explained"), [(0.2, True), (2.0, False)])
def test_curves_that_are_shifted_by_less_than_polls_and_clocks_leave_open_do_not_differ(
    late_s: float, explained: bool
) -> None:
    """Fifty entries expire at once, at 5 s; polled four times a second."""
    seen = polled({0: (0, 50), 5: (0, 0)})
    predicted = curve([(0, 0, 50), (5 + late_s, 0, 0)])
    found = judged(observed=[seen], predicted=[predicted])
    assert (found.unexplained_polls == 0) is explained
    assert found.disagreement_polls >= found.unexplained_polls
    assert (found.disagreement_polls > 0) is True


@examples(40)
@given(
    off=st.integers(0, 9),
    shift_s=st.floats(-0.25, 0.25),
    at_s=st.lists(st.integers(4, 36).map(lambda quarter: quarter / 4), min_size=1, unique=True),
)
def test_no_shift_within_the_slack_is_unexplained_and_every_lasting_surplus_is(
    off: int, shift_s: float, at_s: list[float]
) -> None:
    values = {0.0: (0, 100)} | {s: (0, 99 - n) for n, s in enumerate(sorted(at_s))}
    predicted = [(s + shift_s if s else 0.0, 0, n + off) for s, (_, n) in sorted(values.items())]
    found = judged(observed=[polled(values)], predicted=[curve(predicted)])
    assert (found.unexplained_polls > 0) <= (off > 0)
    if off > 4:
        assert found.unexplained_polls > 2


def test_a_poll_that_was_still_reading_when_the_next_packet_came_tells_nothing() -> None:
    seen = samples((1000.2, "FIN_WAIT"))
    assert judged(seen=seen).state_samples == 1
    slow = BOOT_NS + np.array([1000_450_000_000], dtype=np.int64)
    reading = Sampled(polled_ns=seen.polled_ns, held=seen.held, answered_ns=slow)
    assert judged(seen=reading).state_samples == 0


def test_stamps_that_are_known_badly_widen_the_margin_around_a_packet() -> None:
    seen = samples((1000.25, "ESTABLISHED"), (1010.0, "FIN_WAIT"))
    assert state_matches(prediction(), seen) == (2, 2)
    assert state_matches(prediction(), seen, stamps_s=1.0) == (1, 1)
