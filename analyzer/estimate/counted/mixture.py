"""The mixture of timeouts that explains when entries expired, given when they arrived.

Where nothing else is known a rise of the counter is taken for entries that came and a fall for
entries that expired: no entry came while the counter stood still. Whether that holds is another
question (``analyzer.estimate.counted.hidden_arrivals``). Each timeout says when the entries that
came would expire; the mixture whose falls add up to the observed ones is fitted by non-negative
least squares. One of the timeouts may be free (``tcpfin``, ``udp``): it is moved until the rest is
least.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from analyzer.estimate.counted.problem import arrivals_and_expiries, least_off, off_by, problem_of
from analyzer.ipvs.timers import granule_s
from analyzer.results import Estimate
from analyzer.units import KNOWN_HZ

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from analyzer.estimate.counted.problem import Problem

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

LEAST_SHARE = 0.05
"""A component with a smaller share of the entries than this is noise."""

LEAST_EXPLAINED = 0.9
"""Share of the entries, on average over the decay, below which no mixture is claimed."""

MOST_MISFIT = 0.03
"""Share of the peak, at the worst poll: if more expired when no phase of the timers allows it, the
mixture does not fit. One entry of ten or more is always forgiven."""

_AS_GOOD = 1.25
"""A simpler mixture stands if it leaves at most this many times what the best leaves."""

_LONGEST_S = 4000.0
_FINE_S = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One timeout in the mixture: how many entries waited it; its value, known or estimated.

    ``lifetime_s`` is the timeout and half a granule, which is what the counter shows: it is known
    better than the timeout where HZ is not known.
    """

    timeout_s: Estimate
    lifetime_s: Estimate
    is_free: bool  # not one of the timeouts that are fixed in the kernel
    n: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """What the decay is made of.

    Attributes:
        explained: the share of the entries that it accounts for.
        misfit: how many expired too early or too late, at the worst poll, as a share of the peak.
        peak: the most that were there at once.
        came_over_s: how long entries were seen to come.
        overlapped: the share of them that came while others expired: rises alone do not count
            those.
        poll_s: the longest interval between polls in which entries arrived or expired.
    """

    components: tuple[Component, ...]
    explained: float
    misfit: float
    peak: int
    arrived: int
    expired: int
    came_over_s: float
    overlapped: float
    poll_s: float
    hz: int

    @property
    def fits(self) -> bool:
        """Whether it accounts for every poll."""
        return self.misfit * self.peak <= _tolerated(self.peak)

    @property
    def nearly_fits(self) -> bool:
        """Whether it fits but for a handful of entries, and so cannot be ruled out."""
        few = self.misfit * self.peak <= _HANDFUL and self.misfit <= 2 * MOST_MISFIT
        return self.fits or few


_FORGIVEN = 1
_FORGIVEN_SHARE = 0.1  # one entry of three is no noise
_HANDFUL = 4
_MOST = 0.5
_RARE_HZ = (300,)
_USUAL_HZ = tuple(hz for hz in KNOWN_HZ if hz not in _RARE_HZ)
_CLEARLY = 1.25
_HIDES = 0.25
"""Expiries in an interval from which on as many arrivals in it may go unseen."""
_LATE = 0.6
"""Share of a granule by which the mean lateness of some entries may differ from half of it."""


def decompose(
    t_s: Floats,
    inactive: Ints,
    fixed_s: Sequence[float],
    hz: int | None,
    *,
    came: Ints | None = None,
    stamp_s: float = 0.0,
) -> Mixture | None:
    """The mixture of timeouts behind a counter's falls; None if none explains them.

    Args:
        t_s: when the counter was polled, ascending; shape (n,), n >= 2.
        inactive: its values; shape (n,).
        fixed_s: the timeouts that the kernel fixes for inactive entries.
        hz: of the director, whose granules blur the falls; where not known, the one that fits.
        came: how many entries became inactive between two polls, where that is known; shape
            (n - 1,); those that were there before may expire within one timeout. Otherwise the
            rises of the counter, and what was there before stays.
        stamp_s: how far a poll may have been from ``t_s``: logs often name whole seconds.
    """
    if len(t_s) < 2:
        return None
    arrivals, expired = arrivals_and_expiries(inactive, came)
    if not arrivals.any() or not expired.any():
        return None
    problem = problem_of(t_s, inactive, came, stamp_s)
    fits = [
        fitted
        for candidate in (_USUAL_HZ if hz is None else (hz,))
        if (fitted := _fit(replace(problem, hz=candidate), fixed_s))
    ]
    return _of_any_hz(fits, np.flatnonzero(expired), t_s, stamp_s) if fits else None


