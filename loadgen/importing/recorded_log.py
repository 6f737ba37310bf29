"""The polls of a log as the tables of a run directory: services, entries, polls."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from analyzer.ipvs.proc.entry_rows import AddressNames
from analyzer.ipvs.table_diff.reads import AbsenceProof
from analyzer.ipvs.table_diff.tracking import TableTracker, joined
from loadgen.director.polling.rows import RESIZING, counters_alone, service_rows
from loadgen.errors import UsageProblem
from loadgen.importing.polls import no_row, polls_of
from loadgen.importing.proofs import Proofs, table_resizes
from loadgen.importing.sources.overview import MAX_WARNINGS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from analyzer.ipvs.proc.formats import EntryTable
    from analyzer.ipvs.table_diff.tracking import Changes
    from analyzer.recording.directory import RecordingWriter
    from loadgen.importing.folder import Clock
    from loadgen.importing.printed import Printed
    from loadgen.importing.sources.find import PollLog
    from loadgen.importing.sources.overview import LoggedPoll, Overview

NO_COUNTS = {
    "what": "ActiveConn and InActConn",
    "why": "the log has none; ipvsadm -Ln prints them",
}
_ROWS_WRITTEN = 10_000
"""Changes of entries, at least, that are written at once."""


def record_log(
    log: PollLog,
    overview: Overview,
    clock: Clock,
    recording: RecordingWriter,
    director: str,
    kernel: object,
) -> list[str]:
    """Write what a log has to a recording; at most ``MAX_WARNINGS`` lines for the operator.

    Args:
        log: its files in the order of their times.
        overview: of its polls.
        clock: its director's.
        recording: whose manifest says what is not measured.
        director: its name.
        kernel: its release; None where nobody says.

    Raises:
        UsageProblem: the log has no poll, or one at an instant that no recording can hold.
        RecordingError: the directory cannot take it.
    """
    kept = _record_polls(polls_of(log), overview, clock, recording, director, kernel)
    if kept.holds_nothing:
        raise no_row(log, is_error=kept.only_errors, is_other=not kept.warnings)
    if not kept.has_counts:
        rows = [*recording.manifest["not_measured"], NO_COUNTS]
        recording.update_manifest({"not_measured": rows})
    return kept.warnings


@dataclass(slots=True)
class _Kept:
    """What was understood of a log."""

    warnings: list[str] = field(default_factory=list)
    has_rows: bool = False
    has_tables: bool = False
    has_counts: bool = False
    only_errors: bool = True

    def add(self, printed: Printed) -> None:
        """The next poll."""
        self.warnings += printed.warnings[: MAX_WARNINGS - len(self.warnings)]
        servers = any(service.destinations for service in printed.services)
        rows = servers or printed.counters or printed.rates or printed.timeouts
        self.has_counts |= servers or printed.size is not None
        self.has_rows |= bool(rows or (printed.table and printed.table.lines))
        self.has_tables |= printed.size is not None or printed.table is not None
        self.only_errors &= printed.is_error

    @property
    def holds_nothing(self) -> bool:
        """Whether nothing is left of what was printed; an empty table is something."""
        return not self.has_rows and (bool(self.warnings) or not self.has_tables)


def _record_polls(
    polls: Iterable[LoggedPoll],
    overview: Overview,
    clock: Clock,
    recording: RecordingWriter,
    director: str,
    kernel: object,
) -> _Kept:
    tracker, names = TableTracker(busy_too=True), AddressNames()
    changes = _ChangesWriter(names, recording, director)
    sizes = overview.sizes
    proofs = Proofs(sizes) if table_resizes(str(kernel or ""), sizes) else None
    kept = _Kept()
    for number, (poll, size) in enumerate(zip(polls, sizes, strict=False)):  # a log may grow
        try:
            at_ns = clock.at_ns(poll.t)
        except ValueError as error:
            raise UsageProblem(f"poll {number + 1} of the log: {error}") from None
        printed = poll.printed()
        kept.add(printed)
        rows = [
            row
            for service in printed.services
            for row in service_rows(service, printed.counters, printed.rates)
        ]
        rows += counters_alone(printed.counters, printed.rates, printed.services)
        recording.extend("services", [{"at": at_ns, "director": director} | row for row in rows])
        proof, table = None, printed.table
        if table is not None:
            proof = proofs.of(number, table, printed.services) if proofs else None
            found = names.rows_of(table.entries)
            changes.add(tracker.update(at_ns, found, table.lines, proof))
        row = _poll_row(at_ns, director, clock.uptime_s(poll.t), table)
        what = RESIZING if proof is AbsenceProof.NOTHING else row["what"]
        recording.append("polls", row | {"what": what, "buckets": size})
    changes.add(tracker.finish())
    changes.write()
    return kept


@dataclass(slots=True)
class _ChangesWriter:
    """Writes changes to a recording, those of many small polls at once.

    Each time takes all names so far, to write out what the addresses stand for.
    """

    names: AddressNames
    recording: RecordingWriter
    director: str
    waiting: list[Changes] = field(default_factory=list)
    rows: int = 0

    def add(self, changes: Changes) -> None:
        if len(changes):
            self.waiting.append(changes)
            self.rows += len(changes)
        if self.rows >= _ROWS_WRITTEN:
            self.write()

    def write(self) -> None:
        if self.waiting:
            columns = joined(*self.waiting).columns(self.names.columns)
            self.recording.extend_columns("entries", columns | {"director": self.director})
        self.waiting, self.rows = [], 0


def _poll_row(
    at_ns: int, director: str, uptime_s: float, table: EntryTable | None
) -> dict[str, Any]:
    return {
        "at": at_ns,
        "director": director,
        "what": "services" if table is None else "entries",
        "took_ms": 0.0,
        "entries": None if table is None else table.lines,
        "asked": at_ns,
        "director_uptime_s": uptime_s,
    }
