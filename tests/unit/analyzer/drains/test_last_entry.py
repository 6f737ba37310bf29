"""When entries go that are only looked at: never surer than what is known, and right."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.drains.last_entry import EntryTimers, Timers, removal_s
from analyzer.ipvs.states import State, Timeouts, timeout_by_state_s
from analyzer.ipvs.timers import expiry_uptime_s, granule_s
from analyzer.recording.clock import REACTION_S
from analyzer.units import KNOWN_HZ
from tests.unit.analyzer.ipvs.law import template_gone_s

TIMEOUTS = Timeouts(tcp_s=900, tcpfin_s=20, udp_s=300)
STATES = st.sampled_from([state for state in State if state not in (State.NONE, State.LISTEN)])
NEVER = -math.inf


def held(
    *rows: tuple[str, float, float, float], client: str = "10.0.0.1", template: bool = False
) -> EntryTimers:
    """Rows of state, seen, expires, before; a template is the last row."""
    columns = list(zip(*rows, strict=True))
    n = len(rows)
    return EntryTimers(
        state=np.array(columns[0], dtype=object),
        client=np.array([client] * n, dtype=object),
        seen_s=np.array(columns[1], dtype=np.float64),
        expires_s=np.array(columns[2], dtype=np.float64),
        before_s=np.array(columns[3], dtype=np.float64),
        is_template=np.array([False] * (n - template) + [True] * template),
        renewed=np.zeros(n, dtype=bool),
    )


def timers(
    hz: int | None = 100,
    phase_s: float | None = 0.0,
    uncertainty_s: float = 0.0,
    timeouts: Timeouts = TIMEOUTS,
) -> Timers:
    return Timers(timeouts=timeouts, hz=hz, phase_s=phase_s, uncertainty_s=uncertainty_s)


@given(
    state=STATES,
    hz=st.sampled_from(KNOWN_HZ),
    phase_s=st.floats(0, 0.5),
    packet_s=st.floats(1000, 100_000),
    waited=st.floats(0, 0.999),
    look_before_s=st.floats(0, 5),
    knows=st.booleans(),
    knows_phase=st.booleans(),
)
def test_the_instant_lies_between_the_earliest_and_the_latest(
    state: State,
    hz: int,
    phase_s: float,
    packet_s: float,
    waited: float,
    look_before_s: float,
    knows: bool,
    knows_phase: bool,
) -> None:
    timeout_s = float(timeout_by_state_s(TIMEOUTS)[state])
    goes = float(expiry_uptime_s(packet_s, timeout_s, hz=hz, phase_s=phase_s))
    seen_s = packet_s + waited * timeout_s
    left_s = packet_s + timeout_s - seen_s
    before_s = packet_s - look_before_s if knows else NEVER
    row = held((state.name, seen_s, math.floor(left_s), before_s))
    tick_s = 1 / hz
    known = timers(hz if knows_phase else None, phase_s if knows_phase else None, tick_s)
    first, last = removal_s(row, known)
    assert first[0] - 1e-6 <= goes <= last[0] + 1e-6


def test_a_look_before_the_timer_began_tells_the_instant_to_the_poll() -> None:
    seen_s = 1000.3
    close = held(("FIN_WAIT", seen_s, 19, seen_s - 0.25))
    alone = held(("FIN_WAIT", seen_s, 19, NEVER))
    width = [
        float(last[0] - first[0])
        for first, last in (removal_s(h, timers()) for h in (close, alone))
    ]
    assert width[0] <= granule_s(20, 100)
    assert width[0] < width[1] <= 1 + granule_s(20, 100)


def test_a_timeout_that_was_changed_meanwhile_does_not_mislead() -> None:
    row = held(("FIN_WAIT", 1000.0, 55, 999.75))  # under an earlier tcpfin of 60
    first, last = removal_s(row, timers())
    assert 1055 <= first[0] <= last[0] <= 1056 + granule_s(56, 100)


def test_an_entry_that_is_late_is_gone_within_its_granule() -> None:
    row = held(("FIN_WAIT", 1000.0, 0, NEVER))
    first, last = removal_s(row, timers())
    assert 1000.0 <= first[0] <= last[0] <= 1001.0 + granule_s(20, 100)


def test_without_hz_the_coarsest_granule_bounds_it() -> None:
    first, last = removal_s(held(("TIME_WAIT", 1000.0, 60, NEVER)), timers(None, None))
    assert (first[0], last[0]) == (1060.0, 1061.0 + granule_s(120, 300) + REACTION_S)


@pytest.mark.parametrize("left_s", [3, 30, 200])
def test_a_template_waits_for_what_is_under_it(left_s: int) -> None:
    """A template made at 1000 for 20 s; one entry under it, of 120 s, from the same packet on."""
    row = held(("TIME_WAIT", 1000.0, left_s, NEVER), ("ASSURED", 1000.0, 19, NEVER), template=True)
    (child_first, first), (child_last, last) = removal_s(row, timers())
    for child_s in (child_first, child_last):
        exact = template_gone_s([1000.0], [child_s], 19.9, hz=100, phase_s=0.0)
        assert first - 0.7 <= exact <= last + 0.7
    if left_s > 22:
        assert first > child_first


def test_nothing_held_is_nothing_to_wait_for() -> None:
    first, last = removal_s(held(("FIN_WAIT", 1.0, 1.0, NEVER)), timers())
    none = EntryTimers(
        state=np.array([], dtype=object),
        client=np.array([], dtype=object),
        seen_s=np.zeros(0),
        expires_s=np.zeros(0),
        before_s=np.zeros(0),
        is_template=np.zeros(0, dtype=bool),
        renewed=np.zeros(0, dtype=bool),
    )
    assert len(removal_s(none, timers())[0]) == 0
    assert len(first) == len(last) == 1
