"""Requests by when they ended, in few bins however many there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analyzer.client.samples import carries_rate
from analyzer.units import NS_PER_S
from loadgen.load.engines.rows import NONE, Row
from reports.charts.traffic import BINS
from reports.live.page import RequestCounts

if TYPE_CHECKING:
    from loadgen.load.engines.rows import Block

FINEST_S = 0.25
_ENDED, _ERROR, _FOLLOWED = (Row._fields.index(name) for name in ("ended", "error", "followed"))
_MOST = 2 * BINS
_RATE_BINS = 8
LONGEST_S = 10.0
"""What ended longer ago is not of late, unless the bins themselves are so wide."""


class RequestRates:
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
        ended_s = np.maximum(rows[:, _ENDED] - self._zero_ns, 0) / NS_PER_S
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

    def now_per_s(self, now_s: float) -> tuple[float, float] | None:
        """The rate of late, and the seconds up to now that it was taken over.

        Over as many whole bins as hold enough requests; None where too few ended within the last
        ``LONGEST_S``, as they do soon after the load has ended.

        Args:
            now_s: since the run's start.
        """
        per_bin = self._counts.sum(axis=0)
        end = min(max(int(now_s / self._width_s), 0), len(per_bin))
        bins = _RATE_BINS
        while bins <= end and (bins == _RATE_BINS or bins * self._width_s <= LONGEST_S):
            ended = int(per_bin[end - bins : end].sum())
            span_s = bins * self._width_s
            if carries_rate(ended, span_s):
                return ended / span_s, span_s
            bins *= 2
        return None

    def counts(self) -> RequestCounts:
        """As far as there are any."""
        used = np.flatnonzero(self._counts.any(axis=0))
        n = int(used[-1]) + 1 if used.size else 1
        answered, failed = self._counts[:, :n].copy()
        edges_s = np.arange(n + 1, dtype=np.float64) * np.float64(self._width_s)
        return RequestCounts(edges_s=edges_s, answered=answered, failed=failed)
