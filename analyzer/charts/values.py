"""Values of the page's charts that are in no document.

Instants are seconds since the run's start, on the client's clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analyzer.arrays import Floats, Ints
    from analyzer.charts.curves import Curve
    from analyzer.results import TimeoutName, WhatIf


@dataclass(frozen=True, slots=True, kw_only=True)
class StateSeries:
    """How many entries of one director were in each state, over time.

    ``t_s`` ascends, shape (n,); each of ``counts`` has the same shape. Observed, there is a point
    for each poll of entries; predicted, a point for each change, which holds until the next.
    """

    director: str
    source: Literal["observed", "predicted"]
    t_s: Floats
    counts: Mapping[str, Ints]  # by state, those that occurred


@dataclass(frozen=True, slots=True, kw_only=True)
class LifetimeSamples:
    """Lifetimes of the entries of one state and timeout after their last packet, seconds.

    ``observed_s`` has the expiries seen, each ± ``uncertainty_s``; ``predicted_s`` all entries
    predicted from the packets, in another order. ``tcpfin_s`` is the director's, also if another
    timeout governs these entries; None where it was not read.
    """

    director: str
    state: str
    timeout_name: TimeoutName
    timeout_s: float | None
    granule_s: float | None
    tcpfin_s: float | None
    observed_s: Floats
    predicted_s: Floats
    uncertainty_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One real server's entries of a service, and the number expected by its weight."""

    real_server: str
    weight: float | None  # None where it changed meanwhile
    entries: int
    expected: float | None
    states: Mapping[str, int]  # of its entries at the director's peak


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """The busiest service of one director; ``p`` is that of the chi-square test for imbalance."""

    director: str
    scheduler: str
    servers: tuple[Share, ...]
    p: float | None
    why_no_test: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherTcpfin:
    """The entries of one director under another tcpfin.

    ``inactive_s`` is the average time that an entry is inactive: times a rate it is the InActConn
    that settles under that load (Little's law).
    """

    tcpfin_s: float
    is_own: bool  # the value that was in force
    answer: WhatIf
    curve: Curve  # the sum over real servers
    inactive_s: float
