"""The changes of several real servers' entries, all taken out as a director's are read once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.ipvs.addresses import CONNECTION_KEY
from analyzer.observed.entries import ns
from analyzer.observed.parted import ROWS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from analyzer.arrays import Bools


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A real server's entries.

    Attributes:
        has: which changes are theirs.
        since_ns: entries that were removed up to then do not count, Unix time.
    """

    has: Callable[[pd.DataFrame], Bools]
    since_ns: int


def changes_of_each(
    changes: Iterable[pd.DataFrame], wanted: Sequence[Wanted], most_rows: int = ROWS
) -> list[pd.DataFrame]:
    """The changes that each of some real servers' entries went through, in memory.

    Args:
        changes: a director's, as recorded, in parts; at least one.
        wanted: the real servers.
        most_rows: where there are more, those of entries that do not count are left out.
    """
    held = [_Held(one, most_rows) for one in wanted]
    for part in changes if held else ():
        for one in held:
            one.add(part)
    return [one.rows() for one in held]


@dataclass(slots=True)
class _Held:
    """The rows of one real server so far.

    Attributes:
        limit: of rows, at which what does not count is looked for.
    """

    wanted: Wanted
    limit: int
    parts: list[pd.DataFrame] = field(default_factory=list)
    count: int = 0

    def add(self, part: pd.DataFrame) -> None:
        """Take a part's rows."""
        self.parts.append(part[self.wanted.has(part)])
        self.count += len(self.parts[-1])
        if self.count > self.limit:
            self.parts = [_that_count(self.rows(), self.wanted.since_ns)]
            self.count = len(self.parts[0])
            self.limit = max(self.limit, 2 * self.count)

    def rows(self) -> pd.DataFrame:
        """All of them."""
        some = [rows for rows in self.parts if len(rows)] or self.parts[:1]
        return some[0] if len(some) == 1 else pd.concat(some, ignore_index=True)


def _that_count(rows: pd.DataFrame, since_ns: int) -> pd.DataFrame:
    """The rows without those of entries that were removed up to an instant and did not return."""
    keys = rows.groupby(list(CONNECTION_KEY), sort=False, dropna=False)
    number = keys.ngroup().to_numpy()
    is_last = ~pd.Series(number).duplicated(keep="last").to_numpy()
    ended = np.zeros(keys.ngroups, dtype=bool)
    ended[number[is_last]] = (rows["change"] == "gone").to_numpy(dtype=bool)[is_last]
    ended[number[ns(rows["at"]) > since_ns]] = False
    return rows[~ended[number]]
