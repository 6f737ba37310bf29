"""Which timeout governs the decay of InActConn, and what it measures.

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
from analyzer.estimate.timeout import measured_timeout
from analyzer.ipvs.states import (
    TIMEOUT_NAMES,
    State,
    active_states,
)
from analyzer.ipvs.timers import granule_s
from analyzer.observed.ends import kinds_of, lifetimes_s, poll_gap_s, protocols, seen_to_end
from analyzer.predicted.entries import TIMER, groups_of_timed
from analyzer.predicted.phase import Sightings
from analyzer.recording.clock import REACTION_S
from analyzer.recording.instants import midway_ns, seconds_since
from analyzer.results import ErrorSpread, Estimate, Lifetime, Spread

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from analyzer.ipvs.timers import TimerPhase
    from analyzer.recording.clock import DirectorClock
    from analyzer.recording.director import Director

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]


def lifetimes(
    tracked: pd.DataFrame,
    director: Director,
    clock: DirectorClock,
    phase: TimerPhase | None,
    *,
    last_packet_uncertainty_s: float,
) -> list[Lifetime]:
    """One row for each protocol, state and timeout that entries ended in, the largest group first.

    Args:
        tracked: this director's tracked entries, from ``join``, or ``entry_timers`` where nothing
            but entries is known; those of ``join`` that have no last packet are left out.
        director: its facts.
        clock: its clock.
        phase: of its timers, read or inferred; None where not known.
        last_packet_uncertainty_s: how well ``last_ns`` is known; 0 from a capture, and where
            ``lifetime_half_s`` gives it for each entry.
    """
    known, keys = group_keys(tracked, director)
    slack_s = clock.uncertainty_s + last_packet_uncertainty_s
    rows = [
        _lifetime(
            group_row(director, str(state), number_of(waited_s), len(group), str(protocol)),
            group,
            clock,
            phase,
            director.hz,
            slack_s,
        )
        for (protocol, state, waited_s), group in known.groupby(keys, sort=False, dropna=False)
    ]
    return sorted(rows, key=lambda row: -row.n)


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


def _lifetime(
    row: Lifetime,
    group: pd.DataFrame,
    clock: DirectorClock,
    phase: TimerPhase | None,
    hz: int | None,
    slack_s: float,
) -> Lifetime:
    if "lifetime_s" in group:
        row = with_bounds(row, group)
    ended = seen_to_end(group)
    row = replace(row, n_expired=len(ended))
    dated = ended[ended["last_ns"].notna()]
    if dated.empty:
        return row
    estimate = narrowest(row.timeout_measured_s, _by_expiries(ended, clock, phase, hz, slack_s))
    return as_seen(row, dated, estimate, slack_s)


def as_seen(
    row: Lifetime, ended: pd.DataFrame, estimate: Estimate | None, slack_s: float
) -> Lifetime:
    """A group with the lifetimes that polls saw of it, and by how much predictions missed them.

    Args:
        row: the group.
        ended: those of ``seen_to_end`` whose last packet is known, at least one.
        estimate: of their timeout.
        slack_s: how well the clocks and the last packets are known.
    """
    lifetime_s, half_s = lifetimes_s(ended)
    return replace(
        row,
        lifetime_s=spread_of(lifetime_s, float(half_s.max()) + slack_s),
        timeout_measured_s=estimate,
        prediction_error_s=prediction_error(
            ended, midway_ns(ended["seen_ns"], ended["absent_by_ns"])
        ),
    )


def spread_of(values_s: Floats, uncertainty_s: float) -> Spread:
    """The mean and the extremes of some values, at least one."""
    return Spread(
        mean=float(values_s.mean()),
        min=float(values_s.min()),
        max=float(values_s.max()),
        uncertainty=uncertainty_s,
    )


def _by_expiries(
    ended: pd.DataFrame,
    clock: DirectorClock,
    phase: TimerPhase | None,
    hz: int | None,
    slack_s: float,
) -> Estimate | None:
    """The timeout by the expiries after packets that no timeout was needed to date."""
    if "window_ns" in ended:
        ended = ended[ended["window_ns"].notna()]
        ended = ended.assign(last_ns=ended["window_ns"])
        slack_s += float(ended["window_half_s"].max()) if len(ended) else 0.0
    if ended.empty:
        return None
    lifetime_s = seconds_since(midway_ns(ended["seen_ns"], ended["absent_by_ns"]), ended["last_ns"])
    uncertainty_s = float(poll_gap_s(ended).max()) / 2 + slack_s
    return measured_timeout(
        [sightings_of(ended, clock)], lifetime_s, hz, phase, slack_s, uncertainty_s
    )


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


def prediction_error(ended: pd.DataFrame, middle_ns: Ints) -> ErrorSpread | None:
    """Predicted less observed expiries; None where none was predicted.

    Args:
        ended: entries that were seen to expire, with ``ends_ns`` where that was predicted.
        middle_ns: between the two polls about each expiry; shape (ended,).
    """
    if "ends_ns" not in ended or ended["ends_ns"].isna().all():
        return None
    error_s = seconds_since(ended["ends_ns"], middle_ns)
    return ErrorSpread(mean=float(error_s.mean()), max=float(np.abs(error_s).max()))
