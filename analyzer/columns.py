"""Texts of long tables as numbers, of which each is there once (pandas' categories)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    Codes = npt.NDArray[Any]


def code_type(count: int) -> np.dtype[Any]:
    """The type that pandas has for the numbers of so many texts."""
    kinds = (np.int8, np.int16, np.int32)
    return np.dtype(next((kind for kind in kinds if count < np.iinfo(kind).max), np.int64))


def distinct(texts: Iterable[str]) -> list[str]:
    """Each text once, in order of the first."""
    return list(dict.fromkeys(texts))


def places(texts: Sequence[str]) -> Codes:
    """The place of each text in ``distinct`` of them."""
    names = distinct(texts)
    return np.array([names.index(text) for text in texts], dtype=code_type(len(names)))


def named(codes: Codes, names: Sequence[str]) -> pd.Series:
    """The texts of numbers, -1 for none; the numbers are not copied.

    Args:
        codes: of ``code_type(len(names))``; shape (n,).
        names: each once.
    """
    kind = pd.CategoricalDtype(pd.Index(list(names), dtype="str"))
    return pd.Series(pd.Categorical.from_codes(codes, dtype=kind, validate=False), copy=False)
