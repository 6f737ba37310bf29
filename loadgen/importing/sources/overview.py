"""A poll of a log, and what all its polls have in common."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from analyzer.ipvs.states import Timeouts
    from loadgen.importing.printed import Printed
    from loadgen.importing.times.stamps import Stamp


MAX_WARNINGS = 100
"""Lines about an import for the operator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedPoll:
    """One poll of a log; its text is parsed when asked.

    Attributes:
        t: seconds, as the log's times were read.
        stamp: of a text; None of a JSON line.
        printed: all that was printed.
        services: without the entries of a JSON line: they may be a million.
        heading: no more than the table's size and the timeouts.
    """

    t: float
    stamp: Stamp | None
    printed: Callable[[], Printed]
    services: Callable[[], Printed]
    heading: Callable[[], Printed]


@dataclass(slots=True)
class Overview:
    """What all polls of a log have in common.

    Attributes:
        polls: how many there are.
        first_t, last_t: of the first and the last of them.
        stamps: one of each kind of stamp.
        sizes: buckets of the table of entries, by poll; None where that was not printed.
        timeouts: as printed, and when: the first and the last poll of each run of equal ones.
    """

    polls: int = 0
    first_t: float = 0.0
    last_t: float = 0.0
    stamps: dict[Stamp, None] = field(default_factory=dict)
    sizes: list[int | None] = field(default_factory=list)
    timeouts: list[tuple[float, Timeouts]] = field(default_factory=list)

    def add(self, poll: LoggedPoll) -> None:
        """The next poll."""
        self.first_t = poll.t if not self.polls else self.first_t
        self.last_t = poll.t
        self.polls += 1
        if poll.stamp is not None:
            self.stamps[replace(poll.stamp, at_s=0.0)] = None
        heading = poll.heading()
        self.sizes.append(heading.size)
        if heading.timeouts is not None:
            self.add_timeouts(poll.t, heading.timeouts)

    def add_timeouts(self, t: float, timeouts: Timeouts) -> None:
        """Timeouts that were printed at a time."""
        if [printed for _, printed in self.timeouts[-2:]] == [timeouts] * 2:
            self.timeouts.pop()
        self.timeouts.append((t, timeouts))
