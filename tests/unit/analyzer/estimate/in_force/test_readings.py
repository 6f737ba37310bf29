"""What entries show of their timeouts, for directors that do exactly as the kernel does."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.estimate.in_force.readings import (
    TimeoutReading,
    by_entries,
    by_entries_alone,
    rows_read,
)
from analyzer.estimate.in_force.steps import Step, steps_of
from analyzer.ipvs.states import State
from analyzer.observed.entries import entry_polls_of
from analyzer.observed.parted import Parted
from analyzer.parts import IN_MEMORY

if TYPE_CHECKING:
    from collections.abc import Iterator

NS = 1_000_000_000
ZERO_NS = 1_795_000_000 * NS
HZ = 100


@dataclass(frozen=True)
class Watched:
    """Entries with one packet each, under a timeout that was changed once, and polls of them."""

    last_s: tuple[float, ...]
    before_s: int
    after_s: int
    changed_s: float
    poll_s: float = 0.25
    took_s: float = 0.004
    stamp_s: float = 0.0  # stamps are rounded down to this
    lines: int = 20

    def entries(self) -> pd.DataFrame:
        """As first seen, by jiffies."""
        rows = []
        for flow, last_s in enumerate(self.last_s):
            timeout_s = self.before_s if last_s < self.changed_s else self.after_s
            poll_gap_s = (np.floor(last_s / self.poll_s) + 1) * self.poll_s
            read_s = poll_gap_s + self.took_s / 2
            jiffies = int(last_s * HZ) + timeout_s * HZ - int(read_s * HZ)
            rows.append((flow, jiffies // HZ, self._stamp_ns(poll_gap_s)))
        found = pd.DataFrame(rows, columns=["flow", "expires_s", "at_ns"])
        found["expires_s"] = found["expires_s"].astype("Int64")
        named = {"director": "bal01", "change": "appeared", "state": "FIN_WAIT", "origin": None}
        named["protocol"] = "TCP"
        return found.assign(**named).astype({"state": "string", "origin": "string"})

    def changes_one_by_one(self) -> Iterator[pd.DataFrame]:
        """As recorded, a part for each."""
        for _, rows in self.entries().groupby("flow"):
            yield rows.assign(at=pd.to_datetime(rows["at_ns"], utc=True), client_port=40000)

    def polls(self) -> pd.DataFrame:
        count = int(max(self.last_s) / self.poll_s) + 3
        at = [self._stamp_ns(number * self.poll_s) for number in range(count)]
        times = pd.to_datetime(pd.Series(at), utc=True)
        return pd.DataFrame(
            {
                "director": "bal01",
                "what": "entries",
                "at": times,
                "asked": times,
                "took_ms": self.took_s * 1e3,
                "entries": pd.array([self.lines] * count, dtype="Int64"),
            }
        )

    def packets(self) -> pd.DataFrame:
        at_ns = [ZERO_NS + round(last_s * NS) for last_s in self.last_s]
        flows = range(len(self.last_s))
        return pd.DataFrame({"flow": flows, "at_ns": at_ns, "state": int(State.FIN_WAIT)})

    def readings(self, *, packets: bool, clock_is_known: bool = True) -> list[TimeoutReading]:
        director: Any = SimpleNamespace(name="bal01", clock_is_known=clock_is_known, hz=HZ)
        entry_polls = entry_polls_of(self.polls(), "bal01")
        record: Any = SimpleNamespace(entries=Parted.of(self.entries()), entry_polls=entry_polls)
        seen: Any = SimpleNamespace(steps=self.packets(), store=IN_MEMORY) if packets else None
        found = by_entries(director, rows_read(record), seen, 0.001)
        if not packets:
            record.changes = Parted(self.changes_one_by_one)
            assert by_entries_alone(director, record, 0.001) == found
        return found["tcpfin"]

    def steps(self, *, packets: bool, clock_is_known: bool = True) -> list[Step]:
        return steps_of(self.readings(packets=packets, clock_is_known=clock_is_known))

    def _stamp_ns(self, at_s: float) -> int:
        stamp_s = at_s // self.stamp_s * self.stamp_s if self.stamp_s else at_s
        return ZERO_NS + round(stamp_s * NS)


@st.composite
def watched(draw: st.DrawFn, *, poll_s: float | None = None) -> Watched:
    count = draw(st.integers(24, 60))
    gaps = draw(st.lists(st.floats(0.01, 0.4), min_size=count, max_size=count))
    last_s = tuple(1.0 + float(at) for at in np.cumsum(gaps))
    chosen_s = poll_s or draw(st.sampled_from([0.1, 0.25, 0.5, 1.0]))
    before_s = draw(st.integers(15, 120))
    by_s = draw(st.integers(3 + 2 * round(chosen_s + 0.5), 60))
    after_s = before_s + by_s if draw(st.booleans()) else max(before_s - by_s, 3)
    middle = draw(st.integers(10, count - 10))
    changed_s = (last_s[middle - 1] + last_s[middle]) / 2
    return Watched(last_s, before_s, after_s, changed_s, chosen_s)


def placed(step: Step) -> tuple[float, float]:
    assert step.from_ns is not None
    assert step.until_ns is not None
    return (step.from_ns - ZERO_NS) / NS, (step.until_ns - ZERO_NS) / NS


@given(watched())
def test_with_packets_a_change_is_known_exactly_and_lies_between(case: Watched) -> None:
    if abs(case.after_s - case.before_s) < 3:
        return
    first, then = case.steps(packets=True)
    assert (first.value_s, then.value_s) == (case.before_s, case.after_s)
    from_s, until_s = placed(then)
    assert from_s <= case.changed_s <= until_s


@given(watched())
def test_without_packets_it_lies_between_polls_and_the_true_values_are_left_open(
    case: Watched,
) -> None:
    if abs(case.after_s - case.before_s) < 3 + 2 * case.poll_s:
        return
    first, then = case.steps(packets=False)
    assert first.low_s <= case.before_s <= first.high_s
    assert then.low_s <= case.after_s <= then.high_s
    from_s, until_s = placed(then)
    assert from_s - case.poll_s <= case.changed_s <= until_s + case.poll_s


@given(watched(poll_s=1.0))
def test_stamps_of_whole_seconds_and_an_unknown_clock_leave_the_true_value_open(
    case: Watched,
) -> None:
    """``date +%s`` between polls: packets are another clock's, and say nothing of ages."""
    steady = Watched(case.last_s, case.before_s, case.before_s, case.changed_s, 1.037, stamp_s=1.0)
    (only,) = steady.steps(packets=True, clock_is_known=False)
    assert only.low_s <= case.before_s <= only.high_s
    assert only.high_s - only.low_s <= 4


