"""Timeouts learnt from a sample of many entries, as if from all of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.estimate.in_force.learn import learn_timeouts
from analyzer.ipvs.states import State, Timeouts
from analyzer.observed.entries import TRACKED_COLUMNS, entry_polls_of
from analyzer.observed.parted import Parted
from analyzer.predicted.entries import Prediction
from analyzer.predicted.replay import DirectorRules
from analyzer.recording.clock import DirectorClock
from tests.unit.analyzer.builders_parts import cut
from tests.unit.properties import examples

if TYPE_CHECKING:
    from analyzer.arrays import Floats, Ints
    from analyzer.estimate.in_force.model import InForce
    from analyzer.recording.polls import EntryPolls

NS = 1_000_000_000
ZERO_NS = 1_795_000_000 * NS
CLOCK = DirectorClock(
    at_ns=np.array([ZERO_NS]), boot_ns=np.array([ZERO_NS - 5000 * NS]), uncertainty_s=0.001
)
HZ, START_S, STATE = 100, 20, State.FIN_WAIT
RULES = DirectorRules(sees_replies=False, timeouts=Timeouts(tcpfin_s=START_S), hz=HZ, phase_s=0.0)
_EVENTS = pd.DataFrame({"kind": [], "at": [], "since": [], "detail": []})
_NO_ENTRIES = pd.DataFrame(
    {"flow": np.zeros(0, np.int64), "first_ns": np.zeros(0, np.int64)}
    | {"last_ns": [], "state": [], "timeout_s": [], "ends_ns": np.zeros(0, np.int64), "cause": []}
)
_NOTHING_TRACKED = Parted.of(
    pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in TRACKED_COLUMNS.items()})
)


@dataclass(frozen=True)
class Many:
    """Connections whose last packets come at a steady rate, in flows of any order.

    Attributes:
        changes: instants and values of tcpfin, seconds.
        odd: flows of whose packets the last, 3 s later, was not captured.
        poll_s: the table is read so often.
        given: the timeouts at the start were read on the director.
    """

    count: int = 600
    every_s: float = 0.05
    changes: tuple[tuple[float, int], ...] = ()
    odd: tuple[int, ...] = ()
    poll_s: float = 0.25
    given: bool = True

    def learnt(self, most: int | None = None, parts: int = 1) -> InForce:
        """The timeouts, where no more than ``most`` rows are a sample; unless given, all are."""
        prediction = Prediction(
            director="bal01", entries=_NO_ENTRIES, steps=self.packets(), dropped_syns=0
        )
        record: Any = SimpleNamespace(
            entries=cut(self.entries(), parts), entry_polls=self.polls(), events=_EVENTS
        )
        evidence: Any = SimpleNamespace(by_director={"bal01": record}, zero_ns=ZERO_NS)
        director: Any = SimpleNamespace(
            name="bal01",
            clock_is_known=True,
            hz=HZ,
            timeouts=RULES.timeouts if self.given else None,
            timeouts_source="ipvsadm" if self.given else None,
        )
        with mock.patch("analyzer.observed.parted.SAMPLE_ROWS", most or self.count):
            return learn_timeouts(
                lambda _: prediction, CLOCK, RULES, director, evidence, _NOTHING_TRACKED
            )

    @cached_property
    def last_s(self) -> Floats:
        """When the last packet of each flow came; shape (count,)."""
        number = np.random.default_rng(1).permutation(self.count)
        return np.asarray(1.003 + self.every_s * number, dtype=np.float64)

    def packets(self) -> pd.DataFrame:
        """All but those that nobody captured."""
        flow = np.arange(self.count)
        return pd.DataFrame({"flow": flow, "at_ns": at_ns(self.last_s), "state": STATE})

    def entries(self) -> pd.DataFrame:
        """As first seen, by jiffies."""
        last_s = self.last_s.copy()
        last_s[list(self.odd)] += 3
        place = np.searchsorted([at_s for at_s, _ in self.changes], last_s, side="right")
        timeout_s = np.array([START_S, *(value_s for _, value_s in self.changes)])[place]
        read_s = (np.floor(last_s / self.poll_s) + 1) * self.poll_s
        jiffies = (last_s * HZ).astype(int) + timeout_s * HZ - (read_s * HZ).astype(int)
        rows = {"flow": np.arange(self.count), "at_ns": at_ns(read_s), "expires_s": jiffies // HZ}
        texts = {"change": "appeared", "state": STATE.name, "origin": None, "protocol": "TCP"}
        kinds = {"expires_s": "Int64", **dict.fromkeys(texts, "string")}
        return pd.DataFrame(rows).assign(**texts).astype(kinds)

    def polls(self) -> EntryPolls:
        until_s = self.last_s.max() + 10
        times = pd.to_datetime(at_ns(np.arange(0, until_s, self.poll_s)), utc=True)
        polls = {"director": "bal01", "what": "entries", "at": times, "asked": times}
        rows = pd.DataFrame(polls | {"took_ms": 0.0, "entries": 20})
        return entry_polls_of(rows.astype({"entries": "Int64"}), "bal01")


def at_ns(at_s: Floats) -> Ints:
    return ZERO_NS + np.rint(at_s * NS).astype(np.int64)


def values(found: InForce) -> list[tuple[float, int]]:
    return [(change.value_s, change.n) for change in found.changes]


MOMENTS = {
    "as the run begins": ((1.2, 14), (1.6, START_S)),
    "in its midst": ((15.0, 14), (15.3, START_S)),
    "as it ends": ((30.4, 27),),
    "to a longer one and back": ((20.0, 27), (20.4, START_S)),
    "twice": ((10.0, 14), (10.2, START_S), (22.0, 12), (22.2, START_S)),
}


@pytest.mark.parametrize("changes", MOMENTS.values(), ids=MOMENTS)
def test_a_short_change_that_hardly_any_sampled_entry_shows_is_learnt(changes: Any) -> None:
    case = Many(changes=changes)
    of_all = case.learnt()
    assert [value_s for value_s, _ in values(of_all)] == [value_s for _, value_s in changes]
    assert case.learnt(most=60, parts=4) == of_all


@examples(30)
@given(data=st.data())
def test_a_sample_teaches_what_all_entries_do(data: st.DataObject) -> None:
    draw = data.draw
    moments = sorted(draw(st.lists(st.floats(0.5, 31.5), max_size=4)))
    odd = draw(st.lists(st.integers(0, 599), max_size=12, unique=True))
    case = Many(
        changes=tuple((at_s, draw(st.integers(5, 60))) for at_s in moments),
        odd=tuple(odd),
        poll_s=draw(st.sampled_from([0.1, 0.25, 1.0])),
        given=draw(st.booleans()),
    )
    of_some = case.learnt(most=draw(st.integers(30, 150)), parts=draw(st.integers(1, 7)))
    assert of_some.is_alike(case.learnt())
