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
