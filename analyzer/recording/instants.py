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
    if len(of_flow) * _ROWS_WORTH_A_KEY >= len(flow) > 0:
        keys = _keys(flow, since_ns, of_flow, by_ns)
        if keys is not None:
            row = np.searchsorted(*keys, side="right") - 1
            return np.where((row >= 0) & (flow[row] == of_flow), row, -1)
    return _by_halving(flow, since_ns, of_flow, by_ns)


_ROWS_WORTH_A_KEY = 8
"""For fewer wanted flows than one in so many rows, the rows are not gone through."""


def _keys(flow: Ints, since_ns: Ints, of_flow: Ints, by_ns: Ints) -> tuple[Ints, Ints] | None:
    """Each flow and instant as one number, of the rows and of what is wanted; None if too large."""
    first, last = int(flow[0]), int(flow[-1])
    before, latest = int(since_ns.min()) - 1, int(since_ns.max())
    width = latest - before + 1
    if (last - first + 1) * width > np.iinfo(np.int64).max:
        return None
    rows = (flow.astype(np.int64) - first) * width + (since_ns - before)
    wanted = (np.clip(of_flow.astype(np.int64), first, last) - first) * width
    return rows, wanted + (np.clip(by_ns, before, latest) - before)


def _by_halving(flow: Ints, since_ns: Ints, of_flow: Ints, by_ns: Ints) -> Ints:
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
