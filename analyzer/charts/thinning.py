"""Thinning of long curves to few points, always with their extremes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from tsdownsample import MinMaxLTTBDownsampler

if TYPE_CHECKING:
    import numpy.typing as npt

    Numbers = npt.NDArray[np.float64] | npt.NDArray[np.int64]
    Indices = npt.NDArray[np.intp]


_BY_EXTREMES = MinMaxLTTBDownsampler()  # type: ignore[no-untyped-call] # it ships half its types


def kept(values: Numbers, *, points: int) -> Indices:
    """Indices of about ``points`` values, ascending; all of them where there are no more.

    First and last, the lowest and the highest, and every gap (NaN) stay. What lies between is
    chosen by MinMaxLTTB (Van Der Donckt et al., 2023): the extremes of many bins, and of those
    the ones that keep the curve's shape.

    Args:
        values: shape (n,), evenly spaced or nearly so.
        points: at least 4.
    """
    if values.size <= points:
        return np.arange(values.size)
    known = np.flatnonzero(~np.isnan(values))
    if known.size <= points:
        return np.arange(values.size)
    of_known = np.ascontiguousarray(values[known], dtype=np.float64)
    chosen = _BY_EXTREMES.downsample(of_known, n_out=points).astype(np.intp)
    extremes = [of_known.argmin(), of_known.argmax()]
    gaps = np.flatnonzero(np.isnan(values))
    return np.unique(np.concatenate([known[chosen], known[extremes], gaps]))
