"""Which timeout governs the decay of InActConn, and what it measures.

An entry goes at the first step of the timer wheel after ``last packet + timeout`` (see
``analyzer.ipvs.timers``), and a poll sees only that it went between two looks. So each entry that
went bounds the timeout from both sides, and all entries of a group together bound it more
closely: the measured timeout is the intersection, its uncertainty half of that width.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.ipvs.states import (
    TIMEOUT_NAMES,
    State,
    Timeouts,
    active_states,
    timeout_by_state_s,
)
from analyzer.ipvs.timers import JIFFIES_AT_BOOT_S, granule_s, timeouts_of_granule_s
from analyzer.phase import Sightings
from analyzer.predict import TIMER
from analyzer.results import ErrorSpread, Estimate, Lifetime, Spread

if TYPE_CHECKING:
    import numpy.typing as npt

    from analyzer.clock import DirectorClock
    from analyzer.director import Director
    from analyzer.ipvs.timers import TimerPhase

    Floats = npt.NDArray[np.float64]

_NS = 1e9
WIDEST_LOOK_S = 2.0
"""An entry that went while nobody looked for longer than this says nothing about its lifetime."""


def lifetimes(
    lives: pd.DataFrame,
    director: Director,
    clock: DirectorClock,
    phase: TimerPhase | None,
    *,
    last_packet_uncertainty_s: float,
) -> list[Lifetime]:
    """One row for each state and timeout that entries ended in, the largest group first.

    Args:
        lives: this director's observed lives, from ``join``.
        director: its facts.
        clock: its clock.
        phase: of its timers, read or inferred; None where not known.
        last_packet_uncertainty_s: how well ``last_ns`` is known; 0 from a capture.
    """
    known = lives[lives["last_ns"].notna()]
    if "cause" in known:
        known = known[known["cause"].fillna(TIMER) == TIMER]
    slack_s = clock.uncertainty_s + last_packet_uncertainty_s
    groups = known.groupby([known["state"], _waited_s(known, director)], sort=False, dropna=False)
    rows = [
        _lifetime(
            group_row(director, str(state), _number(waited_s), len(group)),
            group,
            clock,
            phase,
            director.hz,
            slack_s,
        )
        for (state, waited_s), group in groups
    ]
    return sorted(rows, key=lambda row: -row.n)


def predicted_lifetimes(entries: pd.DataFrame, director: Director) -> list[Lifetime]:
    """Without polls of entries: the groups as the packets predict them, nothing measured."""
    remaining = entries[entries["cause"] == TIMER]
    rows = []
    for (number, waited_s), group in remaining.groupby(["state", "timeout_s"], sort=False):
        state = State(int(str(number))).name
        told = _told(director, state, _number(waited_s))
        rows.append(group_row(director, state, told, len(group)))
    return sorted(rows, key=lambda row: -row.n)


def _number(value: object) -> float | None:
    """A group's key; NaN, where the timeout is not known, as None."""
    number = float(str(value))
    return None if np.isnan(number) else number


def _waited_s(lives: pd.DataFrame, director: Director) -> pd.Series:
    """The timeout that each entry waited, seconds: as replayed, else as configured."""
    told_s = {state: configured_s(director, str(state)) for state in lives["state"].unique()}
    configured = lives["state"].map(told_s).astype("float64")
    if "timeout_s" not in lives:
        return configured.rename("waited_s")
    names = lives["predicted_state"].map({int(state): state.name for state in State})
    told = configured.notna() & (names == lives["state"])
    return configured.where(~told, lives["timeout_s"]).rename("waited_s")


def configured_s(director: Director, state: str) -> float | None:
    """The timeout that a state has on this director, seconds; None where it was not read."""
    if state not in State.__members__:
        return None
    timeout_s = float(timeout_by_state_s(director.timeouts or Timeouts())[State[state]])
    return _told(director, state, timeout_s)


def _told(director: Director, state: str, timeout_s: float | None) -> float | None:
    is_settable = TIMEOUT_NAMES[State[state]] != "fixed"
    return None if is_settable and director.timeouts is None else timeout_s