def others_fit(
    t_s: Floats, inactive: Ints, mixture: Mixture, fixed_s: float, came: Ints, stamp_s: float
) -> bool:
    """Whether a mixture with a fixed timeout fits as well, the others waiting clearly longer.

    Under a load that never changed only the mean lifetime shows: what is there, over what comes.

    Args:
        t_s: as for ``decompose``.
        inactive: as for ``decompose``.
        mixture: the single timeout that was fitted.
        fixed_s: a shorter one that some entries may have waited instead.
        came: as for ``decompose``.
        stamp_s: as for ``decompose``.
    """
    problem = replace(problem_of(t_s, inactive, came, stamp_s), hz=mixture.hz)
    (only,) = mixture.components
    longer_s = min(
        _CLEARLY * only.timeout_s.value, only.timeout_s.value + only.timeout_s.uncertainty
    )
    share = (longer_s - only.timeout_s.value) / (longer_s - fixed_s)
    off, _ = least_off(problem, (fixed_s, longer_s), np.array([share, 1 - share]), longer_s)
    return float(off.max()) <= _tolerated(problem.peak)


def _tolerated(peak: int) -> float:
    """How many entries may have expired when no phase of the timers allows it."""
    return max(MOST_MISFIT * peak, min(_FORGIVEN, _FORGIVEN_SHARE * peak))


def _of_any_hz(
    fits: Sequence[tuple[float, Mixture]], falls: Ints, t_s: Floats, stamp_s: float
) -> Mixture:
    """The best of all HZ, its free timeout as uncertain as HZ leaves it.

    A granule hides in a lifetime, and they differ: 2 s and 5 s for 120 s at HZ 250 and 100.
    """
    _, best = min(fits, key=lambda fitted: fitted[0])
    if len(fits) == 1:
        return best
    parts = []
    for part in best.components:
        lifetime = part.lifetime_s
        late_s = max(_granules(lifetime.value, falls, t_s, stamp_s))
        low_s = lifetime.value - (0.5 + _LATE) * late_s
        high_s = lifetime.value + (_LATE - 0.5) * late_s
        wide = Estimate(
            value=(low_s + high_s) / 2, uncertainty=(high_s - low_s) / 2 + lifetime.uncertainty
        )
        parts.append(replace(part, timeout_s=wide) if part.is_free else part)
    return replace(best, components=tuple(parts))


def _granules(lifetime_s: float, falls: Ints, t_s: Floats, stamp_s: float) -> list[float]:
    """Granules that a lifetime may hide, of any HZ; of the rare HZ if the falls allow it."""
    usual = [granule_s(lifetime_s, hz) for hz in _USUAL_HZ]
    rare = [granule_s(lifetime_s, hz) for hz in _RARE_HZ]
    return usual + [
        granule for granule in rare if not _closer_than(granule - 2 * stamp_s, falls, t_s)
    ]


def _closer_than(granule: float, falls: Ints, t_s: Floats) -> bool:
    """Whether most falls follow one another faster than the steps of a granule can."""
    apart_s = t_s[falls[1:] + 1] - t_s[falls[:-1]]  # at most
    return len(apart_s) > 0 and float((apart_s < granule).mean()) > _MOST


def _fit(problem: Problem, fixed_s: Sequence[float]) -> tuple[float, Mixture] | None:
    """The simplest mixture that leaves about as little as the best; what it leaves, and itself."""
    free_s = _best_free(problem, fixed_s)
    models = [model for size in (1, 2, 3) for model in combinations((*fixed_s, free_s), size)]
    solved = [(model, *problem.weights(model)) for model in models]
    least = min(rest for _, _, rest in solved)
    noise = min(0.5, _FORGIVEN_SHARE / 2 * problem.peak)
    bar = least * _AS_GOOD + noise * float(np.sqrt(len(problem.t_s)))
    model, weights, rest = next(
        row for row in solved if row[2] <= bar or _single_fits(problem, row, free_s)
    )
    if not weights.any():
        return None
    off, explained = least_off(problem, model, weights, free_s)
    if explained < LEAST_EXPLAINED:
        return None
    each = float(problem.expired[-1]) / float(weights.sum())
    components = [
        Component(
            timeout_s=Estimate(
                value=value_s,
                uncertainty=problem.poll_s
                + problem.stamp_s
                + _LATE * granule_s(value_s, problem.hz),
            ),
            lifetime_s=Estimate(
                value=value_s + granule_s(value_s, problem.hz) / 2,
                uncertainty=problem.poll_s + problem.stamp_s,
            ),
            is_free=value_s == free_s,
            n=float(weight) * each,
        )
        for value_s, weight in zip(model, weights, strict=True)
        if weight >= LEAST_SHARE
    ]
    if len(components) == 1:
        components = [_widened(problem, components[0])]
    ordered = tuple(sorted(components, key=lambda part: -part.n))
    return rest, Mixture(
        components=ordered,
        explained=explained,
        misfit=float(off.max()) / max(problem.peak, 1),
        peak=problem.peak,
        arrived=int(problem.came.sum()),
        expired=int(problem.expired[-1]),
        came_over_s=float(problem.to_s[-1] - problem.from_s[0]),
        overlapped=_overlapped(problem, model, weights),
        poll_s=problem.poll_s,
        hz=problem.hz,
    )


