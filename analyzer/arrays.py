"""Types of numpy arrays for annotations; shapes and units are in the docstrings. And a question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Collection

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_FEW = 16


def is_one_of(values: npt.NDArray[Any], known: Collection[int]) -> Bools:
    """Whether each of some numbers is a known one; shape (n,).

    Mostly one or two are known. Then a comparison with each takes a tenth of the time of
    ``np.isin``, which makes a table.
    """
    if len(known) > _FEW:
        return np.isin(values, list(known))
    found = np.zeros(len(values), dtype=bool)
    for number in known:
        found |= values == number
    return found


def first_of_runs(values: npt.NDArray[Any]) -> Ints:
    """Where the first value stands, and each that differs from the one before it."""
    differs = np.ones(len(values), dtype=bool)
    differs[1:] = values[1:] != values[:-1]
    return np.flatnonzero(differs)


def distinct(numbers: Ints) -> Ints:
    """Each number once, ascending; of ascending stretches sooner than ``np.unique``, by hashes."""
    ordered = np.sort(numbers, kind="stable")
    return ordered[first_of_runs(ordered)]
