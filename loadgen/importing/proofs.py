"""What each read of an imported log proves, on kernels whose table of entries resizes itself.

The rule is that of ``analyzer.ipvs.table_diff.reads``. Here the whole log is at hand, so nothing
waits; and a poll may have printed entries without the line that has ``size=``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.ipvs.proc.formats import entries_counted
from analyzer.ipvs.table_diff.reads import AbsenceProof, TableRead, proof_of
from analyzer.ipvs.versions import law_of, release_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from analyzer.ipvs.proc.formats import EntryTable, Service

Sizes = list[int | None]
"""Buckets of the table by each poll; None where the poll has no size."""


def table_resizes(kernel: str | None, sizes: Iterable[int | None]) -> bool:
    """Whether the table resizes itself: by the kernel, or by the log, where that is not known."""
    if release_of(kernel) is not None:
        return law_of(kernel).table_resizes
    return len({size for size in sizes if size is not None}) > 1


class Proofs:
    """Judges the reads of one log.

    Args:
        sizes: by its polls, in their order.
    """

    def __init__(self, sizes: Sequence[int | None]) -> None:
        self._sizes_known = any(size is not None for size in sizes)
        self._before: Sizes = [None, *_last_known(sizes)][: len(sizes)]
        self._after: Sizes = [None, *_last_known(reversed(sizes))][: len(sizes)][::-1]
        self._sizes = [
            size if size is not None else (before if before == after else None)
            for size, before, after in zip(sizes, self._before, self._after, strict=True)
        ]

    def of(self, number: int, table: EntryTable, services: Iterable[Service]) -> AbsenceProof:
        """What the read of the poll of this number, from 0, proves where it lacks an entry."""
        if not self._sizes_known:
            return AbsenceProof.PARTIAL  # two torn reads in a row would have to miss the same one
        keys = {entry.key for entry in table.entries if entry.client_port}
        read = TableRead(
            at_ns=0,
            table=table,
            lines=table.lines,
            distinct=len(keys),
            counted=entries_counted(services),
            size=self._sizes[number],
        )
        before, after = self._before[number], self._after[number]
        if after is None and before == read.size:
            return (
                AbsenceProof.PARTIAL
            )  # the last poll: nothing says that the table was being resized
        return proof_of(read, before, after)


def _last_known(sizes: Iterable[int | None]) -> Sizes:
    """For each poll the table size that was last printed, by it or by an earlier one."""
    known: Sizes = []
    last: int | None = None
    for size in sizes:
        last = last if size is None else size
        known.append(last)
    return known
