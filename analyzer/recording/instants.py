"""Arithmetic on instants, Unix nanoseconds of about 1.8e18, that loses none of them.

A float64 holds such a number to 256 ns only, so two instants that are equal may no longer be so
once one of them has been a float. Instants are therefore ``int64`` (``Int64`` where some are
missing) until they have been subtracted from each other; the difference may be a float.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]


def seconds_since(at_ns: Ints | pd.Series, zero_ns: Ints | pd.Series | int) -> Floats:
    """Seconds from one instant to others; none of them missing.

    Args:
        at_ns: Unix nanoseconds; shape (n,).
        zero_ns: likewise; one, or of shape (n,).
    """
    return np.asarray((_whole(at_ns) - _whole(zero_ns)) / NS_PER_S, dtype=np.float64)


def midway_ns(earlier_ns: Ints | pd.Series, later_ns: Ints | pd.Series) -> Ints:
    """The instants in the middle of two each, rounded down; shape (n,), none missing."""
    earlier = _whole(earlier_ns)
    return np.asarray(earlier + (_whole(later_ns) - earlier) // 2, dtype=np.int64)


def latest_row(flow: Ints, since_ns: Ints, of_flow: Ints, by_ns: Ints) -> Ints:
    """Of each wanted flow the last row that began by an instant; -1 where none had; shape (n,).

    Args:
        flow: of each row, ascending; shape (rows,).
        since_ns: when each row began, ascending within its flow.
        of_flow: the wanted flows; shape (n,).
        by_ns: the instant for each.
    """
    first = np.searchsorted(flow, of_flow, side="left")
    low, high = first.copy(), np.searchsorted(flow, of_flow, side="right")
    while (open_rows := np.flatnonzero(low < high)).size:  # halved until each has its place
        middle = (low[open_rows] + high[open_rows]) // 2
        begun = since_ns[middle] <= by_ns[open_rows]
        low[open_rows] = np.where(begun, middle + 1, low[open_rows])
        high[open_rows] = np.where(begun, high[open_rows], middle)
    return np.where(low > first, low - 1, -1)


def _whole(at_ns: Ints | pd.Series | int) -> Ints:
    return np.asarray(at_ns, dtype=np.int64)
