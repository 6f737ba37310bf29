"""Whether entries may have arrived while InActConn stood still, as others expired.

The counter shows only arrivals less expiries. A burst and a wait after it, and a long steady load,
can give the very same numbers: under the second reading as many entries arrived as expired in each
interval. Three things rule that out:

- the counter rose within less time than entries last, so no steady load of that rate was on;
- it fell faster than a steady load lets it, a granule of the timers allowed for;
- comings or goings are uneven where they can be seen alone (a rise, a fall), so they could not
  have cancelled to the last entry, interval after interval, while the counter stood still.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analyzer.estimate.counted.steady import SHORTEST_S
from analyzer.ipvs.timers import granule_s
from analyzer.units import KNOWN_HZ

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

_SUDDEN_RISE_S = 6.0
"""A rise between two polls no further apart than this counts as sudden."""

_FEWEST_INNER = 4
_COUNTING = 1.1
"""The variance that counting alone gives: 14, 15, 14 of a rate of 14.5."""

_STAMPS = 0.42
"""The variance of second differences by stamps cut to whole seconds, with half as much again."""

_LEAST_VARIANCE = 0.2
_CERTAIN = 7.0  # natural logarithm of the odds
_TIMES = 2.0
_ENTRIES = 3


def may_hide_arrivals(t_s: Floats, inactive: Ints, stamp_s: float) -> bool:
    """Whether a counter's numbers leave room for entries that came unseen.

    Args:
        t_s: when it was polled, ascending; shape (n,).
        inactive: its values; same shape.
        stamp_s: how far a poll may have been from ``t_s``.
    """
    change = np.diff(inactive)
    if not (change > 0).any() or not (change < 0).any():
        return True
    return not (
        _rose_at_once(t_s, change, stamp_s)
        or _fell_too_fast(t_s, inactive, change, stamp_s)
        or _cannot_cancel(t_s, inactive, change, stamp_s)
    )


def _rose_at_once(t_s: Floats, change: Ints, stamp_s: float) -> bool:
    """Whether each rise was over before any entry of it could expire."""
    rises = np.flatnonzero(change > 0)
    group = np.searchsorted(np.flatnonzero(change < 0), rises)
    for number in np.unique(group):
        in_group = rises[group == number]
        took_s = t_s[in_group[-1] + 1] - t_s[in_group[0]]
        if took_s > _SUDDEN_RISE_S or (len(in_group) > 1 and took_s + stamp_s >= SHORTEST_S):
            return False
    return True


def _fell_too_fast(t_s: Floats, inactive: Ints, change: Ints, stamp_s: float) -> bool:
    """Whether more expired between two polls than a steady load adds in that time and a granule."""
    rises = np.flatnonzero(change > 0)
    before_fall = rises[rises < np.flatnonzero(change < 0)[0]]
    if not len(before_fall):
        return False
    begin, end = before_fall[0], before_fall[-1] + 1
    rise_s = float(t_s[end] - t_s[begin])
    late_s = max(granule_s(max(rise_s, SHORTEST_S), hz) for hz in KNOWN_HZ)
    worst = int(np.argmin(change))
    window_s = float(t_s[worst + 1] - t_s[worst]) + late_s + 2 * stamp_s
    upto = np.interp(t_s[begin : end + 1] + window_s, t_s, inactive)
    at_most = float((upto - inactive[begin : end + 1]).max())
    shortest = float(inactive.max()) / SHORTEST_S * window_s
    return -int(change[worst]) > _TIMES * max(at_most, shortest) + _ENTRIES


def _cannot_cancel(t_s: Floats, inactive: Ints, change: Ints, stamp_s: float) -> bool:
    """Whether what is seen of rises and falls is too uneven to vanish where the counter stood."""
    uneven: dict[int, list[float]] = {1: [], -1: []}
    for first, last, sign in _spans(change):
        uneven[sign] += _unevenness(t_s, change, first, last, stamp_s)
    variance = sum(
        max(float(np.mean(changes)), 0.0) for changes in uneven.values() if len(changes) > 2
    )
    if variance < _LEAST_VARIANCE:
        return False
    chance = min(max(1 / np.sqrt(2 * np.pi * variance), 1 - variance), 0.999)
    stood = _longest_run((change == 0) & (inactive[1:] > inactive.max() / 2))
    return bool(stood * -np.log(chance) >= np.log(len(change)) + _CERTAIN)


def _longest_run(still: npt.NDArray[np.bool_]) -> int:
    """The most polls in a row."""
    breaks = np.flatnonzero(~np.r_[False, still, False])
    return int(np.diff(breaks).max()) - 1


def _spans(change: Ints) -> list[tuple[int, int, int]]:
    """Rises and falls: the first and last change of each, and its sign; pauses within included."""
    changes: list[tuple[int, int, int]] = []
    pause = {sign: _longest_pause(sign * change) for sign in (1, -1)}
    for index in np.flatnonzero(change):
        sign = 1 if change[index] > 0 else -1
        if changes and changes[-1][2] == sign and index - changes[-1][1] <= pause[sign]:
            changes[-1] = (changes[-1][0], int(index), sign)
        else:
            changes.append((int(index), int(index), sign))
    return changes


def _longest_pause(change: Ints) -> int:
    """Polls between two rises that still belong together: a few times the usual."""
    apart = np.diff(np.flatnonzero(change > 0))
    return int(4 * np.median(apart)) + 1 if len(apart) else 1


def _unevenness(t_s: Floats, change: Ints, first: int, last: int, stamp_s: float) -> list[float]:
    """Variances of arrivals (or expiries) per poll, less the variance of counting.

    By second differences, each times its neighbour: chance makes them alternate, a bend does not.
    """
    took_s = np.diff(t_s)[first : last + 1]
    usual_s = float(np.median(took_s))
    rates = np.abs(change[first : last + 1]) * usual_s / took_s
    inner = rates[1:-1]
    if len(inner) < _FEWEST_INNER:
        return []
    second = np.diff(inner, 2)
    rate_per_s = float(rates.mean()) / usual_s
    least = _COUNTING + _STAMPS * (rate_per_s * stamp_s) ** 2
    return [float(value) for value in -second[1:] * second[:-1] / 4 - least]
