"""Which timeout governs the decay of InActConn, and what it measures.

An entry goes at the first step of the timer wheel after ``last packet + timeout`` (see
``analyzer.ipvs.timers``), and a poll sees only that it went between two looks. So each entry that
went bounds the timeout from both sides, and all entries of a group together bound it more
closely: the measured timeout is the intersection, its uncertainty half of that width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analyzer.ipvs.states import ACTIVE_STATES, TIMEOUT_NAMES, State, Timeouts, timeout_by_state_s
from analyzer.ipvs.timers import JIFFIES_AT_BOOT_S, granule_s, timeouts_of_granule_s
from analyzer.results import ErrorSpread, Estimate, Lifetime, Spread

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from analyzer.clock import DirectorClock
    from analyzer.director import Director

    Floats = npt.NDArray[np.float64]

_NS = 1e9
WIDEST_LOOK_S = 2.0
"""An entry that went while nobody looked for longer than this says nothing about its lifetime."""


def lifetimes(
    lives: pd.DataFrame,
    director: Director,
    clock: DirectorClock,
    *,
    last_packet_uncertainty_s: float,
) -> list[Lifetime]:
    """One row for each state in which entries of this director ended, the largest group first.

    Args:
        lives: ``join.with_packets`` or ``join.with_requests`` of this director's observed lives.
        director: its facts.
        clock: its clock.
        last_packet_uncertainty_s: how well ``last_ns`` is known; 0 from a capture.
    """
    known = lives[lives["last_ns"].notna()]
    if "reused" in known:
        known = known[~known["reused"].fillna(value=False).astype(bool)]
    slack_s = clock.uncertainty_s + last_packet_uncertainty_s
    groups = known.groupby("state", sort=False)
    rows = [_lifetime(str(state), group, director, clock, slack_s) for state, group in groups]
    return sorted(rows, key=lambda row: -row.n)


def predicted_lifetimes(entries: pd.DataFrame, director: Director) -> list[Lifetime]:
    """Without polls of entries: the groups as the packets predict them, nothing measured."""
    remaining = entries[~entries["reused"]]
    names = remaining["state"].map(lambda number: State(number).name)
    return [
        _row(director, str(name), n=int(count), n_expired=0)
        for name, count in names.value_counts().items()
    ]


def _lifetime(
    state: str, group: pd.DataFrame, director: Director, clock: DirectorClock, slack_s: float
) -> Lifetime:
    gone = group[group["gone_ns"].notna() & group["seen_ns"].notna()]
    look_s = (gone["gone_ns"] - gone["seen_ns"]).to_numpy(dtype=np.float64) / _NS
    gone, look_s = gone[look_s <= WIDEST_LOOK_S], look_s[look_s <= WIDEST_LOOK_S]
    if gone.empty:
        return _row(director, state, n=len(group), n_expired=0)
    middle_ns = gone["seen_ns"].to_numpy(dtype=np.float64) / 2 + gone["gone_ns"] / 2
    lived_s = (middle_ns - gone["last_ns"]).to_numpy(dtype=np.float64) / _NS
    uncertainty_s = float(look_s.max()) / 2 + slack_s
    sightings = _Sightings(
        last_s=clock.uptime_s(gone["last_ns"].to_numpy(dtype=np.int64)),
        seen_s=clock.uptime_s(gone["seen_ns"].to_numpy(dtype=np.int64)),
        gone_s=clock.uptime_s(gone["gone_ns"].to_numpy(dtype=np.int64)),
    )
    row = _row(director, state, n=len(group), n_expired=len(gone))
    return Lifetime(
        director=row.director,
        state=row.state,
        counted=row.counted,
        timeout_name=row.timeout_name,
        timeout_s=row.timeout_s,
        n=row.n,
        n_expired=row.n_expired,
        lifetime_s=Spread(
            mean=float(lived_s.mean()),
            min=float(lived_s.min()),
            max=float(lived_s.max()),
            uncertainty=uncertainty_s,
        ),
        timeout_measured_s=measured_timeout(
            sightings,
            lived_s,
            director.hz,
            director.phase_s,
            slack_s + director.phase_uncertainty_s,
            uncertainty_s,
        ),
        granule_s=row.granule_s,
        prediction_error_s=_prediction_error(gone, middle_ns),
    )


def _row(director: Director, state: str, *, n: int, n_expired: int) -> Lifetime:
    known = State[state] if state in State.__members__ else None
    name = "fixed" if known is None else TIMEOUT_NAMES[known]
    timeout_s = None
    if known is not None and (director.timeouts or name == "fixed"):
        timeout_s = float(timeout_by_state_s(director.timeouts or Timeouts())[known])
    return Lifetime(
        director=director.name,
        state=state,
        counted="active" if known in ACTIVE_STATES else "inactive",
        timeout_name=name,
        timeout_s=timeout_s,
        n=n,
        n_expired=n_expired,
        lifetime_s=None,
        timeout_measured_s=None,
        granule_s=granule_s(timeout_s, director.hz) if timeout_s and director.hz else None,
        prediction_error_s=None,
    )


def _prediction_error(gone: pd.DataFrame, middle_ns: pd.Series) -> ErrorSpread | None:
    if "ends_ns" not in gone:
        return None
    error_s = (gone["ends_ns"] - middle_ns).to_numpy(dtype=np.float64) / _NS
    return ErrorSpread(mean=float(error_s.mean()), max=float(np.abs(error_s).max()))


@dataclass(frozen=True, slots=True)
class _Sightings:
    """Of entries that went: last packet, last look that had it, first that did not; uptime, s."""

    last_s: Floats
    seen_s: Floats
    gone_s: Floats


def measured_timeout(
    sightings: _Sightings,
    lived_s: Floats,
    hz: int | None,
    phase_s: float | None,
    slack_s: float,
    uncertainty_s: float,
) -> Estimate | None:
    """The timeout that explains every disappearance of a group; None without HZ.

    With the phase of the timers known, a disappearance between two looks names the step of the
    wheel, and the step bounds ``last packet + timeout`` to one granule before it. Without the
    phase, or where no single timeout explains all, the mean less half a granule stands.
    """
    if hz is None:
        return None
    granules = _granules(lived_s, hz, uncertainty_s)
    if phase_s is not None:
        found = [_bounds_s(sightings, granule, hz, phase_s, slack_s) for granule in granules]
        bounds = [pair for pair in found if pair[0] <= pair[1]]
        if bounds:
            low, high = min(low for low, _ in bounds), max(high for _, high in bounds)
            return Estimate(value=(low + high) / 2, uncertainty=(high - low) / 2)
    half = max(granules) / 2
    return Estimate(value=float(lived_s.mean()) - half, uncertainty=half + uncertainty_s)


def _granules(lived_s: Floats, hz: int, uncertainty_s: float) -> list[float]:
    """The granules, in seconds, of all timeouts that these lifetimes allow: one or two.

    Near a level's edge a timeout of the finer granule outlives the edge: 40 s at HZ 100 does.
    """
    longest_s = float(lived_s.min()) + uncertainty_s
    coarse_s = granule_s(longest_s, hz)
    shortest_s = max(float(lived_s.max()) - uncertainty_s - coarse_s, 0)
    return sorted({coarse_s, granule_s(shortest_s, hz)})


def _bounds_s(
    sightings: _Sightings, granule: float, hz: int, phase_s: float, slack_s: float
) -> tuple[float, float]:
    """The shortest and the longest timeout of this granule that explain every disappearance."""
    origin_s = phase_s - JIFFIES_AT_BOOT_S
    first = np.floor((sightings.seen_s - slack_s - origin_s) / granule) + 1
    last = np.floor((sightings.gone_s + slack_s - origin_s) / granule)
    low = float(((first - 1) * granule + origin_s - sightings.last_s).max()) - slack_s
    high = float((last * granule + origin_s - sightings.last_s).min()) + slack_s + 1 / hz
    shortest, longest = timeouts_of_granule_s(granule, hz)
    return max(low, shortest), min(high, longest)
