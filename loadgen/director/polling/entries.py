"""The entries of one director: when to read them, whether to, and what changed between reads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from analyzer.conntrack.masqueraded import Masquerades
from analyzer.conntrack.proc import ConntrackRows, read_conntrack, translated
from analyzer.ipvs.proc.entry_text import read_entries
from analyzer.ipvs.table_diff.matching import distinct_entries
from analyzer.ipvs.table_diff.reads import AbsenceProof, Resizes, TableRead
from analyzer.ipvs.table_diff.tracking import TableTracker, joined
from analyzer.ipvs.versions import law_of
from loadgen.director.links.snapshot import IPVS
from loadgen.director.polling.pace import LONGEST_WAIT_S, EntriesPace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analyzer.ipvs.proc.entry_rows import EntryRows, Rows
    from analyzer.ipvs.table_diff.reads import Settled
    from analyzer.ipvs.table_diff.tracking import Changes, Numbers
    from analyzer.recording.manifest.director import Kind
    from loadgen.director.links.snapshot import Snapshot, Source
    from loadgen.director.polling.watched import Watched

TRY_AGAIN_S = 10.0

CONNTRACK_PAGE_BYTES = 3800
"""A text of connection tracking that is shorter came in a single read(2): a page, less a line."""

_TABLES: Mapping[Kind, str] = {
    "ipvs": "/proc/net/ip_vs_conn",
    "netfilter": "connection tracking",
}

Reading = Literal["yes", "given-up", "unreadable"]

Notice = tuple[str, str]
"""An event's kind and detail."""

