"""Lifetimes of a director of which packets and counters are known, and no entry was read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from analyzer.estimate.decay import group_row
from analyzer.estimate.falls.bounds import ExpiryBounds, Misfit, expiry_bounds
from analyzer.estimate.falls.counted import Services, counted_by_service
from analyzer.estimate.falls.timeout import timeout_of
from analyzer.estimate.groups import spread_of
from analyzer.estimate.state_timeouts import if_read
from analyzer.ipvs.states import State
from analyzer.predicted.entries import TIMER
from analyzer.results import Lifetime, NotMeasured, Spread

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from analyzer.predicted.entries import Prediction
    from analyzer.recording.clock import DirectorClock
    from analyzer.recording.director import Director

    Floats = npt.NDArray[np.float64]

_WIDE = 3.0
"""Times the median: entries that expired in a gap of the polls so long say little of their
lifetimes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallen:
    """Lifetimes by the falls of counters.

    Attributes:
        rows: the groups, the largest first; with a lifetime where one was measured.
        why_not: why a group has none.
    """

    rows: list[Lifetime]
    why_not: list[NotMeasured]

    @property
    def is_refused(self) -> bool:
        """Whether counters and packets were not to be brought together."""
        return bool(self.why_not) and not any(row.n_expired for row in self.rows)


def lifetimes_by_falls(
    prediction: Prediction,
    flows: pd.DataFrame,
    services: pd.DataFrame,
    director: Director,
    clock: DirectorClock,
) -> Fallen:
    """One row for each state and timeout that entries ended in, as ``decay.lifetimes``.

    Args:
        prediction: of this director.
        flows: ``Segments.flows``.
        services: the director's polls of services.
        director: its facts; HZ where it is known.
        clock: its clock.
    """
    uncertainty_s = clock.margin_s
    by_service = counted_by_service(prediction, flows, services, director, uncertainty_s)
    timed = prediction.entries[prediction.entries["cause"] == TIMER]
    groups = [
        (State(int(str(number))), float(str(waited_s)), group)
        for (number, waited_s), group in timed.groupby(["state", "timeout_s"], sort=False)
    ]
    rows, why_not = [], []
    for state, waited_s, group in sorted(groups, key=lambda kind: _is_read(director, kind[0])):
        known_s = if_read(director, state, waited_s)
        row = group_row(director, state.name, known_s, len(group))
        measured, misfits = _measured(row, group, by_service, director.hz, uncertainty_s)
        rows.append(measured)
        if known_s is None and measured.timeout_measured_s is not None:
            by_service = by_service.knowing(state, measured.timeout_measured_s)
        why_not += [_why(director, state, misfit) for misfit in misfits[:1]]
        if not by_service.has(group):
            why = "no counters of the service of these connections were polled, by its VIP and port"
            why_not.append(NotMeasured(what=why_unknown(state.name, director.name), why=why))
    return Fallen(rows=sorted(rows, key=lambda row: -row.n), why_not=why_not)


def _is_read(director: Director, state: State) -> bool:
    """Whether a state's timeout is known; those that are not are measured first, beside these."""
    return if_read(director, state, 0.0) is not None


def _measured(
    row: Lifetime, group: pd.DataFrame, by_service: Services, hz: int | None, uncertainty_s: float
) -> tuple[Lifetime, list[Misfit]]:
    bounds = [
        expiry_bounds(counted, last_s)
        for counted, last_s in by_service.counters(group, is_active=row.counted == "active")
    ]
    misfits = [row for row in bounds if isinstance(row, Misfit)]
    known = [row for row in bounds if isinstance(row, ExpiryBounds)]
    spread_and_count = _lifetime_spread(known, uncertainty_s)
    if spread_and_count is None:
        return row, misfits
    spread, n_expired = spread_and_count
    timeout = timeout_of(known, hz, uncertainty_s)
    return replace(row, n_expired=n_expired, lifetime_s=spread, timeout_measured_s=timeout), misfits


def _lifetime_spread(known: list[ExpiryBounds], uncertainty_s: float) -> tuple[Spread, int] | None:
    """The lifetimes of the entries that were seen to expire, and how many those are."""
    if not known:
        return None
    last_s, seen_s, absent_s = (
        np.concatenate([getattr(bounds, name) for bounds in known])
        for name in ("last_s", "seen_s", "absent_s")
    )
    has_expired = np.isfinite(absent_s)
    if not has_expired.any():
        return None
    poll_gap_s = (absent_s - seen_s)[has_expired]
    narrow = poll_gap_s <= _WIDE * np.median(poll_gap_s)
    lifetimes_s = ((absent_s + seen_s)[has_expired] / 2 - last_s[has_expired])[narrow]
    half_s = float(poll_gap_s[narrow].max()) / 2
    return spread_of([lifetimes_s], half_s + uncertainty_s), int(has_expired.sum())


def _why(director: Director, state: State, misfit: Misfit) -> NotMeasured:
    when = f"{misfit.at_s:.0f} s after the first poll"
    if misfit.too_many:
        why = (
            f"the counters held {misfit.entries} entries more than the captured packets account "
            f"for ({when}): entries of connections that the capture does not show"
        )
    else:
        why = (
            f"the captured packets account for {misfit.entries} entries more than the counters "
            f"held ({when}): not all of these connections are this director's, or the counters "
            "leave some out"
        )
    return NotMeasured(what=why_unknown(state.name, director.name), why=why)


def why_unknown(state: str, director: str) -> str:
    """What ``NotMeasured`` names where the counters do not say how long entries last."""
    return f"lifetimes in {state} on {director}, by counters"
