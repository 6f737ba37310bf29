"""Bounds of a prediction: entries that may end sooner or later than predicted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from analyzer.ipvs.timers import granule_s
from analyzer.predicted.entries import TIMER
from analyzer.units import KNOWN_HZ, NS_PER_S

if TYPE_CHECKING:
    from analyzer.predicted.entries import Prediction


def earliest_and_latest(
    prediction: Prediction, hz: int | None, timeout_s: float, *, phase_known: bool
) -> list[Prediction]:
    """The earliest and the latest ends that are possible; none where the ends are known.

    Args:
        prediction: one director's.
        hz: its jiffies per second, if known.
        timeout_s: how well the timeouts are known that it uses; 0 where they were read.
        phase_known: whether the phase of its timers is known: then no end is late by a granule.
    """
    if phase_known and not timeout_s:
        return []
    entries = prediction.entries
    timed = (entries["cause"] == TIMER).to_numpy(dtype=bool)
    granules = {
        value: max(granule_s(float(value), known_hz) for known_hz in ((hz,) if hz else KNOWN_HZ))
        for value in entries["timeout_s"].unique()
    }
    late_s = entries["timeout_s"].map(granules).to_numpy(dtype=np.float64)
    ends_ns = entries["ends_ns"].to_numpy(dtype=np.int64)

    def moved(by_s: float | np.ndarray[tuple[int], np.dtype[np.float64]]) -> Prediction:
        by_ns = np.where(timed, np.rint(np.asarray(by_s) * NS_PER_S), 0).astype(np.int64)
        return replace(prediction, entries=entries.assign(ends_ns=ends_ns + by_ns))

    return [moved(-timeout_s), moved(timeout_s + (0.0 if phase_known else late_s))]
