"""The timeout that explains between which polls the entries of a group went.

An entry goes at the first step of the timer wheel after ``last packet + timeout``. So, for entries
in the order of their last packets,

- ``timeout <= ended - last``, of every entry: none goes early;
- ``timeout >= seen - last - granule``: none is later than a step;
- ``timeout >= seen - last of the next``, where the next one went at a later step: it was not yet
  due at the step before, else it had gone with it.

The last needs neither HZ nor the phase of the timers; nor do two steps, which bound the granule:
they are at least one apart.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from analyzer.ipvs.timers import granule_s
from analyzer.results import Estimate
from analyzer.units import KNOWN_HZ

if TYPE_CHECKING:
    import numpy.typing as npt

    from analyzer.estimate.falls.bounds import ExpiryBounds

    Floats = npt.NDArray[np.float64]

_SPARE = 0.02
"""The share of the entries that may contradict what the others say."""


def timeout_of(parts: list[ExpiryBounds], hz: int | None, doubt_s: float) -> Estimate | None:
    """The timeout of entries that share one; None where none of them was seen to go, or none fits.

    Args:
        parts: their counters', one for each service.
        hz: the director's jiffies per second, if known.
        doubt_s: how well a poll's instant and a last packet are known, together.
    """
    longest_s = np.concatenate(
        [(one.absent_s - one.last_s)[np.isfinite(one.absent_s)] for one in parts]
    )
    if not len(longest_s):
        return None
    high_s = _spared_min(longest_s) + doubt_s
    coarsest_s = min(_coarsest_s(high_s, hz), *(_step_s(one) + 2 * doubt_s for one in parts))
    shortest_s = np.concatenate([one.seen_s - one.last_s - coarsest_s for one in parts])
    steps_s = np.concatenate([_by_next_step(one) for one in parts])
    low_s = max(-_spared_min(-shortest_s), -_spared_min(-steps_s), 0.0) - doubt_s
    if low_s > high_s:
        return None
    low_s = max(low_s, 0.0)
    return Estimate(value=(low_s + high_s) / 2, uncertainty=(high_s - low_s) / 2)


def _spared_min(values: Floats) -> float:
    """The least but for the few that may be wrong; inf of none."""
    spare = math.floor(_SPARE * len(values))
    return float(np.sort(values)[spare]) if len(values) else math.inf


def _coarsest_s(timeout_s: float, hz: int | None) -> float:
    return max(granule_s(timeout_s, known_hz) for known_hz in (KNOWN_HZ if hz is None else (hz,)))


def _parted(one: ExpiryBounds) -> npt.NDArray[np.bool_]:
    """Of each entry but the last: whether the next one was still there when it had gone."""
    return np.asarray(one.seen_s[1:] >= one.absent_s[:-1], dtype=np.bool_)


def _step_s(one: ExpiryBounds) -> float:
    """What a step of the wheel takes at most; inf where no two were told apart."""
    apart = _parted(one) & np.isfinite(one.absent_s[1:])
    spans_s = (one.absent_s[1:] - one.seen_s[:-1])[apart]
    return float(spans_s.min()) if len(spans_s) else math.inf


def _by_next_step(one: ExpiryBounds) -> Floats:
    return np.asarray((one.seen_s[:-1] - one.last_s[1:])[_parted(one)], dtype=np.float64)
