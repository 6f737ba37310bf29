"""Collects the lines of a service table, and decides at its end who printed them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from analyzer.ipvs.ipvsadm.ends import TABLE_CUT, Notation, notation
from analyzer.ipvs.ipvsadm.services import columns as cols
from analyzer.ipvs.ipvsadm.services.drafts import Draft, Row, Votes
from analyzer.ipvs.ipvsadm.services.reading import Reading
from analyzer.ipvs.ipvsadm.services.recognition import (
    EIGHT_DIGITS,
    PLAIN,
    is_scheduled,
    is_service,
    mark_notation,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analyzer.ipvs.ipvsadm.lines import Line
    from analyzer.ipvs.ipvsadm.model import Service
    from analyzer.ipvs.ipvsadm.services.reading import ParserWarnings


@dataclass(slots=True, kw_only=True)
class Table(Votes):
    """A table: what stands between two titles."""

    columns: tuple[str, ...] | None = None
    titled: bool = False  # then one tool printed all of it
    padded: bool = False  # ipvsadm sets its titles apart, the kernel does not
    drafts: list[Draft] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)  # of all drafts, one after another
    widths: list[int] = field(default_factory=list)  # of the rows whose ends fit their column

    def title(self, line: Line) -> bool:
        """Take ``Prot LocalAddress:Port …`` or ``-> RemoteAddress:Port …``."""
        if not cols.is_title(line.words):
            return False
        self.columns = cols.titled(line.words) or self.columns
        self.titled = True
        self.padded |= "Port  " in line.text
        return True

    def service(self, line: Line, *, strict: bool) -> bool:
        """Take a virtual service's line; ``strict`` where none is expected."""
        words = line.words
        if not is_service(words) or (strict and not is_scheduled(words)):
            return False
        self._add_draft(line.number, line.raw)
        self._vote(mark_notation(words[1]) if words[0] == "FWM" else notation(words[1]))
        if "persistent" in words and EIGHT_DIGITS.fullmatch(words[-1]):
            self._vote("kernel")
        return True

    def plain_service(self, number: int, raw: str, *, strict: bool) -> bool:
        """Take a virtual service's line if nothing but its end can be in doubt."""
        found = PLAIN.fullmatch(raw)
        if found is None or (strict and not found[3]):
            return False
        self._add_draft(number, raw)
        self._vote(notation(found[2]))
        return True

    def broken_service(self, line: Line) -> None:
        """Keep a place for the real servers below a line that was not understood."""
        self._add_draft(line.number, line.raw, broken=True)

    def destination(self, line: Line) -> bool:
        """Take a real server's line."""
        if line.words[0] != "->" or len(line.words) < 3 or not self.drafts:
            return False
        self._add_row(Row(line.number, line.raw, self.columns), line.words[1])
        return True

    def plain_destination(self, number: int, raw: str) -> bool:
        """Take a real server's line if its numbers are not in doubt."""
        pattern = cols.row_pattern(self.columns or cols.PLAIN)
        found = pattern.fullmatch(raw) if pattern and self.drafts else None
        if found is None:
            return False
        self._add_row(Row(number, raw, self.columns), found[1])
        return True

    def _add_draft(self, number: int, raw: str, *, broken: bool = False) -> None:
        draft = Draft(number=number, raw=raw, columns=self.columns, broken=broken)
        self.drafts.append(draft)

    def _add_row(self, row: Row, end: str) -> None:
        self.rows.append(row)
        self.drafts[-1].rows += 1
        self._vote(notation(end))
        if len(end) <= TABLE_CUT:
            self.widths.append(len(row.raw))

    def _vote(self, printed_by: Notation | None) -> None:
        """Count a line of the last draft."""
        self.vote(printed_by)
        self.drafts[-1].vote(printed_by)

    def last_is_short(self) -> bool:
        """Whether all rows are as wide as one another, but for the last, which is narrower."""
        *others, last = self.widths or [0]
        return len(others) > 1 and len(set(others)) == 1 and last < others[0]

    def services(self, warnings: ParserWarnings, hz: int | None) -> Iterator[Service]:
        """Understand what was collected; a line is dropped when it is understood."""
        drafts, rows = self.drafts[::-1], self.rows[::-1]
        self.drafts.clear()
        self.rows.clear()
        while drafts:
            draft = drafts.pop()
            kernels = 0 if self.padded else self._lead(draft)
            if kernels == 0 and draft.either and not self.padded:
                warnings(draft.number, "ipvsadm's numbers and the kernel's look alike here")
            below = (rows.pop() for _ in range(draft.rows))
            yield Reading(draft, below, kernel=kernels > 0, warnings=warnings, hz=hz).service()

    def _lead(self, draft: Draft) -> int:
        """By how many lines the kernel is ahead of ipvsadm: the whole table's, if it has titles."""
        return self.kernels if self.titled else draft.kernels or self.kernels
