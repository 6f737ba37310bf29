"""What a log and a capture show of the same entries, and the shift of clocks that follows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from analyzer.arrays import Floats, Ints


_QUARTER_S = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """One virtual service in a log and in a capture, each on its own clock, in seconds.

    Attributes:
        polled_s: the stamps of the polls, ascending; shape (n,).
        held: ActiveConn and InActConn together; shape (n,).
        came: entries made up to each poll (Conns), shape (n,); None where not counted.
        began_s: first packets of connections, ascending; shape (m,).
    """

    polled_s: Floats
    held: Ints
    came: Ints | None
    began_s: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Appeared:
    """Entries with known client ports: the stamps between which each appeared, its first packet.

    Attributes:
        after_s, by_s: the last poll without it (-inf: none), the first with it; shape (n,).
        packet_s: on the capture's clock; shape (n,).
    """

    after_s: Floats
    by_s: Floats
    packet_s: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockMatch:
    """The shift (the log's clock less the capture's) that the events allow.

    Attributes:
        low_s, high_s: all possible shifts lie between these.
        explained: entries that appear in both, at the best shift.
        contradicted: entries that appear in only one, where both could show them.
        possible_s: the possible shifts as disjoint ranges, ascending.
        clear: whether the shift is known.
        why: the shift is not known; empty if it is.
    """

    low_s: float
    high_s: float
    explained: int
    contradicted: int
    possible_s: tuple[tuple[float, float], ...]
    clear: bool
    why: str

    @property
    def shift_s(self) -> float:
        """The middle of the possible shifts."""
        return (self.low_s + self.high_s) / 2

    @property
    def uncertainty_s(self) -> float:
        """Half the range of the possible shifts."""
        return (self.high_s - self.low_s) / 2


def unmatched(why: str) -> ClockMatch:
    """A match without any shift, and why."""
    return ClockMatch(
        low_s=-np.inf,
        high_s=np.inf,
        explained=0,
        contradicted=0,
        possible_s=(),
        clear=False,
        why=why,
    )


def is_zone(low_s: float, high_s: float) -> bool:
    """Whether a multiple of 15 minutes, as between time zones, is among the shifts."""
    return math.floor(high_s / _QUARTER_S) * _QUARTER_S >= low_s
