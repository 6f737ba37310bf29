"""HZ and the phase of a director's timers, from the expiries that were seen.

For a director that could not be read. Every expiry falls on a multiple of its granule, so an entry
that expired between two polls shows where the multiples lie, to within that gap; entries of all
granules together say it for the coarsest. The right HZ is the one whose granules explain the
expiries most narrowly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from analyzer.ipvs.timers import JIFFIES_AT_BOOT_S, TimerPhase, expiry_uptime_s, granule_jiffies
from analyzer.units import KNOWN_HZ

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]

WIDEST_CELL_S = 0.001
DECISIVE = math.log(20)
"""How much likelier the best HZ must be than the next, where it is not known."""

LEAST_EXPLAINED = 0.8
"""Share of the expiries below which no phase is claimed: something else ended the entries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sightings:
    """Entries that ended; every array has shape (n,), seconds of the director's uptime.

    Attributes:
        last_s: the last packet.
        timeout_s: what the entry waited, in seconds.
        seen_s: the last poll that had it.
        absent_s: the first poll that did not.
    """

    last_s: Floats
    timeout_s: Floats
    seen_s: Floats
    absent_s: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class InferredPhase:
    """A phase that was inferred; ``explained`` is the share of the sightings that fit it."""

    phase: TimerPhase
    explained: float
    n: int


REFINE_STEP_S = 0.001
_POLL_SLACK_S = 0.005
_MOST_CANDIDATES = 200  # phases tried on either side of the one inferred
_MOST_SIGHTINGS = 20_000


def refine_phase(sightings: Sightings, hz: int, phase_s: float, uncertainty_s: float) -> float:
    """A phase that was read, moved within its uncertainty to where it explains most expiries.

    Reading the clocks leaves some milliseconds open; a burst that straddles a step of the wheel
    decides them. Where the phase as read explains as many, it stands.
    """
    if len(sightings.last_s) == 0:
        return phase_s
    steps = int(uncertainty_s / REFINE_STEP_S)
    shifts = sorted(range(-steps, steps + 1), key=abs)
    candidates = [phase_s + shift * REFINE_STEP_S for shift in shifts]
    return max(candidates, key=lambda candidate: _explained(sightings, hz, candidate))


def _explained(sightings: Sightings, hz: int, phase_s: float) -> int:
    fires_s = expiry_uptime_s(sightings.last_s, sightings.timeout_s, hz=hz, phase_s=phase_s)
    after = fires_s > sightings.seen_s - _POLL_SLACK_S
    return int((after & (fires_s <= sightings.absent_s + _POLL_SLACK_S)).sum())


def infer_phase(sightings: Sightings, hz: int | None, slack_s: float) -> InferredPhase | None:
    """The phase (and HZ, where it is not known) that explains most of the expiries.

    Args:
        sightings: entries that were ended by their timers, as far as is known.
        hz: the director's, if it is known.
        slack_s: how well the clocks and the last packets are known.

    Returns:
        None without sightings, if no phase explains ``LEAST_EXPLAINED`` of them, or if they do
        not distinguish one HZ from another: a burst that expired in one step does not.
    """
    if len(sightings.last_s) == 0:
        return None
    candidates = KNOWN_HZ if hz is None else (hz,)
    fits = [_fit(sightings, candidate, slack_s) for candidate in candidates]
    ranked = sorted((fit for fit in fits if fit), key=lambda fit: -fit[0])
    if not ranked or (len(ranked) > 1 and ranked[0][0] - ranked[1][0] < DECISIVE):
        return None
    return _by_whole_jiffies(sightings, ranked[0][1])


def _by_whole_jiffies(sightings: Sightings, inferred: InferredPhase) -> InferredPhase:
    """The phase moved, within its uncertainty, to where whole jiffies explain most expiries.

    ``_fit`` leaves a jiffy open on either side of a last packet. A packet that came less than that
    before or after a step of the wheel is decided by the jiffy itself: the wrong one predicts its
    entry a granule off. The middle of the phases that explain most is taken; how far off it may
    be is still what ``_fit`` left open, seen from there.
    """
    phase = inferred.phase
    reach_s = phase.uncertainty_s
    step_s = max(min(REFINE_STEP_S, 0.25 / phase.hz), reach_s / _MOST_CANDIDATES)
    steps = int(reach_s / step_s)
    shifts = step_s * np.arange(-steps, steps + 1)
    some = _thinned(sightings)
    explained = np.array([_explained(some, phase.hz, phase.phase_s + shift) for shift in shifts])
    first, count = _longest_run(explained == explained.max())
    shift_s = float(shifts[first : first + count].mean())
    moved = replace(phase, phase_s=phase.phase_s + shift_s, uncertainty_s=reach_s + abs(shift_s))
    return replace(inferred, phase=moved)


