"""Entries in groups that waited for one timeout, and what polls saw of those that ended.

Of entries in several parts, those of a group that ended are kept by the store, and what is asked of
all of them is brought together part by part: to the last digit as in memory.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.observed.ends import lifetimes_s, poll_gap_s, seen_to_end, widest_gap_s, with_end
from analyzer.observed.parted import Kept, Parted
from analyzer.parts.summary import summary_of
from analyzer.recording.instants import midway_ns, seconds_since
from analyzer.results import ErrorSpread, Lifetime, Spread

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    import numpy.typing as npt

    from analyzer.arrays import Bools, Floats
    from analyzer.results import Estimate

    Key = tuple[Hashable, ...]
    Keyed = Callable[[pd.DataFrame], tuple[pd.DataFrame, list[pd.Series]]]

NEVER = np.iinfo(np.int64).max

_KEPT = (
    *("seen_ns", "absent_ns", "absent_by_ns", "last_ns", "lifetime_s", "lifetime_half_s"),
    *("window_ns", "window_half_s", "timeout_s", "ends_ns"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The entries of one key.

    Attributes:
        key: what they have in common.
        first: the first of them: what a group agrees on is the same in all.
        n: how many there are.
        first_ns: the last poll that had the first of them to end; ``NEVER`` if none ended.
        ended: those that ended between two polls no further apart than usual.
    """

    key: Key
    first: pd.DataFrame
    n: int
    first_ns: int
    ended: Parted

    @property
    def n_expired(self) -> int:
        """How many were seen to end."""
        return sum(map(len, self.ended))


def groups_of(tracked: Parted, keyed: Keyed) -> list[Group]:
    """The groups in the order in which the first entries of each ended.

    Args:
        tracked: one director's tracked entries.
        keyed: takes a part, and gives its entries that count, and the columns of their keys.
    """
    if tracked.is_one:
        known, keys = keyed(tracked.whole())
        groups = [
            Group(
                key=key,
                first=rows.iloc[:1],
                n=len(rows),
                first_ns=_first_ns(rows),
                ended=Parted.of(seen_to_end(rows)),
            )
            for key, rows in known.groupby(keys, sort=False, dropna=False)
        ]
        return _in_order(groups)
    growing: dict[Key, _Growing] = {}
    for part in tracked:
        known, keys = keyed(part)
        for key, rows in known.groupby(keys, sort=False, dropna=False):
            alike = _alike(key)
            if alike not in growing:
                growing[alike] = _Growing(key, rows.iloc[:1], Kept(tracked.store))
            growing[alike].add(rows)
    return _in_order([group.whole() for group in growing.values()])


def _in_order(groups: list[Group]) -> list[Group]:
    """Of two groups as large, that which ended first is to be named first."""
    return sorted(groups, key=lambda group: group.first_ns)


def _first_ns(rows: pd.DataFrame) -> int:
    return int(rows["seen_ns"].to_numpy(dtype=np.int64, na_value=NEVER).min(initial=NEVER))


def _alike(key: Key) -> Key:
    """A key that equals itself where it lacks a value: there may be several NaN."""
    return tuple(math.nan if value is pd.NA or value != value else value for value in key)


@dataclass(slots=True)
class _Growing:
    """A group of which more entries come."""

    key: Key
    first: pd.DataFrame
    kept: Kept
    n: int = 0
    first_ns: int = NEVER

    def add(self, rows: pd.DataFrame) -> None:
        self.n += len(rows)
        self.first_ns = min(self.first_ns, _first_ns(rows))
        self.kept.append(with_end(rows)[[name for name in _KEPT if name in rows]])

    def whole(self) -> Group:
        ended = self.kept.finish()
        usual = ended.only(partial(_is_usual, widest_s=widest_gap_s(map(poll_gap_s, ended))))
        return Group(key=self.key, first=self.first, n=self.n, first_ns=self.first_ns, ended=usual)


def _is_usual(rows: pd.DataFrame, widest_s: float) -> Bools:
    return poll_gap_s(rows) <= widest_s


def as_seen(row: Lifetime, ended: Parted, estimate: Estimate | None, slack_s: float) -> Lifetime:
    """A group with the lifetimes that polls saw of it, and by how much predictions missed them.

    Args:
        row: the group.
        ended: those of ``Group.ended`` whose last packet is known, at least one.
        estimate: of their timeout.
        slack_s: how well the clocks and the last packets are known.
    """
    half_s = np.max([lifetimes_s(part)[1].max(initial=0.0) for part in ended])
    return replace(
        row,
        lifetime_s=spread_of(map(_lifetime_s, ended), float(half_s) + slack_s),
        timeout_measured_s=estimate,
        prediction_error_s=_prediction_error(ended),
    )


def _lifetime_s(ended: pd.DataFrame) -> Floats:
    return lifetimes_s(ended)[0]


def spread_of(values_s: Iterable[Floats], uncertainty_s: float) -> Spread:
    """The mean and the extremes of some values, at least one, part by part."""
    found = summary_of(values_s)
    return Spread(mean=found.mean, min=found.least, max=found.most, uncertainty=uncertainty_s)


def _prediction_error(ended: Parted) -> ErrorSpread | None:
    """Predicted less observed expiries; None where none was predicted."""
    if not any("ends_ns" in part and part["ends_ns"].notna().any() for part in ended):
        return None
    found = summary_of(map(_error_s, ended))
    return ErrorSpread(mean=found.mean, max=max(found.most, -found.least))


def _error_s(ended: pd.DataFrame) -> npt.NDArray[np.float64]:
    return seconds_since(ended["ends_ns"], midway_ns(ended["seen_ns"], ended["absent_by_ns"]))
