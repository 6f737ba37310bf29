"""How long each entry lasted after its last packet, beside the timeout that governs it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from analyzer.charts.values import LifetimeSamples
from analyzer.observed.ends import (
    lifetimes_s,
    poll_gap_s,
    protocols,
    widest_gap_s,
    with_end,
)
from analyzer.predicted.entries import TIMER, state_number
from analyzer.recording.instants import seconds_since

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import pandas as pd

    from analyzer.measured import Measured
    from analyzer.observed.parted import Parted
    from analyzer.results import Lifetime

    Floats = npt.NDArray[np.float64]


def lifetime_samples(measured: Sequence[Measured]) -> tuple[LifetimeSamples, ...]:
    """Lifetime samples for each group of entries with the same last state and timeout."""
    groups = [_of_group(result, row) for result in measured for row in result.lifetimes]
    return tuple(group for group in groups if group.observed_s.size or group.predicted_s.size)


def _of_group(result: Measured, row: Lifetime) -> LifetimeSamples:
    return LifetimeSamples(
        director=row.director,
        state=row.state,
        timeout_name=row.timeout_name,
        timeout_s=row.timeout_s,
        granule_s=row.granule_s,
        tcpfin_s=result.director.timeouts.tcpfin_s if result.director.timeouts else None,
        observed_s=_observed(result.tracked, row),
        predicted_s=_predicted(result, row),
        uncertainty_s=row.lifetime_s.uncertainty if row.lifetime_s else 0.0,
    )


def _observed(tracked: Parted, row: Lifetime) -> Floats:
    """Observed lifetimes: from the last packet to the middle of the two polls around the end."""
    if not row.n_expired or tracked.empty:
        return np.array([], dtype=np.float64)
    widest_s = widest_gap_s(poll_gap_s(with_end(_of_row(part, row))) for part in tracked)
    return tracked.column(partial(_lasted_s, row=row, widest_s=widest_s))


def _lasted_s(tracked: pd.DataFrame, row: Lifetime, widest_s: float) -> Floats:
    ended = with_end(_of_row(tracked, row))
    return lifetimes_s(ended)[0][poll_gap_s(ended) <= widest_s]


def _of_row(tracked: pd.DataFrame, row: Lifetime) -> pd.DataFrame:
    """The entries of a group whose last packet is known."""
    seen = tracked[(tracked["state"] == row.state) & tracked["last_ns"].notna()]
    if row.protocol is not None:
        seen = seen[protocols(seen) == row.protocol]
    if "cause" in seen:
        seen = seen[seen["cause"].fillna(TIMER) == TIMER]
    if "timeout_s" in seen and row.timeout_s is not None:
        seen = seen[seen["timeout_s"].fillna(row.timeout_s) == row.timeout_s]
    return seen


def _predicted(result: Measured, row: Lifetime) -> Floats:
    number = state_number(row.state)
    if result.prediction is None or number is None:
        return np.array([], dtype=np.float64)
    writer = result.prediction.store.columns()
    for entries in result.prediction.entry_parts():
        chosen = (entries["state"] == number) & (entries["cause"] == TIMER)
        if row.timeout_s is not None:
            chosen &= entries["timeout_s"] == row.timeout_s
        rows = entries[chosen]
        writer.append({"lifetime_s": seconds_since(rows["ends_ns"], rows["last_ns"])})
    return writer.finish()["lifetime_s"]
