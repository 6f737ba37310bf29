"""The workers' clocks against this host's, from round trips: pure functions.

A worker that is asked its time answers between two instants of ours, so its clock is ahead by
between ``there - answered`` and ``there - asked``. All round trips agree on one offset: the
intersection of these intervals, which is no wider than the fastest of them took.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from analyzer.units import NS_PER_S
from loadgen.errors import UsageProblem

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundTrip:
    """One question for the time; Unix ns, ``there_ns`` on the worker's clock."""

    asked_ns: int
    there_ns: int
    answered_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOffset:
    """A worker's clock less ours, and the most that this may be wrong by, ns."""

    offset_ns: int
    uncertainty_ns: int


def offset_of(trips: Sequence[RoundTrip]) -> WorkerOffset:
    """The offset that round trips, at least one, agree on.

    Where no offset agrees with all (a clock was set meanwhile) it is the fastest trip's, and the
    uncertainty covers the others.
    """
    low = max(trip.there_ns - trip.answered_ns for trip in trips)
    high = min(trip.there_ns - trip.asked_ns for trip in trips)
    if low <= high:
        return WorkerOffset(offset_ns=(low + high) // 2, uncertainty_ns=-((low - high) // 2))
    fastest = min(trips, key=lambda trip: trip.answered_ns - trip.asked_ns)
    middle = fastest.there_ns - (fastest.asked_ns + fastest.answered_ns) // 2
    return WorkerOffset(offset_ns=middle, uncertainty_ns=max(low - middle, middle - high))


def over_the_run(before: WorkerOffset, after: WorkerOffset) -> WorkerOffset:
    """The offset before the start, whose uncertainty covers how far the clock has moved since.

    Rows and packets of the whole run are moved by the offset before the start.
    """
    moved_ns = abs(after.offset_ns - before.offset_ns)
    if moved_ns <= before.uncertainty_ns + after.uncertainty_ns:
        return before
    return replace(before, uncertainty_ns=moved_ns + after.uncertainty_ns)


def of_one_kernel(offset: WorkerOffset, boot: str, our_boot: str) -> WorkerOffset:
    """The offset, which is none at all where a worker's kernel is ours and nothing contradicts it.

    Args:
        offset: as measured.
        boot: names the boot of the worker's kernel; empty where that is not known.
        our_boot: of ours, likewise.
    """
    agrees = abs(offset.offset_ns) <= offset.uncertainty_ns
    same = bool(boot) and boot == our_boot and agrees
    return WorkerOffset(offset_ns=0, uncertainty_ns=0) if same else offset


def check_offsets(offsets: Iterable[tuple[str, WorkerOffset]], most_s: float) -> None:
    """Refuse a clock that is off by more than is allowed, or may be.

    Args:
        offsets: each worker's name, and its offset.
        most_s: what ``--max-clock-offset`` allows.

    Raises:
        UsageProblem: names the first such worker, and by how much.
    """
    for name, offset in offsets:
        off_s, unsure_s = offset.offset_ns / NS_PER_S, offset.uncertainty_ns / NS_PER_S
        if abs(off_s) + unsure_s > most_s:
            direction = "ahead of" if off_s > 0 else "behind"
            raise UsageProblem(
                f"--cluster: the clock of {name} is {abs(off_s):.4g} s (± {unsure_s:.2g} s) "
                f"{direction} this host's; expected at most {most_s:g} s (--max-clock-offset)"
            )
