"""Lifetimes of entries in parts are those of the whole, whatever is known of the entries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.estimate.decay_in_parts import lifetimes_in_parts
from analyzer.ipvs.states import State, Timeouts
from analyzer.ipvs.timers import TimerPhase
from analyzer.predicted.entries import PORT_REUSE, TIMER
from tests.unit.analyzer.builders_packets import BOOT_NS, NS, clock, director
from tests.unit.analyzer.builders_parts import cut
from tests.unit.properties import examples

if TYPE_CHECKING:
    from analyzer.results import Lifetime

REQUESTS = ("last_ns",)
CHANGED = (*REQUESTS, "timeout_s", "predicted_state")
PACKETS = (*CHANGED, "ends_ns", "cause")
TIMERS = (
    *("last_ns", "cause", "window_ns", "window_half_s", "lifetime_s", "lifetime_half_s"),
    *("timeout_low_s", "timeout_high_s", "assumed_s"),
)

ROWS = st.lists(
    st.builds(
        lambda protocol, state, predicted, timeout_s, last_s, gap_s, late_s, ending, half_s: {
            "protocol": protocol,
            "state": state,
            "predicted_state": int(State[predicted]),
            "timeout_s": timeout_s,
            "timeout_low_s": timeout_s - half_s,
            "timeout_high_s": timeout_s + half_s,
            "assumed_s": np.nan,
            "last_ns": None if ending == "foreign" else unix_ns(last_s),
            "window_ns": None if ending == "undated" else unix_ns(last_s + 0.1),
            "window_half_s": half_s,
            "lifetime_s": timeout_s + late_s,
            "lifetime_half_s": half_s,
            "seen_ns": None if ending == "there" else unix_ns(last_s + timeout_s + late_s),
            "absent_ns": None
            if ending == "there"
            else unix_ns(last_s + timeout_s + late_s + gap_s),
            "absent_by_ns": None
            if ending == "there"
            else unix_ns(last_s + timeout_s + late_s + gap_s + 0.004),
            "ends_ns": None if ending == "foreign" else unix_ns(last_s + timeout_s + 0.2),
            "cause": None if ending == "foreign" else PORT_REUSE if ending == "early" else TIMER,
        },
        protocol=st.sampled_from(["TCP", "UDP"]),
        state=st.sampled_from(["FIN_WAIT", "CLOSE", "UNHEARD", None]),
        predicted=st.sampled_from(["FIN_WAIT", "CLOSE"]),
        timeout_s=st.sampled_from([10.0, 20.0, 30.0]),
        last_s=st.integers(0, 400).map(lambda number: 1000 + number / 7),
        gap_s=st.sampled_from([0.25, 0.3, 9.0]),
        late_s=st.floats(0, 0.6),
        ending=st.sampled_from(["gone", "gone", "gone", "there", "foreign", "early", "undated"]),
        half_s=st.sampled_from([0.1, 0.25]),
    ),
    max_size=30,
)
PHASE = TimerPhase(hz=100, phase_s=0.0, uncertainty_s=0.001)


def unix_ns(uptime_s: float) -> int:
    return BOOT_NS + round(uptime_s * NS)


def tracked(rows: list[dict[str, Any]], known: tuple[str, ...]) -> pd.DataFrame:
    """Tracked entries, of which these columns are known besides what polls saw."""
    names = ["protocol", "state", "seen_ns", "absent_ns", "absent_by_ns", *known]
    kinds: dict[str, Any] = {name: "Int64" for name in names if name.endswith("_ns")}
    kinds |= {name: "float64" for name in names if name.endswith("_s")}
    kinds |= {name: "string" for name in names if name not in kinds}
    kinds |= {"predicted_state": "int64"} if "predicted_state" in names else {}
    return pd.DataFrame(rows, columns=names).astype(kinds)


def lifetimes_of(frame: pd.DataFrame, parts: int, phase: TimerPhase | None) -> list[Lifetime]:
    by = director(timeouts=Timeouts(tcpfin_s=20))
    return lifetimes_in_parts(
        cut(frame, parts), by, clock(uncertainty_s=1e-5), phase, last_packet_uncertainty_s=0.01
    )


@pytest.mark.parametrize("known", [REQUESTS, CHANGED, PACKETS, TIMERS])
@examples(30)
@given(rows=ROWS, parts=st.integers(2, 7), has_phase=st.booleans())
def test_lifetimes_in_parts_are_those_of_the_whole(
    known: tuple[str, ...], rows: list[dict[str, Any]], parts: int, *, has_phase: bool
) -> None:
    frame, phase = tracked(rows, known), PHASE if has_phase else None
    assert lifetimes_of(frame, parts, phase) == lifetimes_of(frame, 1, phase)


@pytest.mark.parametrize("parts", [1, 3])
def test_of_two_groups_as_large_the_one_that_ended_first_is_named_first(parts: int) -> None:
    rows = [
        {
            "protocol": "TCP",
            "state": state,
            "last_ns": unix_ns(1000.0),
            "seen_ns": unix_ns(seen_s),
            "absent_ns": unix_ns(seen_s + 0.25),
            "absent_by_ns": unix_ns(seen_s + 0.25),
        }
        for state, seen_s in (("FIN_WAIT", 1025.0), ("CLOSE", 1010.0), ("CLOSE", 1030.0))
    ]
    for kept, first in ((rows[:2], "CLOSE"), (rows[::2], "FIN_WAIT")):
        found = lifetimes_of(tracked(kept, REQUESTS), parts, None)
        assert [row.n for row in found] == [1, 1]
        assert found[0].state == first
