"""The timeout that explains when the entries of a group expired, and how closely.

An entry expires at the first step of the timer wheel after ``last packet + timeout``, and is seen
to have expired between two polls: so each entry bounds the timeout from both sides. What widens
these bounds for every entry alike:

====================  =======================================================================
the poll              its instant is read first, the table until its answer is there
the clocks            the director's against the recorder's, and the phase of its timers
the way, the softirq  ``REACTION_S``: from the wire to the timer, from the step to the table
====================  =======================================================================

All bounds together leave less than any of them. But entries that expired in one poll are one
witness, however many they are: the same step, the same poll, the same moment at which the director
was busy. So witnesses are polls; and since now and then one is wrong by more than all this (a guest
that was not run, a read that was torn), a few of them may contradict: as many as do in any case,
and ``_SPARE`` of all more, so that no single one decides how closely the timeout is known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from analyzer.ipvs.timers import JIFFIES_AT_BOOT_S, granule_s, timeouts_of_granule_s
from analyzer.predicted.phase import LEAST_EXPLAINED
from analyzer.recording.clock import REACTION_S
from analyzer.results import Estimate

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from analyzer.ipvs.timers import TimerPhase
    from analyzer.parts.summary import Summary
    from analyzer.predicted.phase import Sightings

    Floats = npt.NDArray[np.float64]

_SPARE = 0.02
_FEWEST_TO_SPARE = 3  # of two witnesses it is not known which is wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """The timeouts that (nearly) all polls allow, seconds, and the share of polls that do."""

    low_s: float
    high_s: float
    share: float


def measured_timeout(
    sightings: Iterable[Sightings],
    lifetime_s: Summary,
    hz: int | None,
    phase: TimerPhase | None,
    slack_s: float,
    uncertainty_s: float,
) -> Estimate | None:
    """The timeout that explains the disappearances of a group; None without HZ.

    With the phase of the timers known, a disappearance between two polls names the step of the
    wheel, and the step bounds ``last packet + timeout`` to one granule before it. Without the
    phase, or where that is less exact, the mean less half a granule stands.

    Args:
        sightings: of the entries, on the director's clock, in parts that are read again.
        lifetime_s: from their last packets to the middle of the polls, of all.
        hz: the director's jiffies per second.
        phase: of its timers; None where not known.
        slack_s: how well the clocks and the last packets are known.
        uncertainty_s: of each of ``lifetime_s``.
    """
    if hz is None:
        return None
    granules = _granules(lifetime_s, hz, uncertainty_s + REACTION_S)
    half_s = max(granules) / 2
    by_mean = Estimate(
        value=lifetime_s.mean - half_s, uncertainty=half_s + uncertainty_s + REACTION_S
    )
    if phase is None:
        return by_mean
    slack_s += phase.uncertainty_s + REACTION_S
    by_steps = _by_steps(sightings, granules, hz, phase.phase_s, slack_s)
    return min(by_mean, by_steps or by_mean, key=lambda estimate: estimate.uncertainty)


def _by_steps(
    sightings: Iterable[Sightings], granules: list[float], hz: int, phase_s: float, slack_s: float
) -> Estimate | None:
    """The timeout by the steps of the wheel; None where no single timeout explains them."""
    fitted = [_fit(sightings, granule, hz, phase_s, slack_s) for granule in granules]
    fits = [fit for fit in fitted if fit and fit.share >= LEAST_EXPLAINED]
    best = max((fit.share for fit in fits), default=0.0)
    alike = [fit for fit in fits if fit.share >= best - _SPARE]
    if not alike:
        return None
    low_s, high_s = min(fit.low_s for fit in alike), max(fit.high_s for fit in alike)
    return Estimate(value=(low_s + high_s) / 2, uncertainty=(high_s - low_s) / 2)


def _granules(lifetime_s: Summary, hz: int, uncertainty_s: float) -> list[float]:
    """The granules, in seconds, of all timeouts that these lifetimes allow: one or two.

    Near a level's edge a timeout of the finer granule outlives the edge: 40 s at HZ 100 does.
    """
    longest_s = lifetime_s.least + uncertainty_s
    coarse_s = granule_s(longest_s, hz)
    shortest_s = max(lifetime_s.most - uncertainty_s - coarse_s, 0)
    return sorted({coarse_s, granule_s(shortest_s, hz)})


def _fit(
    sightings: Iterable[Sightings], granule: float, hz: int, phase_s: float, slack_s: float
) -> Fit | None:
    """What the polls agree on, within the timeouts that have this granule at all."""
    shortest_s, longest_s = timeouts_of_granule_s(granule, hz)
    polls = ByPoll(shortest_s, longest_s)
    for part in sightings:
        polls.add(part.absent_s, *_bounds_s(part, granule, phase_s, slack_s))
    low, high = polls.bounds()
    agrees = low <= high
    return agreed(low[agrees], high[agrees], len(low)) if agrees.any() else None


_FEW = 1 << 16
"""Bounds that wait at least until they are brought together; and as many as there are polls."""


@dataclass(slots=True)
class ByPoll:
    """What the witnesses of each poll allow together.

    Attributes:
        shortest_s, longest_s: what any poll allows.
        some: polls, and the least and the most that each allows; a poll may come again.
        waiting: how many of them are not the first's.
    """

    shortest_s: float
    longest_s: float
    some: list[tuple[Floats, Floats, Floats]] = field(default_factory=list)
    waiting: int = 0

    def add(self, poll_s: Floats, low_s: Floats, high_s: Floats) -> None:
        """Take witnesses into account; shape (n,) each."""
        distinct_s, poll = np.unique(poll_s, return_inverse=True)
        low, high = (np.full(len(distinct_s), end) for end in (self.shortest_s, self.longest_s))
        np.maximum.at(low, poll, low_s)
        np.minimum.at(high, poll, high_s)
        self.some.append((distinct_s, low, high))
        self.waiting += len(distinct_s) if len(self.some) > 1 else 0
        if self.waiting > max(_FEW, len(self.some[0][0])):
            self._bring_together()

    def bounds(self) -> tuple[Floats, Floats]:
        """The least and the most that each poll allows, in order of the polls."""
        if len(self.some) != 1:
            self._bring_together()
        return self.some[0][1:]

    def _bring_together(self) -> None:
        nothing = np.zeros(0)
        columns = zip((nothing,) * 3, *self.some, strict=True)
        poll_s, low_s, high_s = (np.concatenate(column) for column in columns)
        self.some, self.waiting = [], 0
        self.add(poll_s, low_s, high_s)


def agreed(low_s: Floats, high_s: Floats, n_polls: int) -> Fit:
    """The range of timeouts that about as many polls allow as any.

    Args:
        low_s: the least that each poll allows, of those that allow anything; shape (n,), n >= 1.
        high_s: the most; same shape.
        n_polls: how many there were, those that allow nothing included.
    """
    low_s, high_s = np.sort(low_s), np.sort(high_s)

    def allowing(timeout_s: Floats) -> npt.NDArray[np.int64]:
        begun = np.searchsorted(low_s, timeout_s, side="right")
        return np.asarray(begun - np.searchsorted(high_s, timeout_s), dtype=np.int64)

    most = int(allowing(low_s).max())
    spare = math.ceil(_SPARE * n_polls) if n_polls >= _FEWEST_TO_SPARE else 0
    enough = max(most - spare, 1)
    return Fit(
        low_s=float(low_s[allowing(low_s) >= enough].min()),
        high_s=float(high_s[allowing(high_s) >= enough].max()),
        share=most / n_polls,
    )


def _bounds_s(
    sightings: Sightings, granule: float, phase_s: float, slack_s: float
) -> tuple[Floats, Floats]:
    """The shortest and the longest timeout of this granule that each disappearance allows.

    A timer counts whole jiffies from the one that its packet came in, and those before the step are
    one fewer than a granule: the two cancel, so that a jiffy widens neither bound.
    """
    origin_s = phase_s - JIFFIES_AT_BOOT_S
    first = np.floor((sightings.seen_s - slack_s - origin_s) / granule) + 1
    last = np.floor((sightings.absent_s + slack_s - origin_s) / granule)
    low_s = (first - 1) * granule + origin_s - sightings.last_s - slack_s
    high_s = last * granule + origin_s - sightings.last_s + slack_s
    return low_s, high_s
