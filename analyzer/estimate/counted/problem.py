"""Arrivals and expiries between polls, and the expiries that a timeout predicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analyzer.ipvs.timers import granule_s
from analyzer.units import KNOWN_HZ

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]


def arrivals_and_expiries(inactive: Ints, came: Ints | None) -> tuple[Ints, Ints]:
    """How many entries arrived and expired between polls."""
    change = np.diff(inactive)
    arrivals = np.maximum(change, 0) if came is None else came
    return arrivals, np.maximum(arrivals - change, 0)


def problem_of(t_s: Floats, inactive: Ints, came: Ints | None, stamp_s: float) -> Problem:
    """The arrivals and expiries of a counter that a mixture of timeouts must explain."""
    arrivals, expired = arrivals_and_expiries(inactive, came)
    before = 0 if came is None else int(inactive[0])
    return Problem.of(t_s, arrivals, expired, before, int(inactive.max()), stamp_s)


@dataclass(frozen=True, slots=True)
class Problem:
    """Entries that came between two polls each, and how many had expired by each poll."""

    t_s: Floats
    from_s: Floats  # the polls between which entries came, and how many
    to_s: Floats
    came: Floats
    expired: Floats
    before: int  # that were there at the first poll, and may expire
    peak: int
    poll_s: float
    stamp_s: float
    hz: int = KNOWN_HZ[0]

    @classmethod
    def of(
        cls, t_s: Floats, came: Ints, expired: Ints, before: int, peak: int, stamp_s: float
    ) -> Problem:
        """The problem of a counter's polls, and the arrivals and expiries between them."""
        some = came > 0
        took_s = np.diff(t_s)[(came > 0) | (expired > 0)]
        return cls(
            t_s=t_s[1:],
            from_s=t_s[:-1][some],
            to_s=t_s[1:][some],
            came=came[some].astype(np.float64),
            expired=np.cumsum(expired).astype(np.float64),
            before=before,
            peak=peak,
            poll_s=float(took_s.max()),
            stamp_s=stamp_s,
        )

    def expired_under(self, timeout_s: float) -> Floats:
        """How many would have expired by each poll, the lateness spread evenly over a granule."""
        late_s = granule_s(timeout_s, self.hz)
        middle_s = (self.from_s + self.to_s) / 2
        knots_s = np.r_[middle_s[0] - 1, middle_s, self.t_s[-1] + 1]
        held = np.r_[0.0, np.cumsum(self.came)]
        until = np.r_[0.0, np.cumsum(np.diff(knots_s) * held)]  # entries x seconds
        due_s = self.t_s - timeout_s
        both = np.interp(due_s, knots_s, until) - np.interp(due_s - late_s, knots_s, until)
        earlier = self.before * np.clip((self.t_s - self.t_s[0]) / timeout_s, 0, 1)
        return np.asarray(both / late_s + earlier, dtype=np.float64)

    def bounds(self, timeout_s: float) -> tuple[Floats, Floats]:
        """The fewest and the most that can have expired by each poll, whatever the phase."""
        late_s = granule_s(timeout_s, self.hz)
        total = np.r_[0.0, np.cumsum(self.came)]
        latest_s = self.to_s + timeout_s + late_s + self.stamp_s
        soonest_s = self.from_s + timeout_s - self.stamp_s
        fewest = total[np.searchsorted(latest_s, self.t_s, side="right")]
        most = total[np.searchsorted(soonest_s, self.t_s, side="left")] + self.before
        over = self.t_s >= self.t_s[0] + timeout_s + late_s + self.stamp_s + self.poll_s
        return fewest + self.before * over, most

    def weights(self, values_s: Sequence[float]) -> tuple[Floats, float]:
        """How the entries share these timeouts, none negative; and what that leaves."""
        return self.weights_of([self.expired_under(value_s) for value_s in values_s])

    def weights_of(self, columns: Sequence[Floats]) -> tuple[Floats, float]:
        """``weights`` for the expiries under each timeout (``expired_under``)."""
        from scipy.optimize import nnls

        weights, rest = nnls(np.column_stack(columns), self.expired)
        return weights, float(rest)


def least_off(
    problem: Problem, model: Sequence[float], weights: Floats, free_s: float
) -> tuple[Floats, float]:
    """``off_by`` with the free timeout that fits best within half a granule."""
    whole = weights / weights.sum()  # every arrival waits one of them
    late_s = granule_s(free_s, problem.hz)
    moved = free_s + late_s * np.linspace(-0.5, 0.5, 9)
    tried = [
        off_by(problem, [near_s if value_s == free_s else value_s for value_s in model], shares)
        for near_s in moved
        for shares in (weights, whole)
        if near_s > 0
    ]
    return min(tried, key=lambda pair: float(pair[0].max()))


def off_by(problem: Problem, model: Sequence[float], weights: Floats) -> tuple[Floats, float]:
    """How many expired at each poll when no phase of the timers allows it; the share explained."""
    bounds = [problem.bounds(value_s) for value_s in model]
    fewest = np.asarray(sum(w * low for w, (low, _) in zip(weights, bounds, strict=True)))
    most = np.asarray(sum(w * high for w, (_, high) in zip(weights, bounds, strict=True)))
    off = np.maximum(np.maximum(problem.expired - most, fewest - problem.expired), 0)
    decaying = (most > 0) | (problem.expired > 0)
    if not decaying.any():
        return off, 0.0
    excess = np.maximum(off[decaying] - 1, 0)
    return off, 1 - float(excess.mean()) / float(problem.came.sum())
