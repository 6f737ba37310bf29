"""How many entries of a group had expired by each poll, and so between which polls each did.

Packets say when entries came into a counter and when the last packet of each came; a poll says
how many are left. The difference has expired. Entries of one timeout expire in the order of their
last packets, the earliest first.

Each number is bounded from both sides: a poll's instant is known to within the clocks, other groups
of the same counter end somewhere within their granule, and what the counter held before the first
packet expired at an unknown time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

MISFIT_SHARE = 0.05
"""Share of the group by which the counter may differ because of missed packets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceCounter:
    """A counter of one service, and its bounds by the packets; every array has shape (polls,).

    Attributes:
        polled_s: when it was polled, ascending.
        held: its values.
        least, most: how many it would hold had no entry of the group expired, at least and at most.
        before: what it held before the first packet of the service.
    """

    polled_s: Floats
    held: Ints
    least: Ints
    most: Ints
    before: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiryBounds:
    """The polls between which each entry of a group expired; shapes (entries,).

    Attributes:
        last_s: their last packets, ascending.
        seen_s: the last poll that had it for certain; its last packet where none had.
        absent_s: the first that had it no more; inf where none.
    """

    last_s: Floats
    seen_s: Floats
    absent_s: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfit:
    """The counter and the packets do not fit: by how many entries, and when it is worst."""

    entries: int
    at_s: float
    too_many: bool  # in the counter: entries whose packets were not captured


def expiry_bounds(counter: ServiceCounter, last_s: Floats) -> ExpiryBounds | Misfit:
    """The polls between which the entries with these last packets expired.

    Args:
        counter: their counter.
        last_s: of the group's entries, ascending; shape (n,), n >= 1.
    """
    fewest = counter.least - counter.held
    most = counter.most + counter.before - counter.held
    allowed = max(1, int(MISFIT_SHARE * len(last_s)))
    misfit = _misfit(counter, fewest, most, len(last_s))
    if misfit is not None and misfit.entries > allowed:
        return misfit
    wrong = misfit.entries if misfit else 0
    fewest_expired = np.maximum.accumulate(np.maximum(fewest - wrong, 0))
    most_expired = np.minimum.accumulate((most + wrong)[::-1])[::-1]
    number = np.arange(1, len(last_s) + 1)
    first_without = np.searchsorted(fewest_expired, number)
    last_with = np.searchsorted(most_expired, number) - 1
    polled_s = np.append(counter.polled_s, np.inf)
    return ExpiryBounds(
        last_s=last_s,
        seen_s=np.where(
            last_with >= 0, np.maximum(polled_s[np.maximum(last_with, 0)], last_s), last_s
        ),
        absent_s=polled_s[first_without],
    )


def _misfit(counter: ServiceCounter, fewest: Ints, most: Ints, entries: int) -> Misfit | None:
    """The most entries by which the bounds contradict each other, or the group."""
    later = np.minimum.accumulate(np.minimum(most, entries)[::-1])[::-1]
    above = np.maximum.accumulate(np.maximum(fewest, 0)) - later
    worst = int(above.argmax())
    if above[worst] <= 0:
        return None
    return Misfit(
        entries=int(above[worst]),
        at_s=float(counter.polled_s[worst]),
        too_many=bool(fewest.max() <= entries),
    )
