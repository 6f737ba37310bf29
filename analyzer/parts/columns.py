"""Columns of long tables: texts as numbers (pandas' categories), and rows that are alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analyzer.parts import by_stretches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy.typing as npt

    from analyzer.arrays import Ints
    from analyzer.parts import Columns, Store

    Codes = npt.NDArray[Any]

_MIX = np.uint64(0x9E3779B1)


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


def columns_of(table: pd.DataFrame) -> Columns:
    """A table's columns; texts, which must be categories, as numbers."""
    return {
        str(name): codes_of(table[name])
        if isinstance(table[name].dtype, pd.CategoricalDtype)
        else table[name].to_numpy()
        for name in table
    }


def codes_of(texts: pd.Series) -> Codes:
    """The numbers of texts; not copied, as they would be by ``texts.cat.codes``."""
    categorical = texts.array
    assert isinstance(categorical, pd.Categorical)
    return np.asarray(categorical.codes)


def with_columns(table: pd.DataFrame, **columns: Codes | pd.Series) -> pd.DataFrame:
    """A table with other columns in place of its own; nothing is copied, as ``assign`` would."""
    own = {str(name): table[name] for name in table if name not in columns}
    made = pd.DataFrame({**own, **columns}, index=table.index, copy=False)
    return made[list(table)]


def table_of(columns: Columns, like: pd.DataFrame) -> pd.DataFrame:
    """The table of ``columns_of``; nothing is copied.

    Args:
        columns: of a table, or of several one after another.
        like: a table with the same columns and categories.
    """
    made: dict[str, Any] = {}
    for name in like:
        kind, column = like[name].dtype, columns[str(name)]
        if isinstance(kind, pd.CategoricalDtype):
            made[str(name)] = named(column, kind.categories.tolist())
        else:
            made[str(name)] = column
    return pd.DataFrame(made, copy=False)


@dataclass(frozen=True, slots=True)
class Numbering:
    """Values that get numbers as they come, in the order of the first of each."""

    numbers: dict[Any, int] = field(default_factory=dict)

    def numbers_of(self, values: Codes | pd.Series) -> npt.NDArray[np.int32]:
        """The number of each of some values; -1 for a missing one."""
        return _of_each(values, lambda value: self.numbers.setdefault(value, len(self.numbers)))

    def known_of(self, values: pd.Series) -> npt.NDArray[np.int32]:
        """The number of each of some values; -1 for a missing one, and for one that has none."""
        return _of_each(values, lambda value: self.numbers.get(value, -1))


def _of_each(values: Codes | pd.Series, number_of: Callable[[Any], int]) -> npt.NDArray[np.int32]:
    """A number of each value, asked for once; -1 for a missing one."""
    code, found = pd.factorize(values)
    return np.array([*map(number_of, found), -1], dtype=np.int32)[code]


def narrowed(codes: Codes, count: int, store: Store) -> Codes:
    """Numbers of so many texts, of the type that ``named`` needs."""
    kind = code_type(count)
    if codes.dtype == kind:
        return codes
    return by_stretches(store, len(codes), lambda rows: codes[rows].astype(kind))


def alike(columns: Sequence[Codes | pd.Series]) -> Ints:
    """A number for each row, the same for rows that are alike, in order of the first of each."""
    codes = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        numbers, found = pd.factorize(column, use_na_sentinel=False)
        codes, _ = pd.factorize(codes * max(len(found), 1) + numbers)
    return codes


def buckets_of(columns: Sequence[Codes], count: int) -> Ints:
    """One of so many buckets for each row, the same for rows that are alike.

    Args:
        columns: of whole numbers, at least one; shape (n,) each.
        count: of buckets.
    """
    mixed = np.zeros(len(columns[0]), dtype=np.uint64)
    for column in columns:
        mixed = (mixed + column.astype(np.uint64)) * _MIX
        mixed ^= mixed >> np.uint64(29)
    return (mixed >> np.uint64(8)).astype(np.int64) % count
