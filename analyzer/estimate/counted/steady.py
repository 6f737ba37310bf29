"""A steady load in InActConn: it rises for one entry lifetime, stands, and falls for another.

With r connections a second and a lifetime T the counter rises by r for T seconds, stands at r x T
while as many expire as arrive, and falls for T seconds after the load. That shape (onset, end of
the load, T and r) is fitted to what changed between polls, each change as uncertain as the entries
that arrived and expired in it. A load that began and ended gradually rounds the corners; how much
of that the polls allow is tested too, for a short lifetime under a load that rose and fell slowly
gives the same picture but for its corners.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analyzer.ipvs.timers import granule_s
from analyzer.results import Estimate
from analyzer.units import KNOWN_HZ

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

SHORTEST_S = 5.0
"""Lifetimes below this are not tried: no kernel fixes one, and none is usually set."""

MOST_DISPERSED = 2.0
"""Dispersion of the changes, 1 for independent arrivals: a steady load scatters less."""

_ENOUGH = 9.0  # three standard deviations
_LEAST_DISPERSED = 0.05
_FEWEST_POLLS = 8
_STRIDES = (1, 2, 4)
_ALIKE = 1.6
_ALIKE_BY_CHANCE = 0.15
_IMPOSSIBLE = 1e12
_MOST_SCATTER = 0.6
_MOST_OPEN = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Steady:
    """A steady load that fits.

    Attributes:
        lifetime_s: of its entries, the timer's lateness included.
        timeout_s: the lifetime less that lateness.
        begin_s: when its first entries became inactive.
        rate_per_s: connections that became inactive, each second.
        load_s: how long it lasted; None where it was still on at the end.
        n: entries that came of it, by the end of the log.
        is_sharp: the load began and ended at once; a short lifetime under a load that rose and
            fell slowly would not look like this.
    """

    lifetime_s: Estimate
    timeout_s: Estimate
    begin_s: float
    rate_per_s: float
    load_s: float | None
    n: int
    is_sharp: bool


@dataclass(frozen=True, slots=True)
class _Shape:
    """Four numbers and a rounding: all in seconds."""

    begin_s: float
    end_s: float
    timeout_s: float
    rounded_s: float = 0.0


def steady_load(t_s: Floats, inactive: Ints, hz: int | None, stamp_s: float) -> Steady | None:
    """The steady load behind a counter that rose once, stood, and (mostly) fell again.

    Args:
        t_s: when it was polled, ascending; shape (n,).
        inactive: its values; same shape; the first of them must be 0.
        hz: of the director; None where not known.
        stamp_s: how far a poll may have been from ``t_s``.
    """
    if not len(t_s) or inactive[0] != 0 or not inactive.any():
        return None
    for stride in _STRIDES:  # stairs of the timers even out over longer intervals
        kept = np.r_[0 : len(t_s) - 1 : stride, len(t_s) - 1] if stride > 1 else slice(None)
        fit = _fitted(t_s[kept], inactive[kept], hz, stamp_s)
        if fit is not None:
            return fit
    return None


def _fitted(t_s: Floats, inactive: Ints, hz: int | None, stamp_s: float) -> Steady | None:
    if len(t_s) < _FEWEST_POLLS or not inactive.any():
        return None
    start = _guess(t_s, inactive)
    if start is None:
        return None
    fit = _Fit(t_s, inactive, hz, stamp_s, ends=bool(inactive[-1] == 0))
    best, least = fit.best(start)
    dispersion = least / max(len(t_s) - 5, 1)
    if dispersion > MOST_DISPERSED or not fit.follows(best, dispersion) or fit.drifts(best):
        return None
    return fit.read(best, least, max(dispersion, _LEAST_DISPERSED))


def _guess(t_s: Floats, inactive: Ints) -> _Shape | None:
    """When the counter passes a quarter and three quarters of the height at which it stood."""
    high = float(np.median(inactive[inactive > inactive.max() / 2]))
    quarter, most = inactive > high / 4, inactive > 3 * high / 4
    rise_s = 2 * (t_s[most.argmax()] - t_s[quarter.argmax()])
    begin_s = float(t_s[(inactive > 0).argmax()])
    if inactive[-1] > high / 4:
        return _Shape(begin_s, np.inf, max(float(rise_s), SHORTEST_S))
    last = len(t_s) - 1
    fall_s = 2 * (t_s[last - quarter[::-1].argmax()] - t_s[last - most[::-1].argmax()])
    step_s = 2 * float(np.diff(t_s).max())
    if max(rise_s, fall_s) > _ALIKE * min(rise_s, fall_s) + step_s:
        return None
    timeout_s = max(float(rise_s + fall_s) / 2, SHORTEST_S)
    over_s = float(t_s[last - (inactive > 0)[::-1].argmax()])
    return _Shape(begin_s, over_s - timeout_s, timeout_s)


class _Fit:
    """Least squares over the changes between polls."""

    def __init__(
        self, t_s: Floats, inactive: Ints, hz: int | None, stamp_s: float, *, ends: bool
    ) -> None:
        self.t_s = t_s
        self.inactive = inactive.astype(np.float64)
        self.change = np.diff(self.inactive)
        self.known_hz = (hz,) if hz else KNOWN_HZ
        self.stamp_s = stamp_s
        self.poll_s = float(np.median(np.diff(t_s)))
        self.ends = ends

    def late_s(self, timeout_s: float) -> tuple[float, float]:
        """The finest and the coarsest granule that this timeout may have."""
        granules = [granule_s(timeout_s, hz) for hz in self.known_hz]
        return min(granules), max(granules)

    def came_and_expired(self, shape: _Shape) -> tuple[Floats, Floats]:
        """Arrivals and expiries by each poll, of one connection a second."""
        late_s = sum(self.late_s(shape.timeout_s)) / 2
        since_s = self.t_s - shape.begin_s
        until_s = self.t_s - shape.end_s if np.isfinite(shape.end_s) else -1 + 0 * self.t_s
        came = _ramp(since_s, shape.rounded_s, 0) - _ramp(until_s, shape.rounded_s, 0)
        expired = _ramp(since_s - shape.timeout_s, shape.rounded_s, late_s) - _ramp(
            until_s - shape.timeout_s, shape.rounded_s, late_s
        )
        return came, expired

    def rate(self, shape: _Shape) -> tuple[float, Floats, Floats]:
        """The rate that fits best, and the arrivals and expiries between polls, of one a second."""
        came, expired = (np.diff(total) for total in self.came_and_expired(shape))
        net, spread = came - expired, came + expired + 1e-3
        rate = float((self.change * net / spread).sum() / ((net**2 / spread).sum() + 1e-9))
        return max(rate, 1e-9), came, expired

    def left(self, shape: _Shape) -> float:
        """The squares that a shape leaves, each over its variance (independent arrivals)."""
        if shape.timeout_s < SHORTEST_S / 2 or shape.end_s <= shape.begin_s:
            return _IMPOSSIBLE
        return float((self.scaled(shape)[0] ** 2).sum())

    def scaled(self, shape: _Shape) -> tuple[Floats, Floats]:
        """What a shape leaves of each change, over its deviation; and what arrived and expired."""
        rate, came, expired = self.rate(shape)
        moved = rate * (came + expired)
        edges = np.abs(np.diff(rate * (came - expired), prepend=0.0))
        variance = moved + 0.5 + (0.5 * self.stamp_s * np.minimum(edges, rate)) ** 2
        return (self.change - rate * (came - expired)) / np.sqrt(variance), moved

    def drifts(self, shape: _Shape) -> bool:
        """Whether what it leaves of one change is like what it leaves of the next: a wrong shape.

        Chance and the stairs of the timers do not make neighbours alike.
        """
        rest, moved = self.scaled(shape)
        active = rest[moved > 0]
        alike = float((active[1:] * active[:-1]).sum() / max((active**2).sum(), 1e-9))
        return alike > max(_ALIKE_BY_CHANCE, 2 / math.sqrt(max(len(active), 1)))

    def best(self, start: _Shape, fixed: Sequence[str] = ()) -> tuple[_Shape, float]:
        """The shape that leaves least, from a start; some of its numbers may be held."""
        from scipy.optimize import minimize

        names = [
            name
            for name in ("begin_s", "end_s", "timeout_s")
            if name not in fixed and np.isfinite(getattr(start, name))
        ]
        origin = np.array([getattr(start, name) for name in names])

        def shape_of(values: Floats) -> _Shape:
            numbers = {name: float(value) for name, value in zip(names, values, strict=True)}
            return _Shape(
                numbers.get("begin_s", start.begin_s),
                numbers.get("end_s", start.end_s),
                numbers.get("timeout_s", start.timeout_s),
                start.rounded_s,
            )

        step_s = max(self.poll_s, start.timeout_s / 10)
        simplex = np.vstack([origin, origin + step_s * np.eye(len(names))])
        fit = minimize(  # type: ignore[call-overload]  # its stubs need shapes in the types
            lambda values: self.left(shape_of(values)),
            origin,
            method="Nelder-Mead",
            options={"initial_simplex": simplex, "xatol": 0.02, "fatol": 0.01, "maxfev": 400},
        )
        return shape_of(fit.x), float(fit.fun)

    def follows(self, shape: _Shape, dispersion: float) -> bool:
        """Whether the counter itself stays near the shape all the time."""
        rate, _, _ = self.rate(shape)
        came, expired = self.came_and_expired(shape)
        held = rate * (came - expired)
        slack_s = self.poll_s + self.stamp_s + self.late_s(shape.timeout_s)[1]
        allowed = 4 * np.sqrt(max(dispersion, _LEAST_DISPERSED) * np.maximum(held, 1))
        near = (np.abs(self.inactive - held) <= allowed + rate * slack_s + 2).all()
        return bool(near) and float(allowed.max()) <= _MOST_SCATTER * float(held.max())

    def read(self, best: _Shape, least: float, dispersion: float) -> Steady | None:
        """What the best shape says, as uncertain as the polls leave it."""
        if best.timeout_s < SHORTEST_S:
            return None
        low_s, high_s = self._reach(best, least, dispersion)
        if high_s - low_s > _MOST_OPEN * best.timeout_s:
            return None
        fine_s, coarse_s = self.late_s(best.timeout_s)
        late_s = (fine_s + coarse_s) / 2
        slack_s = self.poll_s + self.stamp_s
        rate, _, _ = self.rate(best)
        ends = np.isfinite(best.end_s)
        load_s = (best.end_s if ends else float(self.t_s[-1])) - best.begin_s
        if load_s < best.timeout_s:
            return None  # a burst, which the counter's rises show whole
        middle_s, half_s = (low_s + high_s) / 2, (high_s - low_s) / 2
        return Steady(
            lifetime_s=Estimate(value=middle_s + late_s / 2, uncertainty=half_s + slack_s),
            timeout_s=Estimate(value=middle_s, uncertainty=half_s + slack_s + coarse_s / 2),
            begin_s=best.begin_s,
            rate_per_s=rate,
            load_s=load_s if ends else None,
            n=round(rate * load_s),
            is_sharp=self._is_sharp(best, least, dispersion),
        )

    def _reach(self, best: _Shape, least: float, dispersion: float) -> tuple[float, float]:
        """The shortest and the longest timeout that leave little more than the best."""
        reach = []
        for sign in (-1, 1):
            near, shape, step_s = best.timeout_s, best, self.poll_s / 2
            for _ in range(24):
                tried = near + sign * step_s
                if tried <= 0:
                    break
                moved = _Shape(shape.begin_s, shape.end_s, tried)
                shape, left = self.best(moved, fixed=("timeout_s",))
                if left - least > _ENOUGH * dispersion:
                    break
                near, step_s = tried, step_s * 1.4
            reach.append(near)
        return reach[0], reach[1]

    def _is_sharp(self, best: _Shape, least: float, dispersion: float) -> bool:
        """Whether corners rounded by the shortest lifetime of interest fit clearly worse."""
        if best.timeout_s <= SHORTEST_S:
            return True
        shorter_s = max(best.timeout_s - SHORTEST_S, SHORTEST_S)
        start = _Shape(best.begin_s, best.end_s, shorter_s, SHORTEST_S)
        _, left = self.best(start)
        return left - least > _ENOUGH * dispersion


def _ramp(since_s: Floats, rounded_s: float, late_s: float) -> Floats:
    """One a second from 0 on, its corner rounded by two times over which it is spread evenly."""
    wide = [width for width in (rounded_s, late_s) if width > 0]
    if not wide:
        return np.maximum(since_s, 0)
    if len(wide) == 1:
        return (_power(since_s, 2) - _power(since_s - wide[0], 2)) / wide[0]
    first, second = wide
    both = _power(since_s, 3) - _power(since_s - first, 3)
    later = _power(since_s - second, 3) - _power(since_s - first - second, 3)
    return np.asarray((both - later) / (first * second), dtype=np.float64)


def _power(since_s: Floats, order: int) -> Floats:
    return np.asarray(np.maximum(since_s, 0) ** order / (2, 6)[order - 2], dtype=np.float64)
