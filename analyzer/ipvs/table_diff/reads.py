"""What a read of the connection table proves, on kernels whose table resizes itself (since 7.1).

A read walks one table. While that is being replaced by a larger or a smaller one, entries that are
new or have moved are not shown, and a walk that continues in the other table misses some and gives
others twice; no lines are torn, so the text looks whole. ``size=`` of ``/proc/net/ip_vs`` is the
present number of buckets: a read whose neighbours saw another size proves no entry gone. So each
read waits for the size that the next poll sees.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, TypeVar

Table = TypeVar("Table")

WHOLE_READ_LINES = 61
"""Up to one page of lines comes in a single read(2), which walks the table under one lock."""


class AbsenceProof(Enum):
    """What it proves that a read lacks an entry.

    ``WHOLE``: it is gone. ``PARTIAL``: it is gone if the next read lacks it too. ``NOTHING``: the
    table was being resized.
    """

    WHOLE = "whole"
    PARTIAL = "partial"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRead(Generic[Table]):
    """One read of the entries.

    Attributes:
        at_ns: the poll's instant.
        table: what was read, in the form that its reader passed in.
        lines: how many lines it had.
        distinct: how many different entries, templates apart; what is there twice counts once.
        counted: ActiveConn and InActConn of the same poll, over all services.
        size: buckets of the table by the same poll; None where that is not known.
    """

    at_ns: int
    table: Table
    lines: int
    distinct: int
    counted: int
    size: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled(Generic[Table]):
    """A read, and what it proves."""

    read: TableRead[Table]
    proof: AbsenceProof


def proof_by_lines(lines: int) -> AbsenceProof:
    """What a read of a table proves that never resizes: one page comes under one lock."""
    return AbsenceProof.WHOLE if lines <= WHOLE_READ_LINES else AbsenceProof.PARTIAL


def proof_of(read: TableRead[Table], before: int | None, after: int | None) -> AbsenceProof:
    """What a read proves between two sizes of the table.

    Args:
        read: it.
        before: buckets by the poll before it; None for the first.
        after: buckets by the poll after it; None where there is none.
    """
    if read.lines == 0 == read.counted:
        return AbsenceProof.WHOLE  # the counters alone show that no entry is there
    if read.size is None or not before == read.size == after:
        return AbsenceProof.NOTHING
    if read.distinct == read.counted:
        return AbsenceProof.WHOLE
    has_all = read.distinct >= read.counted and read.lines == read.distinct
    return (
        AbsenceProof.WHOLE if has_all and read.lines <= WHOLE_READ_LINES else AbsenceProof.PARTIAL
    )


@dataclass(slots=True)
class Resizes(Generic[Table]):
    """Holds each read back until the next poll has shown the table's size."""

    proofs: dict[AbsenceProof, int] = field(default_factory=lambda: dict.fromkeys(AbsenceProof, 0))
    _waiting: TableRead[Table] | None = None
    _before: int | None = None  # size by the poll before the waiting read
    _size: int | None = None  # size by the last poll

    @property
    def is_waiting(self) -> bool:
        """Whether a read waits for the next poll."""
        return self._waiting is not None

    def poll(self, size: int | None, read: TableRead[Table] | None) -> Settled[Table] | None:
        """A poll: the read that waited for it, if one did.

        Args:
            size: buckets of the table by this poll; None where it does not say.
            read: of the entries, if it read them.
        """
        settled = self.settle(size)
        self._waiting, self._before, self._size = read, self._size, size
        return settled

    def settle(self, after: int | None = None) -> Settled[Table] | None:
        """The read that waits, if one does; at the end without a size after it."""
        if self._waiting is None:
            return None
        proof = proof_of(self._waiting, self._before, after)
        self.proofs[proof] += 1
        settled = Settled(read=self._waiting, proof=proof)
        self._waiting = None
        return settled
