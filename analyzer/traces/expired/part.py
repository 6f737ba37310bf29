"""What decides which packets were late, part by part: a director's packets, entries, resets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from analyzer.arrays import is_one_of
from analyzer.ipvs.states import TIMEOUT_NAMES, Flag, State
from analyzer.parts.columns import codes_of
from analyzer.predicted.entries import CAUSES, TIMER
from analyzer.wire.rewriting import NO_PARTNER

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    import pandas as pd

    from analyzer.arrays import Bools, Ints
    from analyzer.evidence.evidence import Evidence
    from analyzer.measured import Measured
    from analyzer.parts import Columns
    from analyzer.predicted.replay import DirectorRules
    from analyzer.wire.segments import Segments


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectorFacts:
    """What is known of one director and of the capture as a whole.

    Attributes:
        rules: its rules; without a phase where its uptime is not known.
        margin_s: how well instants of packets and its timers can be compared.
        phase_uncertainty_s: of the phase, where it had to be inferred; else 0.
        assumed: of each State, whether its timeout was not read; shape (12,).
        macs: of those who forward.
        replies_bypass: real servers answer clients themselves: dr and tun.
        last_ns: when the capture ends.
    """

    rules: DirectorRules
    margin_s: float
    phase_uncertainty_s: float
    assumed: Bools
    macs: tuple[int, ...]
    replies_bypass: bool
    last_ns: int

    @classmethod
    def of(cls, result: Measured, evidence: Evidence) -> DirectorFacts:
        """Those of one director of a recording with a capture."""
        captured, record = evidence.captured, evidence.by_director[result.director.name]
        assert captured is not None
        rules = replace(result.rules, phase_s=None) if record.polls.empty else result.rules
        return cls(
            rules=rules,
            margin_s=record.clock.margin_s,
            phase_uncertainty_s=result.inferred.phase.uncertainty_s if result.inferred else 0.0,
            assumed=_assumed(result),
            macs=tuple(captured.forwarder_macs),
            replies_bypass=evidence.forwarding in ("dr", "tun"),
            last_ns=captured.last_ns,
        )


def _assumed(result: Measured) -> Bools:
    director = result.director
    unread = [
        name != "fixed" and (director.timeouts is None or name in director.assumed_timeouts)
        for name in (TIMEOUT_NAMES[state] for state in State)
    ]
    return np.array(unread, dtype=bool)


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowPart:
    """All that is known of the flows of a part; columns of each table by flow, then time.

    Attributes:
        segments: all that were captured.
        passed: those that passed the director.
        steps: ``Prediction.steps``: ``flow, at_ns, entry, state``.
        entries: ``Prediction.entries``: ``flow, first_ns, last_ns, state, timeout_s, ends_ns``, and
            ``cause`` as its place in ``CAUSES``.
        legs: ``Rewriting.legs``: ``flow, at_ns, to_server, flag, source_mac, partner``, and
            ``server`` as a number.
        asked: the clients' packets that a director reset itself, after a pause: ``flow, at_ns``.
    """

    segments: Segments
    passed: Segments
    steps: Columns
    entries: Columns
    legs: Columns
    asked: Columns

    @property
    def timed(self) -> Bools:
        """Which entries their timers ended."""
        return np.asarray(self.entries["cause"] == CAUSES.index(TIMER))

    @property
    def sent_on(self) -> Bools:
        """Which legs are the other side of a segment."""
        return np.asarray(self.legs["partner"] != NO_PARTNER)

    def not_sent_on(self, macs: Collection[int]) -> Bools:
        """Which legs are real servers' packets that were not sent on as the VIP's.

        Args:
            macs: of those who forward: what they send is no real server's.
        """
        legs = self.legs
        alone = ~legs["to_server"] & ~self.sent_on & ~is_one_of(legs["source_mac"], macs)
        return np.asarray(alone & ~is_one_of(legs["flag"], (Flag.RST, Flag.DATAGRAM)))


_STEPS = ("flow", "at_ns", "entry", "state")
_ENTRIES = ("flow", "first_ns", "last_ns", "state", "timeout_s", "ends_ns")
_LEGS = ("flow", "at_ns", "to_server", "flag", "source_mac", "partner")


def parts_of(result: Measured, evidence: Evidence, asked: Columns) -> Iterator[FlowPart]:
    """The parts of one director's flows, one after another.

    Args:
        result: what was measured of the director, with a prediction.
        evidence: the recording.
        asked: as of a part, of all flows.
    """
    captured, passage, prediction = evidence.captured, result.passage, result.prediction
    assert captured is not None
    assert passage is not None
    assert prediction is not None
    segments, passed = captured.segments, passage.segments
    legs, cause = captured.rewriting.legs, codes_of(prediction.entries["cause"])
    tables: dict[str, Columns] = {
        "steps": _columns(prediction.steps, _STEPS),
        "entries": _columns(prediction.entries, _ENTRIES) | {"cause": cause},
        "legs": _columns(legs, _LEGS) | {"server": codes_of(legs["server"])},
        "asked": asked,
    }
    starts = np.array([rows.start for rows in segments.cuts()][1:], dtype=np.int64)
    for first, until in pairwise((None, *segments.flow[starts].tolist(), None)):
        of = {name: _of_flows(table, first, until) for name, table in tables.items()}
        yield FlowPart(
            segments=segments.part(_rows(segments.flow, first, until)),
            passed=passed.part(_rows(passed.flow, first, until)),
            **of,
        )
        segments.store.release()


def _columns(table: pd.DataFrame, names: Sequence[str]) -> Columns:
    return {name: table[name].to_numpy() for name in names}


def _of_flows(table: Columns, first: int | None, until: int | None) -> Columns:
    rows = _rows(table["flow"], first, until)
    return {name: column[rows] for name, column in table.items()}


def _rows(flow: Ints, first: int | None, until: int | None) -> slice:
    """The rows of the flows from one to before another; None for all before, or after."""
    return slice(_place(flow, first), _place(flow, until))


def _place(flow: Ints, number: int | None) -> int | None:
    return None if number is None else int(np.searchsorted(flow, flow.dtype.type(number)))
