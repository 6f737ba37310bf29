"""New connections a second, by the counters of real servers, and over which time that was."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.client.samples import LEAST_SPAN_S
from loadgen.live.view import Arrivals

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadgen.director.counters import Counters, ServerKey

FRESH_S = 3.0
"""A rate that was counted up to then is shown; one that took longer to count, for as long."""


class ArrivalRates:
    """One director's, between readings of its counters that are a second or more apart."""

    def __init__(self) -> None:
        self._base: Mapping[ServerKey, Counters] = {}
        self._base_s = 0.0
        self._over_s = 0.0
        self._per_s: Mapping[ServerKey, float] = {}

    def note(self, counters: Mapping[ServerKey, Counters], at_s: float) -> None:
        """The counters were read, at an instant of the monotonic clock."""
        over_s = at_s - self._base_s
        if self._base and over_s < LEAST_SPAN_S:
            return
        self._per_s = {
            key: max(now.conns - self._base[key].conns, 0) / over_s
            for key, now in counters.items()
            if key in self._base
        }
        self._base, self._base_s, self._over_s = counters, at_s, over_s

    def of(self, key: ServerKey, now_s: float) -> Arrivals | None:
        """A real server's; None before two readings, and once the last is too long ago."""
        age_s = max(now_s - self._base_s, 0.0)
        if key not in self._per_s or age_s > max(self._over_s, FRESH_S):
            return None
        return Arrivals(per_s=self._per_s[key], over_s=self._over_s, age_s=age_s)