def _widened(problem: Problem, only: Component) -> Component:
    """The one timeout, as uncertain as polls leave it that are as far apart as it is long."""
    timeout = only.timeout_s
    low_s, high_s = _allowed(problem, timeout.value)
    half_s = (high_s - low_s) / 2
    if max(high_s - timeout.value, timeout.value - low_s) <= timeout.uncertainty:
        return only
    middle_s = (low_s + high_s) / 2
    late_s = granule_s(middle_s, problem.hz)
    return replace(
        only,
        timeout_s=Estimate(value=middle_s, uncertainty=half_s),
        lifetime_s=Estimate(value=middle_s + late_s / 2, uncertainty=half_s + late_s / 2),
    )


def _allowed(problem: Problem, value_s: float) -> tuple[float, float]:
    """The shortest and the longest timeout that the polls allow as much as this one, in seconds."""
    step_s = max(problem.poll_s / 8, _FINE_S)
    ends = []
    for sign in (-1, 1):
        near_s = value_s
        for _ in range(_MOST_STEPS):
            tried_s = near_s + sign * step_s
            if tried_s <= 0 or _worst(problem, tried_s) > _tolerated(problem.peak):
                break
            near_s = tried_s
        ends.append(near_s)
    return ends[0], ends[1]


_MOST_STEPS = 24  # three intervals between polls: a lifetime is known to two, at the worst


def _worst(problem: Problem, value_s: float) -> float:
    """How many expired too early or too late, at the worst poll, were this the only timeout."""
    off, _ = off_by(problem, (value_s,), np.ones(1))
    return float(off.max())


def _single_fits(
    problem: Problem, row: tuple[tuple[float, ...], Floats, float], free_s: float
) -> bool:
    """Whether one timeout is enough, though several would leave still less."""
    model, weights, _ = row
    if len(model) > 1 or not weights.any():
        return False
    off, _ = least_off(problem, model, weights, free_s)
    return float(off.max()) <= _tolerated(problem.peak)


def _overlapped(problem: Problem, model: Sequence[float], weights: Floats) -> float:
    """The share of those that came in intervals in which others are expected to expire."""
    shares = np.where(weights >= LEAST_SHARE, weights, 0)
    expired_by = sum(
        w * problem.expired_under(timeout_s) for w, timeout_s in zip(shares, model, strict=True)
    )
    expired = np.diff(np.asarray(expired_by), prepend=0.0)
    ends = np.searchsorted(problem.t_s, problem.to_s)
    return float(problem.came[expired[ends] > _HIDES].sum() / problem.came.sum())


def _best_free(problem: Problem, fixed_s: Sequence[float]) -> float:
    """The free timeout, in seconds, that with the fixed ones leaves least unexplained."""
    fixed = [problem.expired_under(value_s) for value_s in fixed_s]

    def rest_of(value_s: float) -> float:
        free = problem.expired_under(value_s)
        return problem.weights_of([*fixed, free])[1] + problem.weights_of([free])[1] / 10

    span_s = min(float(problem.t_s[-1] - problem.from_s[0]), _LONGEST_S)
    step_s = max(span_s / 250, _FINE_S)
    coarse = np.arange(step_s, span_s + step_s, step_s)
    best = float(coarse[np.argmin([rest_of(value_s) for value_s in coarse])])
    while step_s > _FINE_S:
        near = np.clip(best + np.linspace(-step_s, step_s, 9), _FINE_S, None)
        best = float(near[np.argmin([rest_of(value_s) for value_s in near])])
        step_s /= 4
    return best
