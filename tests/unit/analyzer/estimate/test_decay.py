"""Which timeout governs, and what it measures, on decays whose timeout is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from analyzer.estimate.decay import predicted_lifetimes
from analyzer.estimate.decay_in_parts import lifetimes_in_parts
from analyzer.findings.figures import agrees
from analyzer.ipvs.states import State, Timeouts
from analyzer.ipvs.timers import TimerPhase, expiry_uptime_s, granule_s, timeouts_of_granule_s
from analyzer.observed.ends import WIDEST_POLL_GAP_S
from analyzer.observed.parted import Parted
from analyzer.predicted.entries import PORT_REUSE, TIMER
from analyzer.recording.clock import REACTION_S
from tests.unit.analyzer.builders_packets import BOOT_NS, NS, clock, director
from tests.unit.properties import examples

if TYPE_CHECKING:
    from analyzer.results import Lifetime


@dataclass(frozen=True)
class Decay:
    """A burst at a director whose timeout is known, and the polls that saw its entries go."""

    timeout_s: float
    hz: int = 100
    phase_s: float = 0.0
    state: str = "FIN_WAIT"
    last_s: tuple[float, ...] = tuple(1000.0037 + 0.1003 * n for n in range(50))
    poll_s: float = 0.25
    first_poll_s: float = 999.9

    def tracked(self) -> pd.DataFrame:
        """What ``join.with_packets`` would give."""
        last_s = np.array(self.last_s)
        absent_s = expiry_uptime_s(last_s, self.timeout_s, hz=self.hz, phase_s=self.phase_s)
        n_polls = np.ceil((absent_s - self.first_poll_s) / self.poll_s)
        first_missed_s = self.first_poll_s + n_polls * self.poll_s
        last_seen_s = first_missed_s - self.poll_s
        return pd.DataFrame(
            {
                "flow": range(len(last_s)),
                "state": self.state,
                "seen_ns": unix_ns(last_seen_s),
                "absent_ns": unix_ns(first_missed_s),
                "absent_by_ns": unix_ns(first_missed_s),
                "last_ns": unix_ns(last_s),
                "ends_ns": unix_ns(absent_s),
                "cause": TIMER,
            }
        )

    def measured(
        self,
        timeouts: Timeouts | None = None,
        *,
        hz: int | None = -1,
        phase_s: float | None = -1.0,
        phase_uncertainty_s: float = 0.0,
        clock_uncertainty_s: float = 1e-5,  # no clock is exact
    ) -> Lifetime:
        """The one row; HZ and phase are the true ones unless given."""
        hz = self.hz if hz == -1 else hz
        found = lifetimes_in_parts(
            Parted.of(self.tracked()),
            director(timeouts=timeouts or Timeouts(tcpfin_s=self.timeout_s), hz=hz),
            clock(uncertainty_s=clock_uncertainty_s),
            phase_of(hz, self.phase_s if phase_s == -1 else phase_s, phase_uncertainty_s),
            last_packet_uncertainty_s=0,
        )
        assert len(found) == 1
        return found[0]


def phase_of(hz: int | None, phase_s: float | None, uncertainty_s: float) -> TimerPhase | None:
    if hz is None or phase_s is None:
        return None
    return TimerPhase(hz=hz, phase_s=phase_s, uncertainty_s=uncertainty_s)


PHASE = TimerPhase(hz=100, phase_s=0.0, uncertainty_s=0.0)


TCPFIN_20 = Timeouts(tcpfin_s=20)


def rows_of(tracked: pd.DataFrame, timeouts: Timeouts | None = TCPFIN_20) -> list[Lifetime]:
    """At a director of HZ 100 whose phase is known."""
    by = director(timeouts=timeouts)
    return lifetimes_in_parts(Parted.of(tracked), by, clock(), PHASE, last_packet_uncertainty_s=0)


def unix_ns(uptime_s: np.ndarray) -> pd.Series:
    return pd.Series(np.rint(uptime_s * NS).astype(np.int64) + BOOT_NS, dtype="Int64")


@st.composite
def decays(draw: st.DrawFn) -> Decay:
    began_s = draw(st.floats(400, 5000))
    spread_s = draw(st.sampled_from([0.0, 0.03, 1.0, 7.0]))
    count = draw(st.integers(1, 40))
    moments = st.floats(0, 1)
    return Decay(
        timeout_s=float(draw(st.integers(1, 950))),
        hz=draw(st.sampled_from([100, 250, 300, 1000])),
        phase_s=draw(st.floats(0, 0.4)),
        last_s=tuple(began_s + spread_s * draw(moments) for _ in range(count)),
        poll_s=draw(st.floats(0.05, 1.0)),
        first_poll_s=began_s - 1 - draw(moments),
    )


@given(decays())
@examples(200)
def test_the_true_timeout_lies_within_the_uncertainty(decay: Decay) -> None:
    measured = decay.measured().timeout_measured_s
    assert measured is not None
    assert abs(measured.value - decay.timeout_s) <= measured.uncertainty + 1e-6


@given(decays())
def test_without_the_phase_it_still_does(decay: Decay) -> None:
    measured = decay.measured(phase_s=None).timeout_measured_s
    assert measured is not None
    assert abs(measured.value - decay.timeout_s) <= measured.uncertainty + 1e-6


@given(decays(), st.floats(-1, 1))
def test_a_phase_that_is_wrong_within_its_uncertainty_does_no_harm(
    decay: Decay, wrong: float
) -> None:
    measured = decay.measured(
        phase_s=decay.phase_s + wrong * 0.005, phase_uncertainty_s=0.005
    ).timeout_measured_s
    assert measured is not None
    assert abs(measured.value - decay.timeout_s) <= measured.uncertainty + 1e-6


@given(decays())
def test_the_phase_never_makes_the_estimate_worse_than_its_granule(decay: Decay) -> None:
    assume(decay.poll_s < granule_s(decay.timeout_s, decay.hz) / 2)
    assume(granule_s(decay.timeout_s * 0.9, decay.hz) == granule_s(decay.timeout_s * 1.1, decay.hz))
    measured = decay.measured().timeout_measured_s
    assert measured is not None
    most_s = granule_s(decay.timeout_s, decay.hz) / 2 + decay.poll_s / 2 + REACTION_S
    assert measured.uncertainty <= most_s + 1e-4


@pytest.mark.parametrize(
    ("timeout_s", "hz"),
    [
        (40.0, 100),  # 40.32 s is the edge, and an entry of 40 s lives up to 40.64 s
        (5.0, 100),
        (322.0, 100),
        (16.0, 250),
        (129.0, 250),
        (32.0, 1000),
        (258.0, 1000),
    ],
)
def test_a_timeout_just_below_an_edge_of_the_wheels_levels_is_measured(
    timeout_s: float, hz: int
) -> None:
    measured = Decay(timeout_s=timeout_s, hz=hz).measured().timeout_measured_s
    assert measured is not None
    assert abs(measured.value - timeout_s) <= measured.uncertainty
    assert measured.uncertainty < granule_s(timeout_s, hz)


def test_a_spread_burst_is_measured_more_closely_than_one_step() -> None:
    at_once = Decay(timeout_s=20, last_s=(1000.0,) * 50).measured().timeout_measured_s
    spread = Decay(timeout_s=20).measured().timeout_measured_s
    assert at_once is not None
    assert spread is not None
    assert at_once.uncertainty == pytest.approx(0.32 + REACTION_S, abs=0.02)  # half a granule
    assert spread.uncertainty < 0.1


WRONG = [
    # configured, true: distinguished because they differ by more than the uncertainty
    (20, 120),
    (120, 20),
    (20, 21),
    (30, 20),
    (120, 900),
]


@pytest.mark.parametrize(("configured_s", "true_s"), WRONG)
def test_a_wrong_configured_timeout_is_reported(configured_s: float, true_s: float) -> None:
    row = Decay(timeout_s=true_s).measured(Timeouts(tcpfin_s=configured_s))
    assert row.timeout_s == configured_s
    assert agrees(row) is False


@pytest.mark.parametrize("true_s", [10, 15, 20, 30, 40, 60, 120])
def test_the_right_one_agrees(true_s: float) -> None:
    assert agrees(Decay(timeout_s=true_s).measured()) is True


@pytest.mark.parametrize(
    ("state", "name", "counted", "timeout_s"),
    [
        ("FIN_WAIT", "tcpfin", "inactive", 20),
        ("ESTABLISHED", "tcp", "active", 77),
        ("TIME_WAIT", "fixed", "inactive", 120),
        ("CLOSE", "fixed", "inactive", 10),
        ("CLOSE_WAIT", "fixed", "inactive", 60),
        ("SYN_RECV", "fixed", "active", 60),
        ("SYNACK", "fixed", "active", 120),
    ],
)
def test_the_last_state_says_which_timeout_governs(
    state: str, name: str, counted: str, timeout_s: float
) -> None:
    row = Decay(timeout_s=timeout_s, state=state).measured(Timeouts(tcp_s=77, tcpfin_s=20))
    assert (row.state, row.timeout_name, row.counted) == (state, name, counted)
    assert row.timeout_s == timeout_s
    assert agrees(row) is True


def test_a_state_of_another_protocol_has_no_timeout_of_ours() -> None:
    row = Decay(timeout_s=20, state="SHUTDOWN").measured()
    assert (row.timeout_s, row.granule_s) == (None, None)
    assert row.n == 50


def test_lifetimes_are_from_the_last_packet_to_the_disappearance() -> None:
    row = Decay(timeout_s=20).measured()
    life = row.lifetime_s
    assert life is not None
    assert (row.n, row.n_expired) == (50, 50)
    assert row.granule_s == pytest.approx(0.64)
    assert 20 - life.uncertainty < life.min <= life.mean <= life.max
    assert life.max < 20.64 + life.uncertainty
    assert life.mean == pytest.approx(20.32, abs=0.15)
    assert life.uncertainty == pytest.approx(0.125, abs=1e-4)  # half a poll interval


def test_the_clocks_uncertainty_adds_to_the_lifetimes() -> None:
    life = Decay(timeout_s=20).measured(clock_uncertainty_s=0.01).lifetime_s
    assert life is not None
    assert life.uncertainty == pytest.approx(0.135, abs=1e-6)


def test_the_prediction_error_is_within_half_a_poll_interval() -> None:
    error = Decay(timeout_s=20).measured().prediction_error_s
    assert error is not None
    assert error.max <= 0.125 + 1e-6
    assert abs(error.mean) <= error.max


def test_a_prediction_that_is_late_has_a_positive_error() -> None:
    tracked = Decay(timeout_s=20).tracked()
    tracked["ends_ns"] = tracked["ends_ns"] + 5 * NS
    (row,) = rows_of(tracked)
    assert row.prediction_error_s is not None
    assert row.prediction_error_s.mean == pytest.approx(5, abs=0.2)
    assert row.prediction_error_s.max == pytest.approx(5, abs=0.2)


def test_without_hz_no_timeout_is_measured_but_lifetimes_are() -> None:
    row = Decay(timeout_s=20).measured(hz=None, phase_s=None)
    assert row.timeout_measured_s is None
    assert row.granule_s is None
    assert row.lifetime_s is not None


def test_timeouts_that_were_not_read_are_not_guessed() -> None:
    (row,) = rows_of(Decay(timeout_s=20).tracked(), timeouts=None)
    assert row.timeout_s is None
    assert agrees(row) is None


def test_a_fixed_timeout_is_known_without_being_read() -> None:
    (row,) = rows_of(Decay(timeout_s=120, state="TIME_WAIT").tracked(), timeouts=None)
    assert row.timeout_s == 120


def test_entries_that_were_not_seen_to_go_are_counted_not_measured() -> None:
    tracked = Decay(timeout_s=20).tracked()
    tracked.loc[:9, ["seen_ns", "absent_ns"]] = pd.NA
    (row,) = rows_of(tracked)
    assert (row.n, row.n_expired) == (50, 40)


def test_none_seen_to_go_is_not_zero() -> None:
    tracked = Decay(timeout_s=20).tracked()
    tracked[["seen_ns", "absent_ns"]] = pd.NA
    (row,) = rows_of(tracked)
    assert (row.n, row.n_expired) == (50, 0)
    assert row.lifetime_s is None
    assert row.timeout_measured_s is None
    assert row.prediction_error_s is None


def test_what_expired_while_nobody_polled_says_nothing() -> None:
    tracked = Decay(timeout_s=20).tracked()
    tracked.loc[:9, "seen_ns"] = tracked["seen_ns"] - int((WIDEST_POLL_GAP_S + 1) * NS)
    (row,) = rows_of(tracked)
    assert (row.n, row.n_expired) == (50, 40)


def test_entries_without_a_packet_of_ours_and_those_ended_early_are_in_no_lifetime() -> None:
    tracked = Decay(timeout_s=20).tracked()
    tracked.loc[:4, "last_ns"] = pd.NA
    tracked.loc[5:9, "cause"] = PORT_REUSE
    tracked.loc[10, "cause"] = pd.NA
    (row,) = rows_of(tracked)
    assert row.n == 40


def test_the_largest_group_comes_first() -> None:
    few = Decay(timeout_s=10, state="CLOSE", last_s=(1000.0, 1001.0)).tracked()
    tracked = pd.concat([few, Decay(timeout_s=20).tracked()], ignore_index=True)
    rows = rows_of(tracked)
    assert [(row.state, row.n) for row in rows] == [("FIN_WAIT", 50), ("CLOSE", 2)]


def replayed(decay: Decay) -> pd.DataFrame:
    """The same lives, with the timeout that the replay says they waited."""
    tracked = decay.tracked()
    return tracked.assign(timeout_s=decay.timeout_s, predicted_state=State[decay.state])


def test_a_timeout_that_was_changed_midway_gives_a_row_for_each_value() -> None:
    """20 before the change, 30 after: one state, two timeouts, each measured by itself."""
    later = tuple(1100.0037 + 0.1003 * n for n in range(30))
    before, after = replayed(Decay(timeout_s=20)), replayed(Decay(timeout_s=30, last_s=later))
    rows = rows_of(pd.concat([before, after], ignore_index=True))
    assert [(row.state, row.timeout_s, row.n, row.n_expired) for row in rows] == [
        ("FIN_WAIT", 20, 50, 50),
        ("FIN_WAIT", 30, 30, 30),
    ]
    assert [agrees(row) for row in rows] == [True, True]


def test_a_state_that_the_packets_do_not_explain_has_its_own_configured_timeout() -> None:
    """Seen in CLOSE, predicted in FIN_WAIT: what FIN_WAIT waits is nothing to it."""
    tracked = replayed(Decay(timeout_s=20)).assign(state="CLOSE")
    (row,) = rows_of(tracked)
    assert (row.state, row.timeout_s) == ("CLOSE", 10)


def test_the_predicted_groups_are_by_state_and_timeout_too() -> None:
    entries = pd.DataFrame(
        {
            "state": [State.FIN_WAIT] * 3,
            "timeout_s": [20.0, 30.0, 30.0],
            "cause": [TIMER] * 3,
        }
    )
    rows = predicted_lifetimes([entries], director())
    found = [(row.state, row.timeout_s, row.n) for row in rows]
    assert found == [("FIN_WAIT", 30, 2), ("FIN_WAIT", 20, 1)]


def test_an_inferred_phase_measures_as_a_read_one_does() -> None:
    inferred = TimerPhase(hz=100, phase_s=0.31, uncertainty_s=0.004)
    decay = Decay(timeout_s=20, phase_s=0.313)
    by = director(hz=100, phase_s=None)
    (row,) = lifetimes_in_parts(
        Parted.of(decay.tracked()), by, clock(), inferred, last_packet_uncertainty_s=0
    )
    assert row.timeout_measured_s is not None
    assert abs(row.timeout_measured_s.value - 20) <= row.timeout_measured_s.uncertainty < 0.2


def test_no_entries_give_no_rows() -> None:
    tracked = Decay(timeout_s=20).tracked().iloc[:0]
    assert rows_of(tracked) == []


def test_without_polls_the_groups_are_the_predicted_ones_and_nothing_is_measured() -> None:
    entries = pd.DataFrame(
        {
            "state": [State.FIN_WAIT, State.FIN_WAIT, State.CLOSE, State.FIN_WAIT],
            "timeout_s": [20.0, 20.0, 10.0, 20.0],
            "cause": [TIMER, TIMER, TIMER, PORT_REUSE],
        }
    )
    rows = predicted_lifetimes([entries], director())
    assert [(row.state, row.n, row.n_expired) for row in rows] == [
        ("FIN_WAIT", 2, 0),
        ("CLOSE", 1, 0),
    ]
    assert {row.lifetime_s for row in rows} == {None}


@given(st.integers(1, 2000), st.sampled_from([100, 250, 300, 1000]))
def test_a_timeout_lies_in_the_range_of_its_own_granule(timeout_s: int, hz: int) -> None:
    shortest_s, longest_s = timeouts_of_granule_s(granule_s(timeout_s, hz), hz)
    assert shortest_s <= timeout_s < longest_s