def _thinned(sightings: Sightings) -> Sightings:
    """At most ``_MOST_SIGHTINGS`` sightings, evenly spread: more would not change the result."""
    every = slice(None, None, -(-len(sightings.last_s) // _MOST_SIGHTINGS))
    return Sightings(
        last_s=sightings.last_s[every],
        timeout_s=sightings.timeout_s[every],
        seen_s=sightings.seen_s[every],
        absent_s=sightings.absent_s[every],
    )


def _fit(sightings: Sightings, hz: int, slack_s: float) -> tuple[float, InferredPhase] | None:
    """How plausible this HZ is, and the phase under it.

    The plausibility is a log-likelihood: which share of all phases would explain what was seen.
    """
    cell_s = 1 / hz / math.ceil(1 / hz / WIDEST_CELL_S)  # so that granules are whole cells
    granule_s = granule_jiffies(np.rint(sightings.timeout_s * hz)) / hz
    nominal_s = sightings.last_s + sightings.timeout_s
    low = np.maximum(sightings.seen_s - slack_s, nominal_s - slack_s - 1 / hz)
    high = np.minimum(sightings.absent_s + slack_s, nominal_s + granule_s + slack_s + 1 / hz)
    possible = high > low
    coarsest_s = float(granule_s.max())
    explained = _votes(low[possible], high[possible], granule_s[possible], cell_s)
    votes = int(explained.max()) if len(explained) else 0
    share = votes / len(low)
    if share < LEAST_EXPLAINED:
        return None
    best = explained == votes
    first, cells = _longest_circular_run(best)
    middle = first + cells / 2
    phase = TimerPhase(
        hz=hz,
        phase_s=(middle * cell_s + JIFFIES_AT_BOOT_S) % coarsest_s,
        uncertainty_s=_farthest(best, middle) * cell_s,
    )
    unexplained = len(low) - votes
    likelihood = math.log(best.mean()) - unexplained * math.log(1e6)
    return likelihood, InferredPhase(phase=phase, explained=share, n=len(low))


def _votes(low: Floats, high: Floats, granule_s: Floats, cell_s: float) -> Ints:
    """The sightings that a multiple in each cell of the coarsest granule explains."""
    period = np.rint(granule_s / cell_s).astype(np.int64)
    cells = int(period.max(initial=1))
    marks = np.zeros(2 * cells + 1, dtype=np.int64)
    start = np.floor(low / cell_s).astype(np.int64)
    width = np.maximum(np.ceil(high / cell_s).astype(np.int64) - start, 1)
    rows = np.stack([start % period, np.minimum(width, period), period])
    distinct, weight = np.unique(rows, axis=1, return_counts=True)
    for (at, wide, every), count in zip(distinct.T.tolist(), weight.tolist(), strict=True):
        starts = np.arange(at, cells, every)
        np.add.at(marks, starts, count)
        np.add.at(marks, starts + wide, -count)
    covered = np.cumsum(marks)
    return covered[:cells] + covered[cells : 2 * cells]


def _farthest(flags: Bools, middle: float) -> float:
    """How far the farthest True cell reaches from a middle, the end joined to the start."""
    size = len(flags)
    away = np.abs((np.flatnonzero(flags) + 0.5 - middle + size / 2) % size - size / 2)
    return float(min(away.max() + 0.5, size / 2))


def _longest_circular_run(flags: Bools) -> tuple[int, int]:
    """Where the longest run of True begins, the end joined to the start, and its length."""
    if flags.all():
        return 0, len(flags)
    shift = int(np.argmin(flags))
    first, length = _longest_run(np.roll(flags, -shift))
    return (first + shift) % len(flags), length


def _longest_run(flags: Bools) -> tuple[int, int]:
    """Where the longest run of True begins, and its length; at least one is True."""
    edges = np.flatnonzero(np.diff(np.r_[False, flags, False].astype(np.int8)))
    lengths = edges[1::2] - edges[::2]
    longest = int(np.argmax(lengths))
    return int(edges[::2][longest]), int(lengths[longest])
