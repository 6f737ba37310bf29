"""Numbers of entries over time, with the steps of the timer wheel.

Arrivals are a flow, not a row of single connections: every count is an expected number, exact for
random arrivals and within one entry of each closing kind for evenly spaced ones. Time is in
jiffies inside, where all timeouts and granules are whole, so no step is missed by rounding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.arrays import Bools, Floats
    from analyzer.forecast.lifetimes import EntryLifetime, Question


MOST_STEPS = 1000
"""The most steps of one granule in a series; of more, only some are given."""

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts(Generic[Value]):
    """A value for ActiveConn, for InActConn and for both together."""

    active: Value
    inactive: Value
    total: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class OccupancySeries:
    """Expected ActiveConn and InActConn over time; straight lines between points.

    A step of the timer wheel is two points at one instant. All of shape (n,); ``t_s`` ascends
    from 0, the begin of the load, to the instant at which the last entry expires.
    """

    t_s: Floats
    active: Floats
    inactive: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class _LifetimeInJiffies:
    """An EntryLifetime in jiffies: everything but ``closes`` is whole.

    Attributes:
        closes: from the first packet to the one that leads to the last state.
        last_timeout: what an entry waits there, from that packet on.
    """

    lifetime: EntryLifetime
    closes: float
    opened_timeout: float
    opened_granule: float
    last_timeout: float
    last_granule: float

    @property
    def window(self) -> float:
        """The part of each granule whose arrivals see their last packet."""
        return self.lifetime.survive * self.opened_granule

    def surviving(self, until: Floats) -> Floats:
        """The time from 0 to ``until`` in which arrivals came that see their last packet."""
        return self._in_window(until + self.opened_timeout) - self._in_window(
            np.asarray(self.opened_timeout)
        )

    def _in_window(self, at: Floats) -> Floats:
        whole = np.floor(at / self.opened_granule)
        rest = at - whole * self.opened_granule
        return whole * self.window + np.minimum(rest, self.window)

    def kinks(self) -> tuple[tuple[float, float], ...]:
        """Where the curve of these entries bends, as (instant, period)."""
        bends = []
        if self.lifetime.survive > 0:
            bends.append((0.0, self.last_granule))
        if self.lifetime.survive < 1:
            bends.append((0.0, self.opened_granule))
        if 0 < self.lifetime.survive < 1:
            edges = (-self.opened_timeout, -self.opened_timeout + self.window)
            shifts = (0.0, self.closes)
            bends += [(edge + s, self.opened_granule) for edge in edges for s in shifts]
        return tuple(bends)


class TableOccupancy:
    """The director's table under one load, as a function of time in jiffies."""

    def __init__(
        self, lifetimes: Sequence[EntryLifetime], question: Question, duration_s: float
    ) -> None:
        self._hz = question.hz
        self._per_jiffy = question.rate_per_s / question.hz
        self._end = duration_s * question.hz
        self._parts = [_in_jiffies(lifetime, question.hz) for lifetime in lifetimes]
        self.widest = max(max(p.opened_granule, p.last_granule) for p in self._parts)

    @property
    def empty_after_s(self) -> float:
        """When the last entry expires."""
        return self._empty / self._hz

    @property
    def _empty(self) -> float:
        ends = []
        for part in self._parts:
            if part.lifetime.survive > 0:
                due = self._end + part.closes + part.last_timeout
                ends.append(_next_step(due, part.last_granule))
            if part.lifetime.survive < 1:
                ends.append(_next_step(self._end + part.opened_timeout, part.opened_granule))
        return max(ends)

    def series(self) -> OccupancySeries:
        """Expected counts from the begin of the load to the removal of the last entry."""
        at, left = self._instants(0.0, self._empty, most=MOST_STEPS)
        active, inactive = self.counts(at, left)
        return OccupancySeries(t_s=at / self._hz, active=active, inactive=inactive)

    def peak(self) -> Counts[float]:
        """The most entries at once.

        Until the load ends no count falls from one widest granule to the next; so each is highest
        in the last one of the load, InActConn in the one that ends with the last close.
        """
        closes = {self._end + part.closes for part in self._parts}
        actives, inactives, totals = [], [], []
        for end in {self._end, *closes}:
            active, inactive = self.counts(*self._instants(max(end - self.widest, 0.0), end))
            actives.append(float(active.max()))
            inactives.append(float(inactive.max()))
            totals.append(float((active + inactive).max()))
        return Counts(active=max(actives), inactive=max(inactives), total=max(totals))

    def period(self, after: float) -> tuple[Floats, Floats, Floats]:
        """Instants of one whole widest granule after an instant, ActiveConn, InActConn."""
        begin = math.ceil(after / self.widest) * self.widest
        at, left = self._instants(begin, begin + self.widest)
        inside = slice(1 if left[0] else 0, None if left[-1] else -1)
        at, left = at[inside], left[inside]
        return at, *self.counts(at, left)

    def counts(self, at: Floats, left: Bools) -> tuple[Floats, Floats]:
        """ActiveConn and InActConn at instants; ``left``: just before a step at the instant."""
        totals = {"active": np.zeros(at.shape), "inactive": np.zeros(at.shape)}
        for part in self._parts:
            opened, last = self._alive(part, at, left)
            share = part.lifetime.share * self._per_jiffy
            totals[part.lifetime.opened.counted] += share * opened
            totals[part.lifetime.last.counted] += share * last
        return totals["active"], totals["inactive"]

    def _alive(self, part: _LifetimeInJiffies, at: Floats, left: Bools) -> tuple[Floats, Floats]:
        """Entries per arrival a jiffy: those before their last packet or idle, and the others."""

        def survivors(until: Floats) -> Floats:
            return part.surviving(np.clip(until, 0.0, self._end))

        def idlers(until: Floats) -> Floats:
            return np.clip(until, 0.0, self._end) - survivors(until)

        idle_expired = _last_step(at, left, part.opened_granule) - part.opened_timeout
        gone = _last_step(at, left, part.last_granule) - part.last_timeout - part.closes
        closed = at - part.closes
        opened = survivors(at) - survivors(closed) + idlers(at) - idlers(idle_expired)
        last = survivors(closed) - survivors(gone)
        return np.maximum(opened, 0.0), np.maximum(last, 0.0)  # no rounding below zero

    def _instants(self, begin: float, end: float, most: int | None = None) -> tuple[Floats, Bools]:
        """Every instant at which a curve may bend or step, twice: just before it, and at it.

        Args:
            begin: the first instant, in jiffies.
            end: the last.
            most: steps of one kind; of more, only every so many.
        """
        single = [0.0, self._end, *(p.closes for p in self._parts)]
        single += [self._end + p.closes for p in self._parts]
        instants = [np.array([begin, end, *(x for x in single if begin <= x <= end)])]
        for offset, every in {kink for part in self._parts for kink in part.kinks()}:
            first, last = math.ceil((begin - offset) / every), math.floor((end - offset) / every)
            stride = 1 if most is None else max(1, math.ceil((last - first) / most))
            instants.append(offset + every * np.arange(first, last + 1, stride, dtype=np.float64))
        at = np.unique(np.concatenate(instants))
        return np.repeat(at, 2), np.tile([True, False], at.size)


def _in_jiffies(lifetime: EntryLifetime, hz: int) -> _LifetimeInJiffies:
    return _LifetimeInJiffies(
        lifetime=lifetime,
        closes=lifetime.closes_s * hz,
        opened_timeout=float(round(lifetime.opened.timeout_s * hz)),
        opened_granule=float(round(lifetime.opened.granule_s * hz)),
        last_timeout=float(round((lifetime.repeats_s + lifetime.last.timeout_s) * hz)),
        last_granule=float(round(lifetime.last.granule_s * hz)),
    )


def _last_step(at: Floats, left: Bools, granule: float) -> Floats:
    """The wheel's last step at or before an instant, or strictly before it where ``left``."""
    steps: Floats = np.where(left, np.ceil(at / granule) - 1, np.floor(at / granule))
    return steps * granule


def _next_step(due: float, granule: float) -> float:
    """The wheel's step at which timers that are due before an instant have fired."""
    return math.ceil(due / granule) * granule
