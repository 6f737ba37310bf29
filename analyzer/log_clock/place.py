"""The decision whether a log and a capture are joined, and by which shift of their clocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analyzer.log_clock.model import ClockMatch

EXACT_S = 0.01
"""Stamps as fine as this are believed where the events do not contradict them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamps:
    """How the stamps of a log were read.

    Attributes:
        zone: named in them; None if none is.
        utc_offset_s: applied when they were read; None where the zone is not known (UTC was
            assumed then).
        dated: they contain the day.
        resolution_s: to which they are rounded down.
    """

    zone: str | None
    utc_offset_s: float | None
    dated: bool
    resolution_s: float

    @property
    def known(self) -> bool:
        """Whether they are known instants."""
        return self.utc_offset_s is not None and self.dated


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """How a log is placed on a capture's clock.

    Attributes:
        joined: whether the two may be analysed together.
        confirmed: by their events; else only by the stamps.
        shift_s: the log's clock less the capture's; None where it is not known.
        uncertainty_s: of a poll's instant on the capture's clock.
        why: they are joined so, or not joined.
    """

    joined: bool
    confirmed: bool
    shift_s: float | None
    uncertainty_s: float | None
    why: str


def place(match: ClockMatch, stamps: Stamps, *, overlap: bool) -> Placed:
    """Decide whether and how to join a log and a capture.

    Args:
        match: by their events.
        stamps: of the log.
        overlap: the two overlap in time if the stamps are right as read.
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
