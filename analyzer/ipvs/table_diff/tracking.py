"""Polls of a connection table of any size to what changed between them.

A read of the table under churn is torn: a page at a time, resumed by counting (see
``ip_vs_conn_array``), so an entry that is there can be missed, up to its last second. An entry
counts as gone when the read was whole, when two reads in a row missed it, or when the last read of
all missed it and its time was up; it then ended by the first read that missed it. Since 7.1 the
table resizes itself, and a read meanwhile proves nothing (``analyzer.ipvs.table_diff.reads``).

A read can also hold two lines of one key. Either it is torn and gives one entry twice: the later
line is the newer. Or a SYN has just ended an entry and made another in its place
(``ip_vs_conn_expire_now``): the old one stays in the table, in its closing state and with 0 s left,
until its timer fires in the next jiffy. So the last line that has time left counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from analyzer.ipvs.proc.entry_rows import ENTRY, entry_columns
from analyzer.ipvs.table_diff import few_rows
from analyzer.ipvs.table_diff.few_rows import SERVER, HeldEntry
from analyzer.ipvs.table_diff.matching import matched
from analyzer.ipvs.table_diff.reads import AbsenceProof, proof_by_lines
from analyzer.ipvs.table_diff.restarts import BUSY_STATES, LONGEST_S, RESTART_S
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from analyzer.ipvs.proc.entry_rows import Rows

    Mask = NDArray[np.bool_]
    Numbers = NDArray[np.int64]

KINDS = ("gone", "appeared", "state")
"""The order within one poll: an entry that was rescheduled ends before it appears."""

_GONE, _APPEARED, _STATE = range(len(KINDS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What one poll showed to have changed, a row each.

    Attributes:
        at_ns: the poll's instant; of an entry that ended, the first poll's that missed it.
        kind: which of ``KINDS``.
        rows: ``ENTRY``, as it is now, or as it was when it ended.
    """

    at_ns: Numbers
    kind: NDArray[np.int8]
    rows: Rows

    def __len__(self) -> int:
        return len(self.rows)

    def columns(
        self, of_rows: Callable[[Rows], dict[str, pa.Array]] = entry_columns
    ) -> dict[str, Any]:
        """The columns of ``entries/``, but for the director."""
        change = pa.DictionaryArray.from_arrays(pa.array(self.kind), list(KINDS))
        return {"at": self.at_ns, "change": change, **of_rows(self.rows)}


def joined(*changes: Changes) -> Changes:
    """The changes of all of them."""
    return Changes(
        at_ns=np.concatenate([each.at_ns for each in changes]),
        kind=np.concatenate([each.kind for each in changes]),
        rows=np.concatenate([each.rows for each in changes], dtype=ENTRY),
    )


_NO_CHANGES = Changes(
    at_ns=np.empty(0, np.int64), kind=np.empty(0, np.int8), rows=np.empty(0, ENTRY)
)


