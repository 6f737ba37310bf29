"""Whether a log and a capture are joined, and by which shift of their clocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analyzer.log_clock.model import ClockMatch

EXACT_S = 0.01
"""Stamps as fine as this are taken at their word where the events do not contradict them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamps:
    """How the stamps of a log were read.

    Attributes:
        zone: as they name it; None where they name none.
        utc_offset_s: what they were read with; None where the zone is not known (they were then
            read as if it were UTC).
        dated: whether they name a day.
        resolution_s: they are rounded down to it.
    """

    zone: str | None
    utc_offset_s: float | None
    dated: bool
    resolution_s: float

    @property
    def known(self) -> bool:
        """Whether they name instants."""
        return self.utc_offset_s is not None and self.dated


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Where a log lies on a capture's clock.

    Attributes:
        joined: whether the two may be looked at together.
        confirmed: whether their events say so; else the stamps do alone.
        shift_s: the log's clock less the capture's; None where it is not known.
        uncertainty_s: of a poll's instant on the capture's clock.
        why: what it rests on, or why they are not joined.
    """

    joined: bool
    confirmed: bool
    shift_s: float | None
    uncertainty_s: float | None
    why: str


def place(match: ClockMatch, stamps: Stamps, *, overlap: bool) -> Placed:
    """Join a log and a capture where it is clear how, else say why not.

    Args:
        match: what their events say.
        stamps: of the log.
        overlap: whether the two overlap in time if the stamps are right as they were read.
    """
    if match.clear:
        return _by_events(match, stamps, match.low_s, match.high_s)
    if not stamps.known:
        return _apart(f"{_unknown(stamps)}, and their events do not tell the shift: {match.why}")
    if not match.possible_s:
        if overlap:
            return _by_stamps(stamps, f"by the stamps alone: {match.why}")
        return _apart(f"by their stamps the two do not overlap in time, and {match.why}")
    reach_s = stamps.resolution_s
    around = [edges for edges in match.possible_s if edges[0] - reach_s <= 0 <= edges[1] + reach_s]
    if around:
        return _by_stamps(stamps, f"by the stamps, which the events allow; but {match.why}")
    return _apart(f"their events contradict the stamps: {match.why}")


def _by_events(match: ClockMatch, stamps: Stamps, low_s: float, high_s: float) -> Placed:
    if stamps.known and stamps.resolution_s <= EXACT_S and low_s <= 0 <= high_s:
        return _by_stamps(stamps, _seen(match), confirmed=True)
    middle_s = (low_s + high_s) / 2
    return Placed(
        joined=True,
        confirmed=True,
        shift_s=middle_s,
        uncertainty_s=(high_s - low_s) / 2 + stamps.resolution_s / 2,
        why=_seen(match),
    )


def _seen(match: ClockMatch) -> str:
    return f"{match.explained} entries came in both the log and the capture"


def _by_stamps(stamps: Stamps, why: str, *, confirmed: bool = False) -> Placed:
    wide_s = 0.0 if stamps.resolution_s <= EXACT_S else stamps.resolution_s / 2
    return Placed(joined=True, confirmed=confirmed, shift_s=0.0, uncertainty_s=wide_s, why=why)


def _apart(why: str) -> Placed:
    return Placed(joined=False, confirmed=False, shift_s=None, uncertainty_s=None, why=why)


def _unknown(stamps: Stamps) -> str:
    if not stamps.dated:
        return "the log's stamps name no day"
    if stamps.zone:
        return f"{stamps.zone}, which the log's stamps name, stands for several time zones"
    return "the log's stamps name no time zone"
