"""The timeout that explains between which polls the entries of a group expired.

An entry expires at the first step of the timer wheel after ``last packet + timeout``. So, for
entries in the order of their last packets,

- ``timeout <= absent - last``, of every entry: none expires early;
- ``timeout >= seen - last - granule``: none is later than a step;
- ``timeout >= seen - last of the next``, where the next one expired at a later step: it was
  not yet due at the step before, or it would have expired with it.

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


def timeout_of(known: list[ExpiryBounds], hz: int | None, uncertainty_s: float) -> Estimate | None:
    """The timeout of entries that share one; None where none was seen to expire, or none fits.

    Args:
        known: their counters', one for each service.
        hz: the director's jiffies per second, if known.
        uncertainty_s: how well a poll's instant and a last packet are known, together.
    """
    longest_s = np.concatenate(
        [(bounds.absent_s - bounds.last_s)[np.isfinite(bounds.absent_s)] for bounds in known]
    )
    if not len(longest_s):
        return None
    high_s = _spared_min(longest_s) + uncertainty_s
    coarsest_s = min(
        _coarsest_s(high_s, hz), *(_step_s(bounds) + 2 * uncertainty_s for bounds in known)
    )
    shortest_s = np.concatenate([bounds.seen_s - bounds.last_s - coarsest_s for bounds in known])
    steps_s = np.concatenate([_by_next_step(bounds) for bounds in known])
    low_s = max(-_spared_min(-shortest_s), -_spared_min(-steps_s), 0.0) - uncertainty_s
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


def _expired_before_next(bounds: ExpiryBounds) -> npt.NDArray[np.bool_]:
    """Whether the next entry was still there when each one (but the last) had expired."""
    return np.asarray(bounds.seen_s[1:] >= bounds.absent_s[:-1], dtype=np.bool_)


def _step_s(bounds: ExpiryBounds) -> float:
    """What a step of the wheel takes at most; inf where no two are known to differ."""
    apart = _expired_before_next(bounds) & np.isfinite(bounds.absent_s[1:])
    spans_s = (bounds.absent_s[1:] - bounds.seen_s[:-1])[apart]
    return float(spans_s.min()) if len(spans_s) else math.inf


def _by_next_step(bounds: ExpiryBounds) -> Floats:
    return np.asarray(
        (bounds.seen_s[:-1] - bounds.last_s[1:])[_expired_before_next(bounds)], dtype=np.float64
    )
