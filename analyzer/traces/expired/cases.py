"""Cases of late packets as columns, and what they come to, part by part."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

from analyzer.arrays import is_one_of
from analyzer.ipvs.states import State
from analyzer.traces.expired.answers import NOT_KNOWN
from analyzer.traces.expired.model import (
    ANSWERS,
    SHOWN,
    SURELY_ENDED,
    LateCases,
    LateKind,
    LatePacket,
    LatePackets,
    Tally,
)
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from analyzer.arrays import Bools, Floats, Ints
    from analyzer.parts import Columns

    Int8s = npt.NDArray[np.int8]


class Source(IntEnum):
    """How a case was found: the order of those of one instant."""

    FROM_CLIENT = 0
    FROM_SERVER = 1
    NEW_ENTRY = 2
    EARLY_TO_CLIENT = 3
    EARLY_TO_SERVER = 4


_OF_SERVERS = (Source.FROM_SERVER, Source.EARLY_TO_SERVER)
_EARLY = (Source.EARLY_TO_CLIENT, Source.EARLY_TO_SERVER)
_SURELY = np.isin(ANSWERS, SURELY_ENDED)
_LOST = _SURELY | np.isin(ANSWERS, ("none",))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cases:
    """Late packets of some flows; each array of shape (cases,).

    Attributes:
        source: a Source.
        flow, at_ns, packets, pause_s: as of LatePacket.
        at_least_s, at_most_s: ``LatePacket.late_s``.
        state, timeout_s: as of LateKind, the State as a number.
        answer: a place in ``ANSWERS``.
        moved: 0, 1, or ``NOT_KNOWN``.
    """

    source: Int8s
    flow: Ints
    at_ns: Ints
    packets: Ints
    pause_s: Floats
    at_least_s: Floats
    at_most_s: Floats
    state: Int8s
    timeout_s: Floats
    answer: Int8s
    moved: Int8s

    @classmethod
    def joined(cls, several: Sequence[Cases]) -> Cases:
        """Several together, by time, then source and flow."""
        columns = {
            each.name: np.concatenate([getattr(cases, each.name) for cases in several])
            for each in fields(cls)
        }
        order = np.lexsort((columns["flow"], columns["source"], columns["at_ns"]))
        return cls(**{name: column[order] for name, column in columns.items()})

    @property
    def at_the_edge(self) -> Bools:
        """As of LateKind."""
        return (self.at_least_s <= 0) & ~_SURELY[self.answer]

    @property
    def of_servers(self) -> Bools:
        """Which were sent by real servers."""
        return is_one_of(self.source, _OF_SERVERS)

    def surely_ended(self) -> Cases:
        """Those whose answers show that the entry had ended."""
        rows = _SURELY[self.answer]
        return Cases(**{each.name: getattr(self, each.name)[rows] for each in fields(Cases)})

    @property
    def kept(self) -> Columns:
        """The columns of LateCases."""
        order = np.argsort(self.flow, kind="stable")
        columns = {
            "flow": self.flow,
            "at_ns": self.at_ns,
            "late_s": self.at_most_s,
            "is_reset": self.answer == ANSWERS.index("reset"),
        }
        return {name: column[order] for name, column in columns.items()}


Place = tuple[int, int, int]
"""Where a case stands among all of a director: its instant, source, flow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What some of a director's late packets come to.

    Attributes:
        kinds: of each kind how many, and the place of the first.
        worst: examples, each with its rank and its place; the worst first.
        longest_pause_ns: 0 where no pause was answered.
    """

    kinds: Mapping[LateKind, tuple[Tally, Place]] = field(default_factory=dict)
    worst: Sequence[tuple[tuple[bool, float], Place, LatePacket]] = ()
    longest_pause_ns: int = 0

    def plus(self, other: Found) -> Found:
        """Both together."""
        kinds = dict(self.kinds)
        for kind, (tally, place) in other.kinds.items():
            own, own_place = kinds.get(kind, (Tally(), place))
            kinds[kind] = own.plus(tally), min(own_place, place)
        worst = sorted([*self.worst, *other.worst], key=lambda each: each[:2])
        return Found(
            kinds=kinds,
            worst=worst[:SHOWN],
            longest_pause_ns=max(self.longest_pause_ns, other.longest_pause_ns),
        )

    def with_cases(self, columns: Columns) -> LatePackets:
        """All of a director, with the columns of LateCases."""
        in_order = sorted(self.kinds.items(), key=lambda item: item[1][1])
        return LatePackets(
            kinds={kind: tally for kind, (tally, _) in in_order},
            examples=tuple(case for _, _, case in self.worst),
            longest_pause_s=self.longest_pause_ns / NS_PER_S or None,
            cases=(LateCases(**columns),),
        )


def found_in(cases: Cases, assumed: Bools, longest_pause_ns: int) -> Found:
    """What some cases come to.

    Args:
        cases: as ``Cases.joined`` orders them.
        assumed: of each State, whether its timeout was not read; shape (states,).
        longest_pause_ns: of their flows.
    """
    rows = _worst(cases)
    kinds = {row: _kind(cases, row, assumed) for row in rows}
    examples = [_example(cases, row, kind) for row, kind in kinds.items()]
    return Found(
        kinds=_kinds(cases, assumed),
        worst=[
            (case.rank, _place(cases, row), case) for row, case in zip(rows, examples, strict=True)
        ],
        longest_pause_ns=longest_pause_ns,
    )


def _worst(cases: Cases) -> list[int]:
    lost = _LOST[cases.answer] & ~cases.at_the_edge
    return list(map(int, np.lexsort((-cases.at_most_s, ~lost))[:SHOWN]))


def _kinds(cases: Cases, assumed: Bools) -> dict[LateKind, tuple[Tally, Place]]:
    timeouts, timeout = np.unique(cases.timeout_s, return_inverse=True)
    digits = (
        (cases.source, len(Source)),
        (cases.state, len(State)),
        (cases.answer, len(ANSWERS)),
        (cases.moved - NOT_KNOWN, 3),
        (cases.at_the_edge, 2),
        (timeout, len(timeouts)),
    )
    code = np.zeros(len(cases.flow), dtype=np.int64)
    for digit, count in digits:
        code = code * count + digit
    _, first, kind = np.unique(code, return_index=True, return_inverse=True)
    least_s, most_s = np.full(len(first), np.inf), np.zeros(len(first))
    np.minimum.at(least_s, kind, cases.pause_s)
    np.maximum.at(most_s, kind, cases.pause_s)
    columns = (first, np.bincount(kind), least_s, most_s)
    return {
        _kind(cases, row, assumed): (Tally(*tally), _place(cases, row))
        for row, *tally in zip(*(column.tolist() for column in columns), strict=True)
    }


def _place(cases: Cases, row: int) -> Place:
    return int(cases.at_ns[row]), int(cases.source[row]), int(cases.flow[row])


def _kind(cases: Cases, row: int, assumed: Bools) -> LateKind:
    source, state, moved = Source(cases.source[row]), State(cases.state[row]), cases.moved[row]
    return LateKind(
        by="server" if source in _OF_SERVERS else "client",
        state=state.name,
        timeout_s=float(cases.timeout_s[row]),
        assumed=bool(assumed[state]),
        answer=ANSWERS[cases.answer[row]],
        moved=None if moved == NOT_KNOWN else bool(moved),
        sooner=source in _EARLY,
        at_the_edge=bool(cases.at_the_edge[row]),
    )


def _example(cases: Cases, row: int, kind: LateKind) -> LatePacket:
    return LatePacket(
        flow=int(cases.flow[row]),
        at_ns=int(cases.at_ns[row]),
        kind=kind,
        pause_s=float(cases.pause_s[row]),
        late_s=(float(cases.at_least_s[row]), float(cases.at_most_s[row])),
        packets=int(cases.packets[row]),
    )
