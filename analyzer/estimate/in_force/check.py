"""Timeouts that a sample of the entries shows, checked against all entries, part by part.

A timeout that was another one for a moment shows in few entries, of which a sample may have none,
or too few. So those that contradict what the sample shows are collected from all parts, and those
near a change, which say more closely when it was. The timeouts are then learnt again with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analyzer.estimate.in_force.readings import NAMES, STATE_OF, allowed_in_parts
from analyzer.observed.parted import Parted

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from analyzer.arrays import Bools, Ints
    from analyzer.estimate.in_force.model import InForce
    from analyzer.ipvs.states import SettableName
    from analyzer.observed.record import DirectorRecord
    from analyzer.predicted.entries import Prediction
    from analyzer.recording.director import Director

_MOST_VALUES = 64
"""Values in a row that an entry is compared with, the latest: polls far apart allow many."""

_UNKNOWN_S = -1
_EVER = np.iinfo(np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What all entries of a director say about timeouts that some of them showed.

    Attributes:
        rows: what is to be learnt from too, as ``readings.rows_read`` gives it: rows that
            contradict the timeouts, or are near a change; of very many a sample.
        counts: how many entries show each value of a timeout, in order of time; shape (values,).
    """

    rows: pd.DataFrame
    counts: dict[SettableName, Ints]


def check(
    in_force: InForce,
    director: Director,
    record: DirectorRecord,
    prediction: Prediction,
    slack_s: float,
) -> Check:
    """Check timeouts against all entries of a director, part by part.

    Args:
        in_force: the timeouts.
        director: its facts.
        record: its entries.
        prediction: its steps are the packets that belong to an entry.
        slack_s: how well the director's clock is known.
    """
    values = {name: _Values.of(in_force, name) for name in NAMES}
    counts = {name: np.zeros(len(each.low_s), dtype=np.int64) for name, each in values.items()}

    def wanted() -> Iterator[pd.DataFrame]:
        for rows, allowed in allowed_in_parts(director, record, prediction, slack_s):
            chosen = np.zeros(len(allowed), dtype=bool)
            for name, each in values.items():
                of_name = (allowed["state"] == STATE_OF[name].name).to_numpy(dtype=bool)
                shown = allowed[of_name]
                value = each.shown_by(shown)
                counts[name] += np.bincount(value[value >= 0], minlength=len(counts[name]))
                chosen[of_name] = (value < 0) | each.near_a_change(shown)
            yield rows.loc[allowed.index[chosen]]

    return Check(rows=Parted(wanted, prediction.store).some(), counts=counts)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Values:
    """The values of a timeout one after another; every array has shape (values,).

    Attributes:
        low_s, high_s: what is left open of each; ``_UNKNOWN_S`` of one that nothing shows.
        from_ns, until_ns: it may have been in force between; ascending. Each begins when the one
            before may have ended.
    """

    low_s: Ints
    high_s: Ints
    from_ns: Ints
    until_ns: Ints

    @classmethod
    def of(cls, in_force: InForce, name: SettableName) -> _Values:
        """Those of one timeout."""
        changes = [change for change in in_force.changes if change.name == name]
        start_s = _UNKNOWN_S if name in in_force.assumed else round(in_force.start_s(name))
        low_s, high_s = in_force.shown.get(name, (start_s, start_s))
        new_s = [round(change.value_s) for change in changes]
        from_ns = [_EVER.min, *(change.from_ns for change in changes)]
        until_ns = [*(change.until_ns for change in changes), _EVER.max]
        return cls(
            low_s=np.array([low_s, *new_s]),
            high_s=np.array([high_s, *new_s]),
            from_ns=np.minimum.accumulate(np.array(from_ns, dtype=np.int64)[::-1])[::-1],
            until_ns=np.maximum.accumulate(np.array(until_ns, dtype=np.int64)),
        )

    def shown_by(self, rows: pd.DataFrame) -> Ints:
        """The latest value that each row allows, all that is open of it; -1 for none."""
        last = np.searchsorted(self.from_ns, rows["until_ns"].to_numpy(), side="right") - 1
        first = np.searchsorted(self.until_ns, rows["from_ns"].to_numpy())
        first = np.maximum(first, last - _MOST_VALUES)
        low_s, high_s = rows["low_s"].to_numpy(), rows["high_s"].to_numpy()
        found = np.full(len(rows), -1)
        left, value = np.arange(len(rows)), last
        while len(left):
            allows = (low_s[left] <= self.low_s[value]) & (self.high_s[value] <= high_s[left])
            found[left[allows]] = value[allows]
            goes_on = ~allows & (value > first[left])
            left, value = left[goes_on], value[goes_on] - 1
        return found

    def near_a_change(self, rows: pd.DataFrame) -> Bools:
        """Which rows' last packets may have come within a change."""
        began = np.searchsorted(self.from_ns[1:], rows["until_ns"].to_numpy())
        over = np.searchsorted(self.until_ns[:-1], rows["from_ns"].to_numpy(), side="right")
        return np.asarray(began > over)
