"""Instants and lengths that are known between two bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.recording.clock import REACTION_S
from analyzer.recording.instants import seconds_since
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

SLACK_S = REACTION_S + 0.01  # a jiffy at HZ 100
"""Bounds that miss each other by less than this do not contradict each other."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """An instant or a length of each entry, between two bounds in seconds; shape (n,)."""

    low: Floats
    high: Floats

    def within(self, other: Bounds) -> Bounds:
        """What both allow; this one where they contradict each other."""
        low, high = np.maximum(self.low, other.low), np.minimum(self.high, other.high)
        agree = low <= high + SLACK_S
        return Bounds(
            np.where(agree, np.minimum(low, high), self.low),
            np.where(agree, np.maximum(low, high), self.high),
        )

    def middle(self) -> Floats:
        """NaN where it is open."""
        return self._closed((self.low + self.high) / 2)

    def half(self) -> Floats:
        """Half its width; NaN where it is open."""
        return self._closed((self.high - self.low) / 2)

    def _closed(self, values: Floats) -> Floats:
        return np.where(np.isfinite(self.low) & np.isfinite(self.high), values, np.nan)


def seconds(column: pd.Series, zero_ns: int) -> Floats:
    """Seconds since an instant; NaN where there is none."""
    known = column.notna().to_numpy(dtype=bool)
    found = np.full(len(column), np.nan)
    found[known] = seconds_since(column[known], zero_ns)
    return found


def instants(span: Bounds, zero_ns: int) -> pd.Series:
    """The middle of each span as an instant; <NA> where it is open."""
    middle_s = span.middle()
    open_ = np.isnan(middle_s)
    at_ns = zero_ns + np.rint(np.where(open_, 0, middle_s) * NS_PER_S).astype(np.int64)
    return pd.Series(pd.arrays.IntegerArray(at_ns, open_))
