"""The silences of closing connections, as their director sees them.

From the client's first FIN on, an entry without replies waits in FIN_WAIT, and every further packet
of the connection starts tcpfin anew. So tcpfin must be longer than the longest silence between two
packets of one connection that the director still has to pass on: a FIN that is sent again because
it or its answer got lost, or the last ACKs of a client that has half-closed and still receives. A
later packet finds no entry, and is answered with a RST. A RST itself need not arrive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analyzer.ipvs.states import Flag
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterable

    from analyzer.arrays import Bools, Floats, Ints
    from analyzer.wire.segments import Segments


@dataclass(frozen=True, slots=True, kw_only=True)
class FinWaits:
    """The silences of one director's closing connections.

    Attributes:
        connections: number of connections whose client's FIN passed it.
        repeated: of them, those with a retransmitted FIN.
        longest_fin_s: the longest silence that a retransmitted FIN ended; None without one.
        longest_ack_s: the longest silence that any other packet ended; None without one.
        longest_half_closed_s: the longest time from a client's FIN to its server's; None where
            no capture shows both.
    """

    director: str
    connections: int
    repeated: int
    longest_fin_s: float | None
    longest_ack_s: float | None
    longest_half_closed_s: float | None

    @property
    def longest_s(self) -> float | None:
        """The longest silence; None if no packet followed any FIN."""
        return max(
            (s for s in (self.longest_fin_s, self.longest_ack_s) if s is not None), default=None
        )


def fin_waits(director: str, passed: Segments, once: Segments, *, sees_replies: bool) -> FinWaits:
    """The silences of one director's connections.

    Args:
        director: its name.
        passed: the segments that passed it, by flow and time.
        once: all segments that were captured, without copies: also those that bypass it.
        sees_replies: the servers' packets pass it too (nat).
    """
    parts = list(passed.store.map(_of_part, ((part, sees_replies) for part in passed.parts())))
    half_closed_s = list(once.store.map(_half_closed_s, ((part,) for part in once.parts())))
    return FinWaits(
        director=director,
        connections=sum(part.connections for part in parts),
        repeated=sum(part.repeated for part in parts),
        longest_fin_s=_longest([part.longest_fin_s for part in parts]),
        longest_ack_s=_longest([part.longest_ack_s for part in parts]),
        longest_half_closed_s=_longest(half_closed_s),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waits:
    """``FinWaits`` of some flows."""

    connections: int
    repeated: int
    longest_fin_s: float | None
    longest_ack_s: float | None


def _of_part(passed: Segments, sees_replies: bool) -> _Waits:
    seen = passed if sees_replies else passed.only(passed.to_vip)
    begins = _begins(seen)
    fins = (seen.flag == Flag.FIN) & seen.to_vip
    closing = _after_first(fins, begins)
    waits_s = np.diff(seen.at_ns, prepend=seen.at_ns[:1]) / NS_PER_S
    again = closing & fins
    others = closing & ~fins & (seen.flag != Flag.RST)
    connection = np.cumsum(begins)
    return _Waits(
        connections=_distinct(connection[fins]),
        repeated=_distinct(connection[again]),
        longest_fin_s=_longest_of(waits_s[again]),
        longest_ack_s=_longest_of(waits_s[others]),
    )


def _distinct(ascending: Ints) -> int:
    return int(np.count_nonzero(np.diff(ascending))) + bool(len(ascending))


def _longest_of(waits_s: Floats) -> float | None:
    return float(waits_s.max()) if len(waits_s) else None


def _begins(segments: Segments) -> Bools:
    """Which rows begin a connection: the first of a flow, and every SYN of a client."""
    flow = segments.flow
    first = np.r_[True, flow[1:] != flow[:-1]] if len(flow) else np.zeros(0, dtype=bool)
    begins: Bools = first | ((segments.flag == Flag.SYN) & segments.to_vip)
    return begins


def _after_first(marked: Bools, begins: Bools) -> Bools:
    """Which rows come after a marked row of the same connection."""
    before: Ints = np.cumsum(marked) - marked
    starts = np.flatnonzero(begins)
    since: Ints = before[starts][np.cumsum(begins) - 1] if len(starts) else before
    return np.asarray(before > since, dtype=bool)


def _half_closed_s(segments: Segments) -> float | None:
    """The longest time from a client's first FIN to its server's first FIN after it."""
    begins = _begins(segments)
    fins = (segments.flag == Flag.FIN) & segments.to_vip
    answers = (segments.flag == Flag.FIN) & ~segments.to_vip & _after_first(fins, begins)
    answers &= ~_after_first(answers, begins)
    firsts = fins & ~_after_first(fins, begins)
    connection = np.cumsum(begins)
    is_answered = np.zeros(int(begins.sum()) + 1, dtype=bool)
    is_answered[connection[answers]] = True
    from_ns: Ints = segments.at_ns[firsts][is_answered[connection[firsts]]]
    return _longest_of((segments.at_ns[answers] - from_ns) / NS_PER_S)


def _longest(waits_s: Iterable[float | None]) -> float | None:
    return max((wait_s for wait_s in waits_s if wait_s is not None), default=None)
