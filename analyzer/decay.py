"""Which timeout governs the decay of InActConn, and what it measures.

An entry goes at the first step of the timer wheel after ``last packet + timeout`` (see
``analyzer.ipvs.timers``), and a poll sees only that it went between two looks. What that says of
the timeout itself is told by ``analyzer.timeout``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.instants import midway_ns, seconds_since
from analyzer.ipvs.states import (
    TIMEOUT_NAMES,
    State,
    Timeouts,
    active_states,
    timeout_by_state_s,
)
from analyzer.ipvs.timers import granule_s
from analyzer.phase import Sightings
from analyzer.predict import TIMER
from analyzer.results import ErrorSpread, Lifetime, Spread
from analyzer.timeout import measured_timeout

if TYPE_CHECKING:
    import numpy.typing as npt

    from analyzer.clock import DirectorClock
    from analyzer.director import Director
    from analyzer.ipvs.timers import TimerPhase

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

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
        waited = told(director, state, _number(waited_s))
        rows.append(group_row(director, state, waited, len(group)))
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
    return told(director, state, timeout_s)


def told(director: Director, state: str, timeout_s: float | None) -> float | None:
    """A state's timeout, None where it can be set and nobody read what it was set to."""
    is_settable = TIMEOUT_NAMES[State[state]] != "fixed"
    unknown = director.timeouts is None or TIMEOUT_NAMES[State[state]] in director.assumed_timeouts
    return None if is_settable and unknown else timeout_s


def _lifetime(
    row: Lifetime,
    group: pd.DataFrame,
    clock: DirectorClock,
    phase: TimerPhase | None,
    hz: int | None,
    slack_s: float,
) -> Lifetime:
    gone = group[group["gone_ns"].notna() & group["seen_ns"].notna()]
    look_s = seconds_since(gone["gone_by_ns"], gone["seen_ns"])
    gone, look_s = gone[look_s <= WIDEST_LOOK_S], look_s[look_s <= WIDEST_LOOK_S]
    if gone.empty:
        return row
    middle_ns = midway_ns(gone["seen_ns"], gone["gone_by_ns"])
    lived_s = seconds_since(middle_ns, gone["last_ns"])
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
        gone_s=clock.uptime_s(gone["gone_by_ns"].to_numpy(dtype=np.int64)),
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


def _prediction_error(gone: pd.DataFrame, middle_ns: Ints) -> ErrorSpread | None:
    if "ends_ns" not in gone or gone["ends_ns"].isna().all():
        return None
    error_s = seconds_since(gone["ends_ns"], middle_ns)
    return ErrorSpread(mean=float(error_s.mean()), max=float(np.abs(error_s).max()))
