"""Readings in order of time, to the values that were in force and the times of their changes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from analyzer.estimate.in_force.readings import TimeoutReading

LEAST = 2
"""Entries that must agree on another value than before: a single one may have had a packet that
was not captured."""

_REPORTED_WEIGHT = 1_000_000  # the weight of a reported value, in entries
_ENOUGH = 0.8
"""The share of a value's readings from which on another one that they also allow is as good."""

_RARE = 0.05
"""The share of entries that may be read the very jiffy that their packet came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A value, and when it came into force.

    Attributes:
        value_s: the likeliest.
        low_s, high_s: what the evidence leaves open; both the value where that is exact.
        from_ns, until_ns: the change to it happened between; both None of the first.
        noticed_ns: when the director itself first reported it; None if it never did.
        n: how many entries show it; 0 of one that was only reported.
    """

    value_s: int
    low_s: int
    high_s: int
    from_ns: int | None
    until_ns: int | None
    noticed_ns: int | None
    n: int


@dataclass(slots=True)
class _Segment:
    """Readings that one value explains."""

    readings: list[TimeoutReading] = field(default_factory=list)
    votes: Counter[int] = field(default_factory=Counter)
    likely: Counter[int] = field(default_factory=Counter)

    def add(self, reading: TimeoutReading) -> None:
        self.readings.append(reading)
        weight = reading.n if reading.by == "entries" else _REPORTED_WEIGHT
        for value in range(reading.low_s, reading.high_s + 1):
            self.votes[value] += weight
        self.likely[reading.likely_s] += weight

    def allows(self, reading: TimeoutReading) -> bool:
        """Whether it is one of the values that (nearly) all its readings allow."""
        least = min(max(self.votes.values()) * _ENOUGH, max(self.votes.values()) - 1)
        values = range(reading.low_s, reading.high_s + 1)
        return any(self.votes[value] >= max(least, 1) for value in values)

    def best(self) -> list[int]:
        """The values that most of its readings allow, ascending."""
        most = max(self.votes.values())
        return sorted(value for value, votes in self.votes.items() if votes == most)

    @property
    def since_ns(self) -> int:
        """When it is first known to be in force."""
        return self.readings[0].since_ns

    @property
    def is_reported(self) -> bool:
        return any(reading.by != "entries" for reading in self.readings)

    @property
    def n(self) -> int:
        return sum(reading.n for reading in self.readings)


def steps_of(readings: Iterable[TimeoutReading], likely_s: int | None = None) -> list[Step]:
    """The values of one timeout, the first to the last.

    Args:
        readings: what is known of it.
        likely_s: the value that was given: the choice where entries leave it open.
    """
    ordered = sorted(readings, key=lambda reading: (reading.since_ns, reading.still_ns))
    segments = _merged(_kept(_segments(ordered)), likely_s)
    return [
        _step(segment, segments[number - 1] if number else None, likely_s)
        for number, segment in enumerate(segments)
    ]


def _segments(ordered: Sequence[TimeoutReading]) -> list[_Segment]:
    """Cut where readings begin to agree on another value; a single one is left out."""
    segments: list[_Segment] = []
    candidate = _Segment()
    for reading in ordered:
        if not segments:
            segments.append(_Segment())
            segments[0].add(reading)
            continue
        segment = _segment_of(reading, segments)
        if segment is not None:
            segment.add(reading)
        contradicts = bool(candidate.readings) and not candidate.allows(reading)
        if contradicts and reading.still_ns >= candidate.since_ns:
            candidate = _Segment()
            contradicts = False
        if segment is not None or contradicts:
            continue
        candidate.add(reading)
        if candidate.is_reported or candidate.n >= LEAST:
            segments.append(candidate)
            candidate = _Segment()
    return segments


def _segment_of(reading: TimeoutReading, segments: Sequence[_Segment]) -> _Segment | None:
    """The segment that explains a reading: the last, or one that its own time reaches back to."""
    for segment in reversed(segments):
        if segment.allows(reading):
            return segment
        if reading.still_ns >= segment.since_ns:
            return None
    return None


def _kept(segments: list[_Segment]) -> list[_Segment]:
    """Segments without those that a single entry shows, if others contradict it."""
    kept = [segment for segment in segments if segment.is_reported or segment.n >= LEAST]
    return kept or segments[:1]


def _merged(segments: list[_Segment], likely_s: int | None) -> list[_Segment]:
    """Segments with neighbours of the same value merged."""
    merged: list[_Segment] = []
    for segment in segments:
        if merged and _value(merged[-1], likely_s) == _value(segment, likely_s):
            for reading in segment.readings:
                merged[-1].add(reading)
        else:
            merged.append(segment)
    return merged


def _value(segment: _Segment, likely_s: int | None) -> int:
    """The value as given; else the least that almost no entry shows to be too small.

    What an entry has left only falls: the most that is seen is seen just after a packet.
    """
    best = segment.best()
    if likely_s in best:
        return likely_s
    total = sum(segment.likely.values())

    def beyond(value: int) -> int:
        return sum(votes for other, votes in segment.likely.items() if other > value)

    return next((value for value in best if beyond(value) <= _RARE * total), best[-1])


def _step(segment: _Segment, before: _Segment | None, likely_s: int | None) -> Step:
    value_s, best = _value(segment, likely_s), segment.best()
    reported_ns = [reading.since_ns for reading in segment.readings if reading.by == "director"]
    from_ns = until_ns = None
    if before is not None:
        old_s = _value(before, likely_s)
        from_ns = max(
            (reading.still_ns for reading in before.readings if _rules_out(reading, value_s)),
            default=before.readings[-1].still_ns,
        )
        until_ns = min(
            (reading.since_ns for reading in segment.readings if _rules_out(reading, old_s)),
            default=segment.readings[0].since_ns,
        )
        from_ns, until_ns = min(from_ns, until_ns), max(from_ns, until_ns)
    return Step(
        value_s=value_s,
        low_s=best[0],
        high_s=best[-1],
        from_ns=from_ns,
        until_ns=until_ns,
        noticed_ns=min(reported_ns, default=None),
        n=segment.n,
    )


def _rules_out(reading: TimeoutReading, other_s: int) -> bool:
    """Whether it rules another value out."""
    return not reading.low_s <= other_s <= reading.high_s
