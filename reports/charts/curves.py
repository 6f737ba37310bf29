"""Arithmetic on curves: sums, gaps, and the rise and fall of a counter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from analyzer.charts.curves import Curve

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from analyzer.arrays import Floats, Ints

    Numbers = npt.NDArray[np.float64] | npt.NDArray[np.int64]

GAP_FACTOR = 3  # a gap is longer than this many median intervals,
GAP_LEAST_S = 1.5  # and than this: a thinned log has fewer polls where nothing happens
Count = Literal["active", "inactive"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fall:
    """The rise and fall of a counter; seconds on the timeline."""

    peak: int
    peak_s: float  # the last instant at the peak
    first_s: float | None  # the first value below the peak after it; None while it holds
    empty_s: float | None  # back at zero; None when something is left
    left: int  # the last value
    steps: int  # falls after the peak


def directors(curves: Iterable[Curve]) -> tuple[str, ...]:
    """The directors that have a curve, in the order of their first one."""
    return tuple(dict.fromkeys(curve.director for curve in curves if curve.t_s.size))


def of(director: str, curves: Iterable[Curve]) -> tuple[Curve, ...]:
    """The curves of one director that have at least one point."""
    return tuple(curve for curve in curves if curve.director == director and curve.t_s.size)


def is_silent(curves: Iterable[Curve]) -> bool:
    """Whether every curve is zero throughout, as a backup director's are."""
    return not any(curve.active.any() or curve.inactive.any() for curve in curves)


def sum_of_polls(curves: Sequence[Curve]) -> Curve:
    """Observed curves of one director added up, poll by poll; a row that is absent adds nothing."""
    all_s = np.concatenate([curve.t_s for curve in curves])
    t_s = np.unique(all_s)
    at = np.searchsorted(t_s, all_s)
    return Curve(
        director=curves[0].director,
        real_server="",
        t_s=t_s,
        active=_added_at(at, np.concatenate([curve.active for curve in curves])),
        inactive=_added_at(at, np.concatenate([curve.inactive for curve in curves])),
    )


def sum_of_steps(curves: Sequence[Curve]) -> Curve:
    """Predicted curves of one director added up: each holds its value until its next change."""
    t_s = np.concatenate([curve.t_s for curve in curves])
    order = np.argsort(t_s, kind="stable")
    t_s = t_s[order]
    last = np.flatnonzero(np.append(np.diff(t_s) > 0, np.ones(min(t_s.size, 1), dtype=bool)))
    return Curve(
        director=curves[0].director,
        real_server="",
        t_s=t_s[last],
        active=_summed([curve.active for curve in curves], order)[last],
        inactive=_summed([curve.inactive for curve in curves], order)[last],
    )


def _added_at(at: npt.NDArray[np.intp], values: Ints) -> Ints:
    """Values added up by the number of their instant: exact, as counts are far below 2^53."""
    return np.bincount(at, weights=values).astype(np.int64)


def _summed(parts: Iterable[Ints], order: npt.NDArray[np.intp]) -> Ints:
    """The sum of step curves after each change; ``order`` sorts all their changes by time."""
    changes = np.concatenate([np.diff(values, prepend=0) for values in parts])
    return np.cumsum(changes[order])


def interval_s(t_s: Floats) -> float | None:
    """The usual time between polls: the median spacing; None for fewer than two polls."""
    return float(np.median(np.diff(t_s))) if t_s.size > 1 else None


def gaps(t_s: Floats) -> tuple[tuple[float, float], ...]:
    """The gaps in polling, each as its last poll before and its first after."""
    usual = interval_s(t_s)
    if usual is None or t_s.size < 3:
        return ()
    return tuple((float(t_s[i]), float(t_s[i + 1])) for i in _gap_starts(t_s, usual))


def with_gaps(t_s: Floats, values: Numbers) -> tuple[Floats, Floats]:
    """The same points with a NaN in the middle of each gap, so that no line can bridge it."""
    drawn = values.astype(np.float64)
    usual = interval_s(t_s)
    if usual is None or t_s.size < 3:
        return t_s, drawn
    at = _gap_starts(t_s, usual)
    middles = (t_s[at] + t_s[at + 1]) / 2
    return np.insert(t_s, at + 1, middles), np.insert(drawn, at + 1, np.nan)


def _gap_starts(t_s: Floats, usual: float) -> npt.NDArray[np.intp]:
    return np.flatnonzero(np.diff(t_s) > max(GAP_FACTOR * usual, GAP_LEAST_S))


def held(t_s: Floats, values: Ints, *, start_s: float, end_s: float) -> tuple[Floats, Ints]:
    """A step curve from zero at ``start_s``, with its last value held to ``end_s``."""
    before, after = int(t_s[0] > start_s), int(t_s[-1] < end_s)
    times = np.concatenate([[start_s] * before, t_s, [end_s] * after])
    return times, np.concatenate([[0] * before, values, values[-1:][:after]]).astype(np.int64)


def fall(curve: Curve, count: Count = "inactive") -> Fall | None:
    """How a counter fell after its peak; None for a curve that never left zero."""
    values: Ints = getattr(curve, count)
    if not values.any():
        return None
    last = int(np.flatnonzero(values == values.max())[-1])
    after = values[last + 1 :]
    zeros = np.flatnonzero(after == 0)
    return Fall(
        peak=int(values[last]),
        peak_s=float(curve.t_s[last]),
        first_s=float(curve.t_s[last + 1]) if after.size else None,
        empty_s=float(curve.t_s[last + 1 + zeros[0]]) if zeros.size else None,
        left=int(values[-1]),
        steps=int(np.count_nonzero(np.diff(values[last:]) < 0)),
    )
