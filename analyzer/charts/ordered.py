"""Order statistics of values of any number, exact, in bounded memory.

The values are kept in sorted runs of a part each (in mapped files, if they are many). What has a
given rank is found by bisection over all runs together, a float being one of 2^64, until few values
are left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analyzer.charts.long_columns import known
from analyzer.parts.mapped import release

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy.typing as npt

    from analyzer.arrays import Floats, Ints

    Keys = npt.NDArray[np.uint64]

_SIGN = np.uint64(1 << 63)
_RUNS_IN_MEMORY = 16
_COLLECTED = 1 << 20
"""So few values, for all ranks together, are taken out and put in order."""


@dataclass(frozen=True, slots=True)
class Ordered:
    """Known values, as if in ascending order.

    Attributes:
        runs: each ascending, without NaN; none is empty.
    """

    runs: tuple[Floats, ...]

    @classmethod
    def of(cls, values: Floats | Ordered) -> Ordered:
        """The known ones of some values, sorted in memory; of such a set, itself."""
        if isinstance(values, Ordered):
            return values
        return cls.of_runs(np.sort(part) for part in known(values))

    @classmethod
    def of_runs(cls, runs: Iterable[Floats]) -> Ordered:
        """The values of sorted runs."""
        return cls(tuple(run for run in runs if len(run)))

    def __len__(self) -> int:
        return sum(map(len, self.runs))

    @property
    def least(self) -> float:
        """The smallest value; there must be one."""
        return min(float(run[0]) for run in self.each_run())

    @property
    def largest(self) -> float:
        """The largest value; there must be one."""
        return max(float(run[-1]) for run in self.each_run())

    def below(self, limit: float) -> int:
        """How many values are smaller than this."""
        return sum(int(np.searchsorted(run, limit)) for run in self.each_run())

    def above(self, limit: float) -> Ordered:
        """The values that are larger than this."""
        return Ordered.of_runs(
            run[np.searchsorted(run, limit, side="right") :] for run in self.each_run()
        )

    def each_run(self) -> Iterator[Floats]:
        """The runs one after another; those in files are out of memory again some runs later."""
        for number, run in enumerate(self.runs):
            yield run
            if number % _RUNS_IN_MEMORY == _RUNS_IN_MEMORY - 1:
                release(run)

    def at(self, ranks: Ints | Sequence[int]) -> Floats:
        """The values of these ranks, 0 the smallest; shape of ``ranks``, each below the number."""
        wanted = np.asarray(ranks, dtype=np.int64)
        if len(self.runs) == 1:
            return np.asarray(self.runs[0][wanted])
        different, place = np.unique(wanted, return_inverse=True)
        return self._at(different)[place.reshape(wanted.shape)]

    def higher(self, *percents: float) -> list[float]:
        """Percentiles as ``np.percentile(…, method="higher")`` gives them: some values."""
        places = (len(self) - 1) * np.true_divide(percents, 100)
        found: list[float] = self.at(np.ceil(places).astype(np.int64)).tolist()
        return found

    def quantile(self, share: float) -> float:
        """A quantile as ``np.quantile`` gives it, between two values."""
        place = (len(self) - 1) * np.float64(share)
        before = int(np.floor(place))
        low, high = self.at([before, min(before + 1, len(self) - 1)])
        weight = place - before
        apart = high - low
        return float(high - apart * (1 - weight) if weight >= 1 / 2 else low + apart * weight)

    def _at(self, ranks: Ints) -> Floats:
        """The values of ascending ranks: the smallest floats that so many do not exceed.

        Each lies from ``low`` to ``high``, ``under`` values lie below that and ``up_to`` not above.
        """
        if not len(ranks):
            return np.zeros(0)
        low = np.full(len(ranks), _key(np.array([self.least]))[0])
        high = np.full(len(ranks), _key(np.array([self.largest]))[0])
        under, up_to = np.zeros(len(ranks), dtype=np.int64), np.full(len(ranks), len(self))
        while int((up_to - under)[low < high].sum()) > _COLLECTED:
            middle = low + (high - low) // np.uint64(2)
            count = self._up_to(_value(middle))
            enough, is_open = count > ranks, low < high
            high = np.where(is_open & enough, middle, high)
            up_to = np.where(is_open & enough, count, up_to)
            low = np.where(is_open & ~enough, middle + np.uint64(1), low)
            under = np.where(is_open & ~enough, count, under)
        found = _value(low)
        is_open = low < high
        if is_open.any():
            ends = _value(low[is_open]), _value(high[is_open])
            found[is_open] = self._between(*ends, ranks[is_open])
        return found + 0.0  # -0 is no smaller than 0, and is found before it

    def _between(self, low: Floats, high: Floats, ranks: Ints) -> Floats:
        """The values of these ranks, each known to lie from ``low`` to ``high``."""
        places, values, rows = ranks.copy(), [np.zeros(0)], [np.zeros(0, dtype=np.int64)]
        for run in self.each_run():
            first = np.searchsorted(run, low, side="left")
            counts = np.searchsorted(run, high, side="right") - first
            places -= first
            row = np.repeat(np.arange(len(low)), counts)
            starts = np.cumsum(counts) - counts
            values.append(run[np.arange(len(row)) - starts[row] + first[row]])
            rows.append(row)
        value, row = np.concatenate(values), np.concatenate(rows)
        in_order = np.lexsort((value, row))
        begins = np.searchsorted(row[in_order], np.arange(len(low)))
        return np.asarray(value[in_order][begins + places])

    def _up_to(self, limits: Floats) -> Ints:
        """How many values are no larger than each limit; shape of ``limits``."""
        total = np.zeros(len(limits), dtype=np.int64)
        for run in self.each_run():
            total += np.searchsorted(run, limits, side="right")
        return total


def _key(values: Floats) -> Keys:
    """Numbers in the order of the values."""
    bits = (values + 0.0).view(np.uint64)  # 0 for -0
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


def _value(keys: Keys) -> Floats:
    return np.where(keys & _SIGN, keys ^ _SIGN, ~keys).view(np.float64)
