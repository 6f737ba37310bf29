"""How often a director may be asked for what is expensive, and how long it may take to answer.

As often as that question's share of the director's CPU allows. The cost of reading the entries
grows with the square of the table on kernels before 6.14: each read(2) gives a page, and walks the
table from its beginning to find it.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from analyzer.ipvs.versions import law_of
from loadgen.director.links.snapshot import IPVS

if TYPE_CHECKING:
    from analyzer.ipvs.versions import Law
    from loadgen.director.links.snapshot import Source

DIRECTOR_CPU = 0.02
"""The share of one CPU of the director, where the operator sets none."""

POLL_TIMEOUT_S = 3.0
"""A director that does not answer for this long, or for several times what it took of late, is
lost."""

ASK_AGAIN_S = 60.0
"""For what the director did not give: its ipvsadm may come with a reboot."""

LONGEST_WAIT_S = 120.0
"""Entries that could be read only less often than this are not read at all."""

CONNTRACK_LINEAR_SINCE = (6, 16)
"""Of ``/proc/net/nf_conntrack``: before, it too was walked from its beginning for each page."""

LINEAR_S = 3e-6
"""CPU time for an entry: what a read takes that walks the table once."""
QUADRATIC_S = 1e-9
"""CPU time for an entry and entry (measured: 0.1 s for 10,000, 12 s for 100,000)."""
LEAST_S = 1e-4
_REMEMBERED = 8


class EntriesPace:
    """When the entries may be read again."""

    def __init__(self, share: float, kernel: str | None, source: Source = IPVS) -> None:
        self._share = share
        self._linear = _reads_linearly(law_of(kernel), source)
        self._read: deque[tuple[int, float]] = deque(maxlen=_REMEMBERED)
        self._read_at_s = 0.0

    def note(self, at_s: float, entries: int, cost_s: float) -> None:
        """The entries were read.

        Args:
            at_s: when the read ended.
            entries: how many lines it had.
            cost_s: CPU time there; where it is not known, the time that the answer took.
        """
        self._read.append((entries, cost_s))
        self._read_at_s = at_s

    def cost_s(self, entries: int) -> float:
        """CPU time that the next read of so many entries is expected to take."""
        if not self._read:
            return self._law_s(entries)
        measured_s = sum(cost_s for _, cost_s in self._read)
        by_law_s = sum(self._law_s(n) for n, _ in self._read)
        return max(LEAST_S, measured_s * self._law_s(entries) / by_law_s)

    def wait_s(self, entries: int) -> float:
        """How long to wait between two reads of so many entries."""
        return self.cost_s(entries) / self._share if self._share else float("inf")

    def is_affordable(self, entries: int) -> bool:
        """Whether the entries can be read at all."""
        return self.wait_s(entries) <= LONGEST_WAIT_S

    def is_due(self, now_s: float, entries: int) -> bool:
        """Whether they may be read now."""
        if not self._read:
            return self.is_affordable(entries)
        return self.is_affordable(entries) and now_s >= self._read_at_s + self.wait_s(entries)

    def _law_s(self, entries: int) -> float:
        return LEAST_S + (LINEAR_S * entries if self._linear else QUADRATIC_S * entries**2)


def _reads_linearly(law: Law, source: Source) -> bool:
    """Whether reading the entries takes time by their number: conntrack(8) does always."""
    if source.kind == "ipvs":
        return law.reads_linearly
    is_recent = law.release is not None and law.release >= CONNTRACK_LINEAR_SINCE
    return is_recent or source.command is not None


class Pace:
    """When a poll of steady cost may be taken again."""

    def __init__(self, share: float, least_s: float) -> None:
        self._share = share
        self._least_s = least_s
        self._due_s = float("-inf")

    def is_due(self, now_s: float) -> bool:
        """Whether it may be taken now."""
        return now_s >= self._due_s

    def note(self, at_s: float, cost_s: float) -> None:
        """It was taken, and had this cost (at most)."""
        wait_s = cost_s / self._share if self._share else float("inf")
        self._due_s = at_s + max(self._least_s, wait_s)
