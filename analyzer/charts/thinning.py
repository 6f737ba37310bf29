"""Thinning of long curves to few points, always with their extremes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from tsdownsample import MinMaxLTTBDownsampler

from analyzer.arrays import distinct
from analyzer.parts import stretches

if TYPE_CHECKING:
    import numpy.typing as npt

    from analyzer.parts import Store

    Numbers = npt.NDArray[np.float64] | npt.NDArray[np.int64]
    Indices = npt.NDArray[np.intp]


LONG = 1 << 20
"""Values of a curve that is long: of it the extremes of ``BINS`` bins are kept, and no more."""

BINS = 1 << 15

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


def lowest_and_highest(values: Numbers, store: Store) -> Indices:
    """The first, lowest and highest of each of ``BINS`` bins, and the last; of a long curve.

    Args:
        values: of a step curve, without gaps; shape (n,).
        store: what keeps them.
    """
    width = -(-len(values) // BINS)
    in_bins = max(store.part_rows // width, 1) * width
    places: list[Indices] = []
    for rows in stretches(len(values), in_bins):
        places.append(_edges(values[rows], width) + rows.start)
        store.release()
    return distinct(np.concatenate([*places, [len(values) - 1]]))


def _edges(values: Numbers, width: int) -> Indices:
    """The places of the first, the lowest and the highest in each bin of some values."""
    starts = np.arange(0, len(values), width)
    padded = np.pad(values, (0, -len(values) % width), mode="edge").reshape(-1, width)
    lowest, highest = padded.argmin(axis=1), padded.argmax(axis=1)
    places = np.concatenate([starts, starts + lowest, starts + highest])
    return np.asarray(np.minimum(places, len(values) - 1))
