"""Requests by when they ended, in few bins however many there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from loadgen.engines.rows import NONE, Row
from reports.live import RequestCounts
from reports.traffic import BINS

if TYPE_CHECKING:
    from loadgen.engines.rows import Block

FINEST_S = 0.25
_ENDED, _ERROR, _FOLLOWED = (Row._fields.index(name) for name in ("ended", "error", "followed"))
_MOST = 2 * BINS
_RATE_BINS = 8
_NS = 1_000_000_000


class Rates:
    """Bins of a width that doubles whenever the run outgrows them."""

    def __init__(self, zero_ns: int) -> None:
        self._zero_ns = zero_ns
        self._width_s = FINEST_S
        self._counts = np.zeros((2, _MOST), np.int64)  # answered, failed

    def add(self, rows: Block) -> None:
        """Fold a block in."""
        rows = rows[(rows[:, _ENDED] != NONE) & (rows[:, _FOLLOWED] == NONE)]
        if not len(rows):
            return
        ended_s = np.maximum(rows[:, _ENDED] - self._zero_ns, 0) / _NS
        while ended_s.max() >= self._width_s * _MOST:
            self._widen()
        at = (ended_s / self._width_s).astype(np.int64)
        failed = rows[:, _ERROR] != NONE
        for number, which in enumerate((~failed, failed)):
            self._counts[number] += np.bincount(at[which], minlength=_MOST)

    def _widen(self) -> None:
        self._width_s *= 2
        halved = self._counts.reshape(2, _MOST // 2, 2).sum(axis=2)
        self._counts = np.pad(halved, ((0, 0), (0, _MOST - halved.shape[1])))

    def now_per_s(self) -> float:
        """The rate over the last few bins that are whole; 0 before there are as many."""
        per_bin = self._counts.sum(axis=0)
        used = np.flatnonzero(per_bin)
        if used.size <= _RATE_BINS:
            return 0.0
        last = int(used[-1])
        return float(per_bin[last - _RATE_BINS : last].sum() / (_RATE_BINS * self._width_s))

    def counts(self) -> RequestCounts:
        """As far as there are any."""
        used = np.flatnonzero(self._counts.any(axis=0))
        n = int(used[-1]) + 1 if used.size else 1
        answered, failed = self._counts[:, :n].copy()
        edges_s = np.arange(n + 1, dtype=np.float64) * np.float64(self._width_s)
        return RequestCounts(edges_s=edges_s, answered=answered, failed=failed)
