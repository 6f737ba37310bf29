"""Packets of connections that came after their entries had expired, and what answered them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from analyzer.parts import same_flows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from analyzer.arrays import Bools, Floats, Ints

Answer = Literal[
    "reset",
    "reset-to-server",
    "untranslated",
    "none",
    "unseen",
    "sent-on",
    "reply",
    "server-reset",
    "new-entry",
]
ANSWERS: tuple[Answer, ...] = get_args(Answer)
SURELY_ENDED = ("reset", "reset-to-server", "untranslated")

Sender = Literal["client", "server"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LateKind:
    """What many late packets have in common.

    Attributes:
        by: who sent them.
        state: the entries' last.
        timeout_s: what the entries waited after their last packets.
        assumed: that timeout was not read: it is the kernel's default.
        answer: ``reset`` (by whom: ``analyzer.traces.resets``), ``reset-to-server``,
            ``untranslated`` (a real server's packet, sent on with the server's address), ``none``,
            ``unseen`` (the capture ends, or has no answers), ``new-entry`` (a datagram);
            ``sent-on``, ``reply`` or ``server-reset`` (by a real server): as if the entry had been
            there.
        moved: by a new entry to another real server; None where that is not known.
        sooner: the entries had ended before their time: ``timeout_s`` is not what they waited, or
            something else ended them; they had been missing for any part of the pause.
        at_the_edge: neither the timers nor the answer show whether the entries had expired.
    """

    by: Sender
    state: str
    timeout_s: float
    assumed: bool
    answer: Answer
    moved: bool | None
    sooner: bool
    at_the_edge: bool

    @property
    def lost(self) -> bool:
        """The packets did not reach their destination."""
        return self.answer in (*SURELY_ENDED, "none") and not self.at_the_edge

    @property
    def is_certain(self) -> bool:
        """Whether they were certainly lost because the entries had ended.

        Silence alone has other causes too, where it was not read how long the entries wait.
        """
        return self.lost and (self.answer in SURELY_ENDED or not self.assumed)


@dataclass(frozen=True, slots=True, kw_only=True)
class LatePacket:
    """The first packet after an entry's end, and those that followed it without a new one.

    Attributes:
        flow: as in Segments.
        at_ns: when it came.
        kind: what it has in common with others.
        pause_s: between the entry's last packet and this one.
        late_s: how long ago the entry had expired: at least, at most. They differ by what is not
            known of the clocks and the timer; where the first is negative, timers alone do not
            show whether it had expired.
        packets: how many came.
    """

    flow: int
    at_ns: int
    kind: LateKind
    pause_s: float
    late_s: tuple[float, float]
    packets: int

    @property
    def rank(self) -> tuple[bool, float]:
        """Lost packets first, then the latest."""
        return not self.kind.lost, -self.late_s[1]


@dataclass(frozen=True, slots=True)
class Tally:
    """How many late packets of a kind there are, and the shortest and longest of their pauses."""

    n: int = 0
    least_pause_s: float = math.inf
    most_pause_s: float = 0.0

    def plus(self, other: Tally) -> Tally:
        """Both together."""
        return Tally(
            self.n + other.n,
            min(self.least_pause_s, other.least_pause_s),
            max(self.most_pause_s, other.most_pause_s),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LateCases:
    """The late packets of one director, by flow; each array of shape (cases,), kept by a store.

    Attributes:
        flow, at_ns: as of LatePacket.
        late_s: at most.
        is_reset: answered with a reset to the client.
    """

    flow: Ints
    at_ns: Ints
    late_s: Floats
    is_reset: Bools

    def near(self, flows: Ints) -> LateCases:
        """Those of the flows between the first and the last of some, ascending."""
        rows = same_flows(flows, self.flow)
        return LateCases(
            flow=self.flow[rows],
            at_ns=self.at_ns[rows],
            late_s=self.late_s[rows],
            is_reset=self.is_reset[rows],
        )


SHOWN = 3
"""The number of examples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LatePackets:
    """All packets of a run that came after their entry had expired.

    Attributes:
        kinds: of each kind how many, in the order of the first: by director, then by time.
        examples: the worst, at most ``SHOWN``.
        longest_pause_s: the longest pause after which a packet of a connection whose client sent
            such a packet was still answered; None where none was.
        cases: all of them, of each director that had some.
    """

    kinds: Mapping[LateKind, Tally]
    examples: tuple[LatePacket, ...] = ()
    longest_pause_s: float | None = None
    cases: tuple[LateCases, ...] = ()

    def reset_flows(self, flows: Ints) -> Ints:
        """The flows between the first and the last of some that had one answered with a reset.

        Args:
            flows: ascending.
        """
        near = (cases.near(flows) for cases in self.cases)
        found = [cases.flow[cases.is_reset] for cases in near]
        return np.concatenate([np.zeros(0, dtype=np.int64), *found])

    @classmethod
    def together(cls, by_director: Iterable[LatePackets]) -> LatePackets:
        """Those of several directors."""
        found = NO_LATE_PACKETS
        for late in by_director:
            kinds = dict(found.kinds)
            for kind, tally in late.kinds.items():
                kinds[kind] = kinds[kind].plus(tally) if kind in kinds else tally
            examples = sorted((*found.examples, *late.examples), key=lambda case: case.rank)
            pauses_s = (found.longest_pause_s or 0.0, late.longest_pause_s or 0.0)
            found = replace(
                found,
                kinds=kinds,
                examples=tuple(examples[:SHOWN]),
                longest_pause_s=max(pauses_s) or None,
                cases=(*found.cases, *late.cases),
            )
        return found


NO_LATE_PACKETS = LatePackets(kinds={})