class TableTracker:
    """Folds one director's polls of entries into changes.

    A restart of the timer in the same state is a change of state to itself.

    Args:
        busy_too: give restarts of the timers of ``BUSY_STATES`` too. Each packet of a connection is
            one: as many changes as lines were read, which a log that is imported may have.
    """

    def __init__(self, *, busy_too: bool = False) -> None:
        self._busy_too = busy_too
        self._rows: Rows = np.empty(0, ENTRY)
        self._seen_ns: Numbers = np.empty(0, np.int64)
        self._ends_ns: Numbers = np.empty(0, np.int64)  # by its timer at the entry's last change
        self._missed_ns: Numbers = np.empty(0, np.int64)  # 0: the last poll had it

    @property
    def rows(self) -> Rows:
        """``ENTRY``: what is there as far as is known."""
        return self._rows

    @property
    def seen_ns(self) -> Numbers:
        """When each of ``rows`` was last seen, and so had its ``expires_s`` left."""
        return self._seen_ns

    def update(
        self, at_ns: int, polled: Rows, lines: int, proof: AbsenceProof | None = None
    ) -> Changes:
        """What this poll shows to have changed.

        Args:
            at_ns: the poll's instant, later than the last one's.
            polled: ``ENTRY``, what the poll read; of doubles one counts, see there.
            lines: how many lines the whole table had, other services' entries included.
            proof: what it proves that an entry is missing; by the lines, unless given.
        """
        if not len(polled) and not len(self._rows):
            return _NO_CHANGES
        proof = proof or proof_by_lines(lines)
        if len(polled) + len(self._rows) <= few_rows.FEW:
            return self._update_few(at_ns, polled, proof)
        before, now = matched(self._rows, polled)
        is_new, is_missed = before < 0, now < 0
        missed = before[is_missed]
        is_removed = self._is_removed(missed, proof)
        here, polled = before[~is_new & ~is_missed], polled[now[~is_missed]]
        is_old = ~is_new[~is_missed]
        is_moved, is_changed = self._compare(here, polled[is_old], at_ns)
        moved, removed, stays = here[is_moved], missed[is_removed], missed[~is_removed]
        appeared = ~is_old
        appeared[is_old] = is_moved
        changed = np.zeros(len(polled), dtype=bool)
        changed[is_old] = is_changed
        changes = _changes(
            at_ns,
            moved=(self._rows[moved], self._missed_ns[moved]),
            removed=(self._rows[removed], self._missed_ns[removed]),
            appeared=polled[appeared],
            state=polled[changed],
        )
        ends_ns = _ends_ns(polled, at_ns)
        continues = is_old.copy()
        continues[is_old] = ~is_moved & ~is_changed
        ends_ns[continues] = self._ends_ns[here[~is_moved & ~is_changed]]
        self._hold(at_ns, polled, ends_ns, stays, proof)
        return changes

    def _update_few(self, at_ns: int, polled: Rows, proof: AbsenceProof) -> Changes:
        parts = (self._rows, self._seen_ns, self._ends_ns, self._missed_ns)
        held = [
            HeldEntry(row=row, seen_ns=seen_ns, ends_ns=ends_ns, missed_ns=missed_ns)
            for row, seen_ns, ends_ns, missed_ns in zip(
                *(part.tolist() for part in parts), strict=True
            )
        ]
        compared = few_rows.compare_few(
            held, polled.tolist(), at_ns, proof, busy_too=self._busy_too
        )
        self._rows = np.array([entry.row for entry in compared.held], ENTRY)
        self._seen_ns = np.array([entry.seen_ns for entry in compared.held], np.int64)
        self._ends_ns = np.array([entry.ends_ns for entry in compared.held], np.int64)
        self._missed_ns = np.array([entry.missed_ns for entry in compared.held], np.int64)
        ended = compared.moved + compared.removed
        here = (compared.appeared, compared.changed)
        rows = [entry.row for entry in ended] + compared.appeared + compared.changed
        if not rows:
            return _NO_CHANGES
        at = [entry.missed_ns or at_ns for entry in ended] + [at_ns] * sum(map(len, here))
        kinds = [_GONE] * len(ended) + [_APPEARED] * len(here[0]) + [_STATE] * len(here[1])
        return Changes(
            at_ns=np.array(at, np.int64),
            kind=np.array(kinds, np.int8),
            rows=np.array(rows, ENTRY),
        )

    def finish(self) -> Changes:
        """What the last read showed, where none comes after it: what it lacks whose time was up."""
        is_gone = (self._missed_ns != 0) & (self._missed_ns >= self._due_ns())
        removed = self._rows[is_gone], self._missed_ns[is_gone]
        self._keep(~is_gone)
        nothing = self._rows[:0]
        return _changes(
            0,
            moved=(nothing, self._missed_ns[:0]),
            removed=removed,
            appeared=nothing,
            state=nothing,
        )

    def _due_ns(self) -> Numbers:
        """When each held entry's timer is up at the earliest; it prints whole seconds, cut off."""
        return _ends_ns(self._rows, self._seen_ns)

    def _is_removed(self, missed: Numbers, proof: AbsenceProof) -> Mask:
        """Which of the entries that were missed have ended."""
        if proof is not AbsenceProof.PARTIAL:
            return np.full(len(missed), proof is AbsenceProof.WHOLE)
        is_removed: Mask = self._missed_ns[missed] != 0
        return is_removed

    def _compare(self, held: Numbers, now: Rows, at_ns: int) -> tuple[Mask, Mask]:
        """Which entries are others by now, with another server or after a gap, and which changed.

        An entry that a read missed when its time was up, and that now has time again, has come
        anew.
        """
        before = self._rows[held]
        is_moved = (before["ipv6"] ^ now["ipv6"]) & SERVER != 0
        for part in ("real_server_high", "real_server_low", "real_port"):
            is_moved |= before[part] != now[part]
        elapsed_s = (at_ns - self._seen_ns[held]) / NS_PER_S
        gained_s = now["expires_s"] - (before["expires_s"] - elapsed_s)
        is_busy = np.zeros(len(now), dtype=bool)
        for state in BUSY_STATES:
            is_busy |= now["state"] == state.encode()
        is_restarted = (gained_s > RESTART_S) & (now["expires_s"] > 0)  # what is late shows 0
        missed_ns = self._missed_ns[held]
        was_up = (missed_ns != 0) & (missed_ns >= self._due_ns()[held] + NS_PER_S)
        is_moved |= is_restarted & was_up
        if self._busy_too:  # restarts may come at every poll, each smaller than what is noticed
            moved_ns = np.abs(_ends_ns(now, at_ns) - self._ends_ns[held])
            is_noted = (moved_ns > RESTART_S * NS_PER_S) & (now["expires_s"] > 0)
        else:
            is_noted = is_restarted & ~is_busy
        is_changed = (before["state"] != now["state"]) | is_noted
        return is_moved, is_changed & ~is_moved

    def _keep(self, which: Mask) -> None:
        self._rows, self._seen_ns = self._rows[which], self._seen_ns[which]
        self._ends_ns, self._missed_ns = self._ends_ns[which], self._missed_ns[which]

    def _hold(
        self, at_ns: int, polled: Rows, ends_ns: Numbers, stays: Numbers, proof: AbsenceProof
    ) -> None:
        seen_ns, missed_ns = self._seen_ns[stays], self._missed_ns[stays]
        if proof is not AbsenceProof.NOTHING:
            missed_ns[:] = at_ns
        self._rows = np.concatenate((polled, self._rows[stays]), dtype=ENTRY)
        self._seen_ns = np.concatenate((np.full(len(polled), at_ns), seen_ns))
        self._ends_ns = np.concatenate((ends_ns, self._ends_ns[stays]))
        self._missed_ns = np.concatenate((np.zeros(len(polled), np.int64), missed_ns))


def _ends_ns(rows: Rows, seen_ns: int | Numbers) -> Numbers:
    left_s = np.clip(rows["expires_s"], -LONGEST_S, LONGEST_S)
    ends_ns: Numbers = seen_ns + left_s * NS_PER_S
    return ends_ns


def _changes(
    at_ns: int,
    *,
    moved: tuple[Rows, Numbers],
    removed: tuple[Rows, Numbers],
    appeared: Rows,
    state: Rows,
) -> Changes:
    """The changes that a read at ``at_ns`` showed; what ended, with its first miss, 0 for now."""
    parts = (moved[0], removed[0], appeared, state)
    sizes = [len(part) for part in parts]
    missed_ns = np.concatenate((moved[1], removed[1]))
    instants = np.full(sum(sizes), at_ns)
    instants[: len(missed_ns)] = np.where(missed_ns != 0, missed_ns, at_ns)
    kinds = np.array([_GONE, _GONE, _APPEARED, _STATE], dtype=np.int8)
    return Changes(
        at_ns=instants, kind=np.repeat(kinds, sizes), rows=np.concatenate(parts, dtype=ENTRY)
    )
