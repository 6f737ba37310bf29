"""Arithmetic on instants, Unix nanoseconds of about 1.8e18, that loses none of them.

A float64 holds such a number to 256 ns only, so two instants that are equal may no longer be so
once one of them has been a float. Instants are therefore ``int64`` (``Int64`` where some are
missing) until they have been subtracted from each other; the difference may be a float.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

_NS = 1e9


def seconds_since(at_ns: Ints | pd.Series, zero_ns: Ints | pd.Series | int) -> Floats:
    """Seconds from one instant to others; none of them missing.

    Args:
        at_ns: Unix nanoseconds; shape (n,).
        zero_ns: likewise; one, or of shape (n,).
    """
    return np.asarray((_whole(at_ns) - _whole(zero_ns)) / _NS, dtype=np.float64)


def midway_ns(earlier_ns: Ints | pd.Series, later_ns: Ints | pd.Series) -> Ints:
    """The instants in the middle of two each, rounded down; shape (n,), none missing."""
    earlier = _whole(earlier_ns)
    return np.asarray(earlier + (_whole(later_ns) - earlier) // 2, dtype=np.int64)


def _whole(at_ns: Ints | pd.Series | int) -> Ints:
    return np.asarray(at_ns, dtype=np.int64)
