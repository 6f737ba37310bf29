"""Groups of entries that waited for one timeout: which of a director's timeouts that is.

An entry expires at the first step of the timer wheel after ``last packet + timeout`` (see
``analyzer.ipvs.timers``), and polls show only that it expired between two of them. What that says
of the timeout itself is in ``analyzer.estimate.timeout``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.estimate.state_timeouts import configured_s, if_read, state_of
from analyzer.ipvs.states import (
    TIMEOUT_NAMES,
    State,
    active_states,
)
from analyzer.ipvs.timers import granule_s
from analyzer.observed.ends import kinds_of, protocols
from analyzer.predicted.entries import TIMER, groups_of_timed
from analyzer.predicted.phase import Sightings
from analyzer.recording.clock import REACTION_S
from analyzer.results import Estimate, Lifetime

if TYPE_CHECKING:
    from collections.abc import Iterable

    from analyzer.recording.clock import DirectorClock
    from analyzer.recording.director import Director


def group_keys(tracked: pd.DataFrame, director: Director) -> tuple[pd.DataFrame, list[pd.Series]]:
    """The entries that say something of a timeout; protocol, state and timeout of each."""
    known = tracked if "lifetime_s" in tracked else tracked[tracked["last_ns"].notna()]
    if "cause" in known:
        known = known[known["cause"].fillna(TIMER) == TIMER]
    return known, [protocols(known), known["state"], _waited_s(known, director)]


def predicted_lifetimes(parts: Iterable[pd.DataFrame], director: Director) -> list[Lifetime]:
    """Groups of entries, part by part, as the packets predict them; nothing measured."""
    rows = []
    for (number, waited_s), n in groups_of_timed(parts, ["state", "timeout_s"]).items():
        state = State(int(str(number)))
        reported_s = if_read(director, state, number_of(waited_s))
        protocol = "UDP" if state == State.UDP else "TCP"
        rows.append(group_row(director, state.name, reported_s, n, protocol))
    return sorted(rows, key=lambda row: -row.n)


def number_of(value: object) -> float | None:
    """A group's key; NaN, where the timeout is not known, as None."""
    number = float(str(value))
    return None if np.isnan(number) else number


def _waited_s(tracked: pd.DataFrame, director: Director) -> pd.Series:
    """The timeout that each entry waited, seconds: as replayed, else as configured."""
    kind, kinds = kinds_of(tracked)
    reported_s = [configured_s(director, state, protocol) for protocol, state in kinds]
    each_s = np.array([*reported_s, None], dtype=np.float64)[kind]
    configured = pd.Series(each_s, index=tracked.index)
    if "timeout_s" not in tracked:
        return configured.rename("waited_s")
    names = tracked["predicted_state"].map({int(state): state.name for state in State})
    as_configured = configured.notna() & (names == tracked["state"])
    return configured.where(~as_configured, tracked["timeout_s"]).rename("waited_s")


def with_bounds(row: Lifetime, group: pd.DataFrame) -> Lifetime:
    """A group's row with the bounds of its timeout from the entries' expire columns."""
    low_s, high_s = (float(group[f"timeout_{end}_s"].iloc[0]) for end in ("low", "high"))
    if np.isnan(low_s):
        return row
    if np.isinf(high_s):
        assumed_s = float(group["assumed_s"].iloc[0])
        return replace(
            row,
            timeout_at_least_s=low_s,
            timeout_assumed_s=None if np.isnan(assumed_s) else assumed_s,
        )
    half_s = (high_s - low_s) / 2 + REACTION_S
    estimate = Estimate(value=(low_s + high_s) / 2, uncertainty=half_s)
    return replace(row, timeout_measured_s=estimate)


def narrowest(*estimates: Estimate | None) -> Estimate | None:
    """The estimate with the smallest uncertainty."""
    known = [estimate for estimate in estimates if estimate]
    return min(known, key=lambda estimate: estimate.uncertainty, default=None)


def sightings_of(ended: pd.DataFrame, clock: DirectorClock) -> Sightings:
    """Sightings of entries that ended, on the director's clock."""
    waited = ended["timeout_s"] if "timeout_s" in ended else pd.Series(np.nan, index=ended.index)
    return Sightings(
        last_s=clock.uptime_s(ended["last_ns"].to_numpy(dtype=np.int64)),
        timeout_s=np.asarray(waited, dtype=np.float64),
        seen_s=clock.uptime_s(ended["seen_ns"].to_numpy(dtype=np.int64)),
        absent_s=clock.uptime_s(ended["absent_by_ns"].to_numpy(dtype=np.int64)),
    )


def group_row(
    director: Director, state: str, timeout_s: float | None, n: int, protocol: str | None = None
) -> Lifetime:
    """A group of n entries that ended in a state, nothing measured yet.

    Without a protocol the state is one of TCP or UDP, which share none.
    """
    known = state_of(state, protocol)
    is_active = known in active_states(director.kernel) if known is not None else state in _ACTIVE
    return Lifetime(
        director=director.name,
        state=state,
        counted="active" if is_active else "inactive",
        timeout_name="fixed" if known is None else TIMEOUT_NAMES[known],
        timeout_s=timeout_s,
        n=n,
        n_expired=0,
        lifetime_s=None,
        timeout_measured_s=None,
        granule_s=granule_s(timeout_s, director.hz) if timeout_s and director.hz else None,
        prediction_error_s=None,
        protocol=protocol,
    )


_ACTIVE = ("ESTABLISHED",)
"""States of other protocols that count as active: one of SCTP."""