def _lifetime(
    row: Lifetime,
    group: pd.DataFrame,
    clock: DirectorClock,
    phase: TimerPhase | None,
    hz: int | None,
    slack_s: float,
) -> Lifetime:
    gone = group[group["gone_ns"].notna() & group["seen_ns"].notna()]
    look_s = (gone["gone_ns"] - gone["seen_ns"]).to_numpy(dtype=np.float64) / _NS
    gone, look_s = gone[look_s <= WIDEST_LOOK_S], look_s[look_s <= WIDEST_LOOK_S]
    if gone.empty:
        return row
    middle_ns = gone["seen_ns"].to_numpy(dtype=np.float64) / 2 + gone["gone_ns"] / 2
    lived_s = (middle_ns - gone["last_ns"]).to_numpy(dtype=np.float64) / _NS
    uncertainty_s = float(look_s.max()) / 2 + slack_s
    return replace(
        row,
        n_expired=len(gone),
        lifetime_s=Spread(
            mean=float(lived_s.mean()),
            min=float(lived_s.min()),
            max=float(lived_s.max()),
            uncertainty=uncertainty_s,
        ),
        timeout_measured_s=measured_timeout(
            sightings_of(gone, clock), lived_s, hz, phase, slack_s, uncertainty_s
        ),
        prediction_error_s=_prediction_error(gone, middle_ns),
    )


def sightings_of(gone: pd.DataFrame, clock: DirectorClock) -> Sightings:
    """Lives that ended, on the director's clock."""
    waited = gone["timeout_s"] if "timeout_s" in gone else pd.Series(np.nan, index=gone.index)
    return Sightings(
        last_s=clock.uptime_s(gone["last_ns"].to_numpy(dtype=np.int64)),
        timeout_s=np.asarray(waited, dtype=np.float64),
        seen_s=clock.uptime_s(gone["seen_ns"].to_numpy(dtype=np.int64)),
        gone_s=clock.uptime_s(gone["gone_ns"].to_numpy(dtype=np.int64)),
    )


def group_row(director: Director, state: str, timeout_s: float | None, n: int) -> Lifetime:
    """A group of n entries that ended in a state, nothing measured yet."""
    known = State[state] if state in State.__members__ else None
    return Lifetime(
        director=director.name,
        state=state,
        counted="active" if known in active_states(director.kernel) else "inactive",
        timeout_name="fixed" if known is None else TIMEOUT_NAMES[known],
        timeout_s=timeout_s,
        n=n,
        n_expired=0,
        lifetime_s=None,
        timeout_measured_s=None,
        granule_s=granule_s(timeout_s, director.hz) if timeout_s and director.hz else None,
        prediction_error_s=None,
    )


def _prediction_error(gone: pd.DataFrame, middle_ns: pd.Series) -> ErrorSpread | None:
    if "ends_ns" not in gone or gone["ends_ns"].isna().all():
        return None
    error_s = (gone["ends_ns"] - middle_ns).to_numpy(dtype=np.float64) / _NS
    return ErrorSpread(mean=float(error_s.mean()), max=float(np.abs(error_s).max()))


def measured_timeout(
    sightings: Sightings,
    lived_s: Floats,
    hz: int | None,
    phase: TimerPhase | None,
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
    if phase is not None:
        slack_s += phase.uncertainty_s
        found = [_bounds_s(sightings, granule, hz, phase.phase_s, slack_s) for granule in granules]
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
    sightings: Sightings, granule: float, hz: int, phase_s: float, slack_s: float
) -> tuple[float, float]:
    """The shortest and the longest timeout of this granule that explain every disappearance."""
    origin_s = phase_s - JIFFIES_AT_BOOT_S
    first = np.floor((sightings.seen_s - slack_s - origin_s) / granule) + 1
    last = np.floor((sightings.gone_s + slack_s - origin_s) / granule)
    low = float(((first - 1) * granule + origin_s - sightings.last_s).max()) - slack_s
    high = float((last * granule + origin_s - sightings.last_s).min()) + slack_s + 1 / hz
    shortest, longest = timeouts_of_granule_s(granule, hz)
    return max(low, shortest), min(high, longest)
