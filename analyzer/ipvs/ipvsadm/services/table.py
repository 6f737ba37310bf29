"""Collects the lines of a service table, and decides at its end who printed them.

A service of which nothing waits for that decision is finished when the next one begins: its lines
are not kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from msgspec.structs import replace

from analyzer.ipvs.ipvsadm.ends import TABLE_CUT, Notation, notation, plain_end
from analyzer.ipvs.ipvsadm.model import Service
from analyzer.ipvs.ipvsadm.services import columns as cols
from analyzer.ipvs.ipvsadm.services.drafts import LEADS, Draft, Row
from analyzer.ipvs.ipvsadm.services.plain import plain_server, plain_service
from analyzer.ipvs.ipvsadm.services.reading import Reading
from analyzer.ipvs.ipvsadm.services.recognition import (
    EIGHT_DIGITS,
    PLAIN,
    is_scheduled,
    is_service,
    mark_notation,
)

if TYPE_CHECKING:
    import re
    from collections.abc import Iterator

    from analyzer.ipvs.ipvsadm.lines import Line
    from analyzer.ipvs.ipvsadm.model import Destination
    from analyzer.ipvs.ipvsadm.services.reading import ParserWarnings


@dataclass(slots=True, kw_only=True)
class Table:
    """A table: what stands between two titles."""

    kernels: int = 0  # by how many lines above the last draft's the kernel is ahead of ipvsadm
    columns: tuple[str, ...] | None = None
    titled: bool = False  # then one tool printed all of it
    padded: bool = False  # ipvsadm sets its titles apart, the kernel does not
    pattern: re.Pattern[str] | None = field(default_factory=lambda: cols.row_pattern(cols.PLAIN))
    last: Draft | None = None
    above: list[Service | Draft] = field(default_factory=list)  # before the last
    rows: list[Destination | Row] = field(default_factory=list)  # of all drafts, one after another
    widths: list[int] = field(default_factory=list)  # of the rows whose ends fit their column

    def title(self, line: Line) -> bool:
        """Take ``Prot LocalAddress:Port …`` or ``-> RemoteAddress:Port …``."""
        if not cols.is_title(line.words):
            return False
        self.columns = cols.titled(line.words) or self.columns
        self.pattern = cols.row_pattern(self.columns or cols.PLAIN)
        self.titled = True
        self.padded |= "Port  " in line.text
        return True

    def service(self, line: Line, *, strict: bool) -> bool:
        """Take a virtual service's line; ``strict`` where none is expected."""
        words = line.words
        if not is_service(words) or (strict and not is_scheduled(words)):
            return False
        draft = self._add_draft(line.number, line.raw)
        draft.vote(mark_notation(words[1]) if words[0] == "FWM" else notation(words[1]))
        if "persistent" in words and EIGHT_DIGITS.fullmatch(words[-1]):
            draft.vote("kernel")
        return True

    def plain_services(self, number: int, lines: list[str], *, strict: bool) -> int:
        """Take virtual services' lines while nothing but an end can be in doubt; how many.

        Only the last of them can have real servers below it, so only that one is a draft, and
        those that wait for the rest of their table.
        """
        padded, columns = self.padded, self.columns
        taken: list[Service | Draft] = []
        printed_by: Notation | None = None
        kernels = lead = 0
        for raw in lines:
            found = PLAIN.fullmatch(raw)
            if found is None:
                break
            protocol, word, v4, port, hexadecimal, hex_port, scheduler, counters = found.groups()
            if strict and not scheduler:
                break
            service = None
            if padded or hexadecimal:
                known = plain_end(v4, port, hexadecimal, hex_port)
                service = plain_service(protocol, known, scheduler, counters, columns)
            printed_by = "ipvsadm" if v4 else "kernel" if hexadecimal else notation(word)
            lead = LEADS.get(printed_by, 0)
            kernels += lead
            taken.append(service or self._draft(number + len(taken), raw, None, printed_by))
        if not taken:
            return 0
        self._finish_last()
        last, before = taken.pop(), len(taken)
        self.kernels += kernels - lead
        self.above += taken
        if not isinstance(last, Draft):
            last = self._draft(number + before, lines[before], last, printed_by)
        self.last = last
        return before + 1

    def broken_service(self, line: Line) -> None:
        """Keep a place for the real servers below a line that was not understood."""
        self._add_draft(line.number, line.raw).broken = True

    def destination(self, line: Line) -> bool:
        """Take a real server's line."""
        if line.words[0] != "->" or len(line.words) < 3 or self.last is None:
            return False
        row, end = Row(line.number, line.raw, self.columns), line.words[1]
        self.last.waiting += 1
        self._add_row(self.last, row, len(end), len(line.raw))
        self.last.vote(notation(end))
        return True

    def plain_destinations(self, number: int, lines: list[str]) -> int:
        """Take real servers' lines while no number is in doubt; how many."""
        draft, pattern, columns = self.last, self.pattern, self.columns
        if pattern is None or draft is None:
            return 0
        padded, widths = self.padded, self.widths
        rows: list[Destination | Row] = []
        for raw in lines:
            found = pattern.fullmatch(raw)
            if found is None:
                break
            word, v4, port, hexadecimal, hex_port, *values = found.groups()
            row: Destination | Row | None = None
            if padded or hexadecimal:
                known = plain_end(v4, port, hexadecimal, hex_port)
                row = plain_server(known, values, columns)
            if row is None:
                row = Row(number + len(rows), raw, columns)
                draft.waiting += 1
            rows.append(row)
            if len(word) <= TABLE_CUT:
                widths.append(len(raw))
            draft.vote("ipvsadm" if v4 else "kernel" if hexadecimal else notation(word))
        draft.rows += len(rows)
        self.rows += rows
        return len(rows)

    def _add_draft(self, number: int, raw: str) -> Draft:
        self._finish_last()
        self.last = Draft(number=number, raw=raw, columns=self.columns)
        return self.last

    def _draft(
        self, number: int, raw: str, service: Service | None, printed_by: Notation | None
    ) -> Draft:
        draft = Draft(number=number, raw=raw, columns=self.columns, service=service)
        draft.vote(printed_by)
        return draft

    def _finish_last(self) -> None:
        """Keep the last draft, as a service if nothing in it waits for the rest of its table."""
        draft, self.last = self.last, None
        if draft is None:
            return
        self.kernels += draft.kernels
        if draft.service is None or draft.waiting:
            self.above.append(draft)
        elif draft.rows:
            below = tuple(self.rows[-draft.rows :])
            del self.rows[-draft.rows :]
            self.above.append(replace(draft.service, destinations=below))
        else:
            self.above.append(draft.service)

    def _add_row(self, draft: Draft, row: Destination | Row, width_of_end: int, width: int) -> None:
        self.rows.append(row)
        draft.rows += 1
        if width_of_end <= TABLE_CUT:
            self.widths.append(width)

    def last_is_short(self) -> bool:
        """Whether all rows are as wide as one another, but for the last, which is narrower."""
        *others, last = self.widths or [0]
        return len(others) > 1 and len(set(others)) == 1 and last < others[0]

    def services(self, warnings: ParserWarnings, hz: int | None) -> Iterator[Service]:
        """Understand what was collected; a line is dropped when it is understood."""
        self._finish_last()
        above, rows = self.above[::-1], self.rows[::-1]
        self.above.clear()
        self.rows.clear()
        while above:
            draft = above.pop()
            yield draft if isinstance(draft, Service) else self._read(draft, rows, warnings, hz)

    def _read(
        self,
        draft: Draft,
        rows: list[Destination | Row],
        warnings: ParserWarnings,
        hz: int | None,
    ) -> Service:
        kernels = 0 if self.padded else self._lead(draft)
        if kernels == 0 and draft.either and not self.padded:
            warnings(draft.number, "ipvsadm's numbers and the kernel's look alike here")
        below = (rows.pop() for _ in range(draft.rows))
        return Reading(draft, below, kernel=kernels > 0, warnings=warnings, hz=hz).service()

    def _lead(self, draft: Draft) -> int:
        """By how many lines the kernel is ahead of ipvsadm: the whole table's, if it has titles."""
        return self.kernels if self.titled else draft.kernels or self.kernels
