"""The entries of one director: when to read them, whether to, and what changed between reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from analyzer.ipvs.entry_text import read_entries
from analyzer.ipvs.tracking import TableTracker
from loadgen.director.pace import LONGEST_WAIT_S, EntriesPace

if TYPE_CHECKING:
    from analyzer.ipvs.entry_rows import Rows
    from analyzer.ipvs.tracking import Changes, Numbers
    from loadgen.director.eye import Look
    from loadgen.director.watched import Watched

TRY_AGAIN_S = 10.0

Reading = Literal["yes", "given-up", "unreadable"]

Notice = tuple[str, str]
"""An event's kind and detail."""

_EVENTS: dict[Reading, str] = {
    "yes": "entries-resumed",
    "given-up": "entries-given-up",
    "unreadable": "entries-unreadable",
}


class Entries:
    """Folds the reads of a director's connection table.

    Attributes:
        reading: ``yes``; ``given-up`` while a read costs too much; ``unreadable`` while there is
            nothing to read, as before a director that boots has loaded its IPVS.
        why_not: why entries were not read, or not all the time; None where they were.
        there: about how many there are, of all services.
    """

    def __init__(self, watched: Watched, share: float, kernel: str | None) -> None:
        self.reading: Reading = "yes"
        self.why_not: str | None = None
        self.there = 0
        self._try_again_s = 0.0
        self._watched = watched
        self._share = share
        self._pace = EntriesPace(share, kernel)
        self._tracker = TableTracker()

    @property
    def rows(self) -> Rows:
        """The watched entries that are there, as far as is known, as ``ENTRY`` rows."""
        return self._tracker.rows

    @property
    def seen_ns(self) -> Numbers:
        """When each of ``rows`` was last seen; Unix time, our clock."""
        return self._tracker.seen_ns

    def is_due(self, now_s: float) -> bool:
        """Whether they may be read now."""
        if self.reading == "unreadable":
            return now_s >= self._try_again_s
        return self.reading == "yes" and self._pace.is_due(now_s, self.there)

    def expected_s(self) -> float:
        """CPU time that the next read is expected to take there."""
        return self._pace.cost_s(self.there)

    def take(self, at_ns: int, now_s: float, look: Look) -> tuple[Changes | None, int | None]:
        """What a look shows to have changed, and how many lines it had.

        Args:
            at_ns: when the look was taken.
            now_s: the same on the clock that ``is_due`` is asked by.
            look: with the entries; without them it changes nothing.
        """
        if look.entries is None:
            return None, None
        table = read_entries(look.entries)
        ours = self._watched.entries(table.rows)
        cost_s = look.took_s if look.cpu_s is None else look.cpu_s
        self._pace.note(now_s, table.lines, cost_s)
        return self._tracker.update(at_ns, ours, table.lines), table.lines

    def weigh(self, now_s: float, look: Look, lines: int | None, *, asked: bool) -> Notice | None:
        """Decide whether to go on reading; the event, where that has changed.

        Args:
            now_s: as for ``is_due``.
            look: the last.
            lines: of its entries; None where it had none.
            asked: they were asked for.
        """
        self.there = max(_counted(look), lines or 0)
        if asked and lines is None:
            self._try_again_s = now_s + TRY_AGAIN_S
            return self._become("unreadable", "/proc/net/ip_vs_conn gave nothing")
        if self.reading == "unreadable" and lines is None:
            return None
        if self._pace.is_affordable(self.there):
            return self._become("yes", None)
        return self._become("given-up", self._too_dear())

    def _become(self, reading: Reading, why_not: str | None) -> Notice | None:
        if reading == self.reading:
            return None
        self.reading, self.why_not = reading, why_not or self.why_not
        return _EVENTS[reading], why_not or f"{self.there} entries"

    def _too_dear(self) -> str:
        return (
            f"a read of {self.there} takes about {self.expected_s():.2g} s of its CPU, which "
            f"{self._share:.2%} allows less often than every {LONGEST_WAIT_S:g} s; "
            "the counters go on"
        )


def _counted(look: Look) -> int:
    """Entries of all services by the counters; the table may hold others besides."""
    return sum(
        server.active + server.inactive
        for service in look.services.services
        for server in service.destinations
    )