_EVENTS: dict[Reading, str] = {
    "yes": "entries-resumed",
    "given-up": "entries-given-up",
    "unreadable": "entries-unreadable",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a snapshot added to what is known of the entries.

    Attributes:
        changes: since the last read that was taken in; None where none was.
        lines: of this snapshot's own read; None where it read no entries.
        proof: of the read before this snapshot, where that waited for its size.
        masqueraded: entries that the read before did not have, with what stands for their clients
            before the real servers, ``MASQUERADED``; None where there are none.
    """

    changes: Changes | None
    lines: int | None
    proof: AbsenceProof | None
    masqueraded: Rows | None = None


class Entries:
    """Folds the reads of a director's connection table.

    Attributes:
        unread: lines of the last read that were not understood.
        reading: ``yes``; ``given-up`` while a read costs too much; ``unreadable`` while there is
            nothing to read, as before a director that boots has loaded its IPVS.
        why_not: why entries were not read, or not all the time; None where they were.
        there: about how many there are, of all services.
    """

    def __init__(
        self, watched: Watched, share: float, kernel: str | None, source: Source = IPVS
    ) -> None:
        self.reading: Reading = "yes"
        self.why_not: str | None = None
        self.there = self.unread = 0
        self._try_again_s = 0.0
        self._watched = watched
        self._share = share
        self._kind = source.kind
        self._pace = EntriesPace(share, kernel, source)
        self._tracker = TableTracker()
        self._masquerades = Masquerades()
        resizes = source.kind == "ipvs" and law_of(kernel).table_resizes
        self._resizes: Resizes[Rows] | None = Resizes() if resizes else None

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

    def take(self, at_ns: int, now_s: float, snapshot: Snapshot) -> Taken:
        """What a snapshot shows to have changed, and how many lines it had.

        Args:
            at_ns: when the snapshot was taken.
            now_s: the same on the clock that ``is_due`` is asked by.
            snapshot: with the entries; without them it has the size of the table alone, which
                settles the read before it where the table resizes itself.
        """
        table = None if snapshot.entries is None else self._parse(snapshot.entries)
        if table is not None:
            self.unread = table.unread
            cost_s = snapshot.took_s if snapshot.cpu_s is None else snapshot.cpu_s
            self._pace.note(now_s, table.lines, cost_s)
        lines = None if table is None else table.lines
        if self._resizes is not None:
            read = None if table is None else self._read(at_ns, snapshot, table)
            settled = self._resizes.poll(snapshot.services.conn_tab_size, read)
            return self._settled(settled, lines)
        if table is None:
            return Taken(changes=None, lines=None, proof=None)
        entries = self._ours(table.rows)
        proof = self._proof(snapshot.entries or "")
        changes = self._tracker.update(at_ns, entries, table.lines, proof)
        masqueraded = self._masqueraded(table)
        return Taken(changes=changes, lines=lines, proof=None, masqueraded=masqueraded)

    @property
    def is_waiting(self) -> bool:
        """Whether a read waits for the size that the next poll sees."""
        return self._resizes is not None and self._resizes.is_waiting

    def finish(self) -> Taken:
        """What the last read shows, where no poll comes after it."""
        settled = self._resizes.settle() if self._resizes is not None else None
        taken = self._settled(settled, None)
        last = self._tracker.finish()
        changes = last if taken.changes is None else joined(taken.changes, last)
        return replace(taken, changes=changes)

    def unproved(self) -> str | None:
        """How many reads proved no entry gone, since the table was being resized; None if none."""
        if self._resizes is None or not self._resizes.proofs[AbsenceProof.NOTHING]:
            return None
        proofs = self._resizes.proofs
        count = sum(proofs.values())
        return (
            f"{proofs[AbsenceProof.NOTHING]} of {count} reads came while the table was "
            "resized, or had no neighbour to tell: they prove no entry gone"
        )

    def _parse(self, text: str) -> EntryRows:
        return read_entries(text) if self._kind == "ipvs" else read_conntrack(text)

    def _ours(self, rows: Rows) -> Rows:
        """Those that are watched; of tracked connections only what a real server answers."""
        if self._kind == "netfilter":
            rows = rows[translated(rows)]
        return self._watched.entries(rows)

    def _masqueraded(self, table: EntryRows) -> Rows | None:
        if not isinstance(table, ConntrackRows):
            return None
        rows = table.masqueraded
        rows = rows[translated(rows["entry"]) & self._watched.are_entries(rows["entry"])]
        return self._masquerades.fresh(rows)

    def _proof(self, text: str) -> AbsenceProof | None:
        """What a missing entry proves; None: what the number of lines says.

        A walk of the tracked connections goes on by counting too, and its lines are longer.
        """
        if self._kind == "ipvs":
            return None
        is_whole = len(text) < CONNTRACK_PAGE_BYTES
        return AbsenceProof.WHOLE if is_whole else AbsenceProof.PARTIAL

    def _read(self, at_ns: int, snapshot: Snapshot, table: EntryRows) -> TableRead[Rows]:
        return TableRead(
            at_ns=at_ns,
            table=self._ours(table.rows),
            lines=table.lines,
            distinct=distinct_entries(table.rows),
            counted=snapshot.n_entries,
            size=snapshot.services.conn_tab_size,
        )

    def _settled(self, settled: Settled[Rows] | None, lines: int | None) -> Taken:
        if settled is None:
            return Taken(changes=None, lines=lines, proof=None)
        read = settled.read
        changes = self._tracker.update(read.at_ns, read.table, read.lines, settled.proof)
        return Taken(changes=changes, lines=lines, proof=settled.proof)

    def weigh(
        self, now_s: float, snapshot: Snapshot, lines: int | None, *, asked: bool
    ) -> Notice | None:
        """Decide whether to go on reading; the event, where that has changed.

        Args:
            now_s: as for ``is_due``.
            snapshot: the last.
            lines: of its entries; None where it had none.
            asked: they were asked for.
        """
        self.there = max(snapshot.n_entries, lines or 0)
        if asked and lines is None:
            self._try_again_s = now_s + TRY_AGAIN_S
            return self._become("unreadable", f"{_TABLES[self._kind]} gave nothing")
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
