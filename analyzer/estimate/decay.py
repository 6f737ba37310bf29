"""Which timeout governs the decay of InActConn, and what it measures.

An entry goes at the first step of the timer wheel after ``last packet + timeout`` (see
``analyzer.ipvs.timers``), and a poll sees only that it went between two looks. What that says of
the timeout itself is told by ``analyzer.estimate.timeout``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.estimate.state_timeouts import configured_s, if_read, state_of
from analyzer.estimate.timeout import measured_timeout
from analyzer.ipvs.states import (
    TIMEOUT_NAMES,
    State,
    active_states,
)
from analyzer.ipvs.timers import granule_s
from analyzer.observed.ends import lived_spans_s, protocols, seen_to_go
from analyzer.predicted.entries import TIMER
from analyzer.predicted.phase import Sightings
from analyzer.recording.clock import REACTION_S
from analyzer.recording.instants import midway_ns, seconds_since
from analyzer.results import ErrorSpread, Estimate, Lifetime, Spread

if TYPE_CHECKING:
    import numpy.typing as npt

    from analyzer.ipvs.timers import TimerPhase
    from analyzer.recording.clock import DirectorClock
    from analyzer.recording.director import Director

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]


def lifetimes(
    lives: pd.DataFrame,
    director: Director,
    clock: DirectorClock,
    phase: TimerPhase | None,
    *,
    last_packet_uncertainty_s: float,
) -> list[Lifetime]:
    """One row for each protocol, state and timeout that entries ended in, the largest group first.

    Args:
        lives: this director's observed lives, from ``join``, or ``entry_timers`` where nothing
            but entries is known; those of ``join`` that have no last packet are left out.
        director: its facts.
        clock: its clock.
        phase: of its timers, read or inferred; None where not known.
        last_packet_uncertainty_s: how well ``last_ns`` is known; 0 from a capture, and where
            ``lived_half_s`` says it of each life.
    """
    known = lives if "lived_s" in lives else lives[lives["last_ns"].notna()]
    if "cause" in known:
        known = known[known["cause"].fillna(TIMER) == TIMER]
    slack_s = clock.uncertainty_s + last_packet_uncertainty_s
    keys = [protocols(known), known["state"], _waited_s(known, director)]
    rows = [
        _lifetime(
            group_row(director, str(state), _number(waited_s), len(group), str(protocol)),
            group,
            clock,
            phase,
            director.hz,
            slack_s,
        )
        for (protocol, state, waited_s), group in known.groupby(keys, sort=False, dropna=False)
    ]
    return sorted(rows, key=lambda row: -row.n)


def predicted_lifetimes(entries: pd.DataFrame, director: Director) -> list[Lifetime]:
    """Without polls of entries: the groups as the packets predict them, nothing measured."""
    remaining = entries[entries["cause"] == TIMER]
    rows = []
    for (number, waited_s), group in remaining.groupby(["state", "timeout_s"], sort=False):
        state = State(int(str(number)))
        told = if_read(director, state, _number(waited_s))
        protocol = "UDP" if state == State.UDP else "TCP"
        rows.append(group_row(director, state.name, told, len(group), protocol))
    return sorted(rows, key=lambda row: -row.n)


def _number(value: object) -> float | None:
    """A group's key; NaN, where the timeout is not known, as None."""
    number = float(str(value))
    return None if np.isnan(number) else number


def _waited_s(lives: pd.DataFrame, director: Director) -> pd.Series:
    """The timeout that each entry waited, seconds: as replayed, else as configured."""
    kinds = pd.MultiIndex.from_arrays([protocols(lives), lives["state"]])
    reported_s = {
        kind: configured_s(director, str(kind[1]), str(kind[0])) for kind in kinds.unique()
    }
    configured = pd.Series([reported_s[kind] for kind in kinds], index=lives.index, dtype="float64")
    if "timeout_s" not in lives:
        return configured.rename("waited_s")
    names = lives["predicted_state"].map({int(state): state.name for state in State})
    told = configured.notna() & (names == lives["state"])
    return configured.where(~told, lives["timeout_s"]).rename("waited_s")


def _lifetime(
    row: Lifetime,
    group: pd.DataFrame,
    clock: DirectorClock,
    phase: TimerPhase | None,
    hz: int | None,
    slack_s: float,
) -> Lifetime:
    if "lived_s" in group:
        row = with_bounds(row, group)
    gone = seen_to_go(group)
    row = replace(row, n_expired=len(gone))
    dated = gone[gone["last_ns"].notna()]
    if dated.empty:
        return row
    lived_s, half_s = lived_spans_s(dated)
    return replace(
        row,
        lifetime_s=Spread(
            mean=float(lived_s.mean()),
            min=float(lived_s.min()),
            max=float(lived_s.max()),
            uncertainty=float(half_s.max()) + slack_s,
        ),
        timeout_measured_s=narrowest(
            row.timeout_measured_s, _by_expiries(gone, clock, phase, hz, slack_s)
        ),
        prediction_error_s=_prediction_error(
            dated, midway_ns(dated["seen_ns"], dated["gone_by_ns"])
        ),
    )


def _by_expiries(
    gone: pd.DataFrame,
    clock: DirectorClock,
    phase: TimerPhase | None,
    hz: int | None,
    slack_s: float,
) -> Estimate | None:
    """The timeout by when entries went after packets that no timeout was needed to date."""
    if "window_ns" in gone:
        gone = gone[gone["window_ns"].notna()]
        gone = gone.assign(last_ns=gone["window_ns"])
        slack_s += float(gone["window_half_s"].max()) if len(gone) else 0.0
    if gone.empty:
        return None
    look_s = seconds_since(gone["gone_by_ns"], gone["seen_ns"])
    lived_s = seconds_since(midway_ns(gone["seen_ns"], gone["gone_by_ns"]), gone["last_ns"])
    uncertainty_s = float(look_s.max()) / 2 + slack_s
    return measured_timeout(sightings_of(gone, clock), lived_s, hz, phase, slack_s, uncertainty_s)


def with_bounds(row: Lifetime, group: pd.DataFrame) -> Lifetime:
    """A group's row with what its entries' expire columns say of its timeout."""
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
    """The one that is known most closely."""
    known = [estimate for estimate in estimates if estimate]
    return min(known, key=lambda estimate: estimate.uncertainty, default=None)


def sightings_of(gone: pd.DataFrame, clock: DirectorClock) -> Sightings:
    """Lives that ended, on the director's clock."""
    waited = gone["timeout_s"] if "timeout_s" in gone else pd.Series(np.nan, index=gone.index)
    return Sightings(
        last_s=clock.uptime_s(gone["last_ns"].to_numpy(dtype=np.int64)),
        timeout_s=np.asarray(waited, dtype=np.float64),
        seen_s=clock.uptime_s(gone["seen_ns"].to_numpy(dtype=np.int64)),
        gone_s=clock.uptime_s(gone["gone_by_ns"].to_numpy(dtype=np.int64)),
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
"""Of the states of other protocols: SCTP's one that counts as active."""


def _prediction_error(gone: pd.DataFrame, middle_ns: Ints) -> ErrorSpread | None:
    if "ends_ns" not in gone or gone["ends_ns"].isna().all():
        return None
    error_s = seconds_since(gone["ends_ns"], middle_ns)
    return ErrorSpread(mean=float(error_s.mean()), max=float(np.abs(error_s).max()))