def test_a_burst_that_is_read_at_once_leaves_a_second_open_only_without_packets() -> None:
    burst = Watched(tuple(10.05 + 0.002 * n for n in range(40)), 20, 20, 99.0)
    (by_packets,) = burst.steps(packets=True)
    (by_polls,) = burst.steps(packets=False)
    assert (by_packets.low_s, by_packets.high_s) == (20, 20)
    assert (by_polls.value_s, by_polls.low_s, by_polls.high_s) == (20, 19, 20)


@pytest.mark.parametrize(("lines", "since_s"), [(60, 5.25), (61, 5.25), (62, 5.0)])
def test_an_entry_is_new_since_the_poll_before_or_the_one_before_that_if_it_may_be_torn(
    lines: int, since_s: float
) -> None:
    """Up to 61 lines come in one read(2), under one lock; of more, some may be missing."""
    (only,) = Watched((5.3,), 20, 20, 99.0, lines=lines).readings(packets=False)  # seen at 5.5 s
    assert (only.still_ns - ZERO_NS) / NS == since_s


def test_packets_too_near_a_poll_to_be_distinguished_make_no_change_of_their_own() -> None:
    """A change just before a poll: of those packets it is not known which one a timer came from."""
    dense = Watched(tuple(1.0 + 0.0013 * n for n in range(4000)), 20, 30, 3.9897)
    first, then = dense.steps(packets=True)
    assert (first.value_s, then.value_s) == (20, 30)
    assert (first.n, then.n) == (2300, 1700)
    from_s, until_s = placed(then)
    assert from_s <= 3.9897 <= until_s < from_s + 0.1


def test_an_entry_read_a_whole_number_of_jiffies_later_is_that_old_to_a_jiffy() -> None:
    """1.0043 s after its packet, but 100 jiffies: 119 s are left of 120, not of 121."""
    late = Watched((0.4911, 0.4912, 0.4913), 120, 120, 99.0, poll_s=1.4955)
    assert set(late.entries()["expires_s"]) == {119}
    (only,) = late.steps(packets=True)
    assert (only.low_s, only.value_s) == (120, 120)
