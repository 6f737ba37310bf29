"""What has become of a burst so far: counts, errors by kind, lateness. It is folded from blocks."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from analyzer.units import NS_PER_S
from loadgen.load.engines.rows import NONE, Row, places_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadgen.load.engines.rows import Block
    from loadgen.load.plan import LoadPlan

_STARTED = Row._fields.index("started")
_SCHEDULED = Row._fields.index("scheduled")
_ERROR = Row._fields.index("error")
_NUMBER = Row._fields.index("number")
_FOLLOWED = Row._fields.index("followed")


class Tally:
    """Counts of requests that have ended.

    Attributes:
        ended: in all.
        errors: how many failed, by what they say.
        latest_ns: the longest that a request was begun after it was due.
        first_ns, last_ns: when the first and the last of them were begun, Unix ns; None before.
    """

    def __init__(self) -> None:
        self.ended = 0
        self.errors: Counter[str] = Counter()
        self.latest_ns = 0
        self.first_ns: int | None = None
        self.last_ns: int | None = None

    @property
    def failed(self) -> int:
        """How many of them failed."""
        return self.errors.total()

    @property
    def rate_per_s(self) -> float | None:
        """Requests begun a second; None before there are two instants."""
        if self.first_ns is None or self.last_ns is None or self.last_ns == self.first_ns:
            return None
        return self.ended / ((self.last_ns - self.first_ns) / NS_PER_S)

    def add(self, rows: Block, texts: Sequence[str]) -> None:
        """Fold a block in; a redirect that was followed has not ended its request."""
        rows = rows[rows[:, _FOLLOWED] == NONE]
        self.ended += len(rows)
        numbers, counts = np.unique(rows[:, _ERROR], return_counts=True)
        for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
            if number != NONE:
                self.errors[texts[number]] += count
        begun = rows[rows[:, _STARTED] != NONE]
        if len(begun):
            late_ns = int((begun[:, _STARTED] - begun[:, _SCHEDULED]).max())
            self.latest_ns = max(self.latest_ns, late_ns)
            first_ns, last_ns = int(begun[:, _STARTED].min()), int(begun[:, _STARTED].max())
            self.first_ns = min(first_ns, self.first_ns or first_ns)
            self.last_ns = max(last_ns, self.last_ns or last_ns)


class TargetTally:
    """Counts of requests that have ended, by target of a plan; shape (targets,) each."""

    def __init__(self, plan: LoadPlan) -> None:
        self._plan = plan
        self.ended = np.zeros(len(plan.planned_targets), np.int64)
        self.failed = np.zeros_like(self.ended)

    def add(self, rows: Block) -> None:
        """Fold a block in; a redirect that was followed has not ended its request."""
        rows = rows[rows[:, _FOLLOWED] == NONE]
        places, is_failed = places_of(rows[:, _NUMBER], self._plan), rows[:, _ERROR] != NONE
        self.ended += np.bincount(places, minlength=len(self.ended))
        self.failed += np.bincount(places[is_failed], minlength=len(self.failed))

    def vips_without_success(self) -> list[str]:
        """The addresses to which requests were sent, and all of them failed."""
        by_vip: dict[str, list[int]] = {}
        for each, ended, failed in zip(
            self._plan.planned_targets, self.ended.tolist(), self.failed.tolist(), strict=True
        ):
            counts = by_vip.setdefault(each.target.vip, [0, 0])
            counts[0] += ended
            counts[1] += failed
        return [vip for vip, (ended, failed) in by_vip.items() if ended and ended == failed]
