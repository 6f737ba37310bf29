"""A log of ``ipvsadm -Ln`` or ``-Lnc`` with times between, cut into polls: when, what was printed.

Times as people's loops leave them (``loadgen.importing.times.lines``). A time without a date is
taken to count up, day after day, from an unknown one; a date without a year, year after year.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from loadgen.errors import UsageProblem
from loadgen.importing.sources.lines import MAX_POLL_BYTES
from loadgen.importing.times.lines import source_of, stamp_of
from loadgen.importing.times.stamps import StampReader

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from loadgen.importing.times.stamps import Stamp

_TABLE = re.compile(
    r"\s*(?:IP Virtual Server version|IPVS connection entries|Timeout \(tcp tcpfin udp\):)"
)

_MOST_BEFORE = 1000  # lines that may stand above the first time
_MOST_CHARACTERS_BEFORE = 1 << 20


@dataclass(frozen=True, slots=True)
class LogPoll:
    """One poll of a director: its stamp, and what was printed."""

    stamp: Stamp
    text: str

    @property
    def at_s(self) -> float:
        """Unix seconds by the stamp, or what comes nearest to them (``Stamp``)."""
        return self.stamp.at_s


def polls_in(lines: Iterable[str], year: int, written_s: float | None = None) -> Iterator[LogPoll]:
    """Cut a log into polls; the last of several is left out if it was cut off within a line.

    Args:
        lines: of the log, with or without their ends.
        year: for stamps that name none.
        written_s: when the log was last written, Unix s; None where that is not known.

    Raises:
        UsageProblem: a poll is longer than any director's, or the lines are several directors'.
    """
    clock = StampReader(year, before_s=written_s)
    dated: Stamp | None = None
    gathered = _Gathered()
    several = ends = cut_off = False
    source = ""
    for raw in lines:
        line = raw.rstrip("\r\n")
        cut_off = ends and line == raw
        ends = ends or line != raw
        stamp, rest = stamp_of(line)
        begins_table = rest is not None and bool(_TABLE.match(rest))
        if begins_table:
            source = _same_source(source, source_of(line))
        if stamp and (rest is None or begins_table):
            if dated is not None and gathered.is_any:
                yield LogPoll(dated, gathered.text)
                several = True
            dated, gathered = clock.read(stamp), _Gathered()
        if dated is not None:
            gathered.add(line if rest is None and not stamp else rest or "")
    if cut_off and several:
        return
    if dated is not None and gathered.is_any:
        yield LogPoll(dated, gathered.text)


def polls_before_times(
    lines: Iterable[str], year: int, written_s: float | None = None
) -> Iterator[LogPoll]:
    """The same of a log with each time after what was printed (``ipvsadm -Ln; date``)."""
    clock = StampReader(year, before_s=written_s)
    gathered = _Gathered()
    for raw in lines:
        line = raw.rstrip("\r\n")
        stamp, rest = stamp_of(line)
        if stamp is None or rest is not None:
            gathered.add(line)
            continue
        dated = clock.read(stamp)
        if dated is not None and gathered.is_any:
            yield LogPoll(dated, gathered.text)
        gathered = _Gathered()


def times_stand_after(lines: Iterable[str]) -> bool:
    """Whether a log begins with a table that has no time, and ends with a time that has no table.

    It is read to its end only where it begins so.
    """
    last: tuple[str | None, str | None] = ("", "")
    has_begun = False
    for line in lines:
        stamp, rest = stamp_of(line.rstrip("\r\n"))
        if not has_begun:
            if stamp is not None:
                return False
            has_begun = bool(_TABLE.match(rest or ""))
        if stamp is not None or (rest and rest.strip()):
            last = (stamp, rest)
    return has_begun and last[0] is not None and last[1] is None


@dataclass(slots=True)
class _Gathered:
    """What one poll has printed so far."""

    lines: list[str] = field(default_factory=list)
    characters: int = 0

    def add(self, line: str) -> None:
        self.characters += len(line)
        if self.characters > MAX_POLL_BYTES:
            raise UsageProblem(f"a poll of the log: expected {MAX_POLL_BYTES >> 20} MiB at most")
        self.lines.append(line)

    @property
    def is_any(self) -> bool:
        return any(line.strip() for line in self.lines)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def _same_source(known: str, source: str) -> str:
    if known and source and source != known:
        raise UsageProblem(
            "the log: tables of several hosts or containers; expected one director's "
            "(import each director's on its own)"
        )
    return source or known


def before_polls(lines: Iterable[str]) -> str:
    """What a log says before the first of its times: ``ipvsadm -L --timeout``, asked once."""
    gathered: list[str] = []
    characters = 0
    for line in lines:
        stamp, _ = stamp_of(line.rstrip("\r\n"))
        characters += len(line)
        if stamp or len(gathered) == _MOST_BEFORE or characters > _MOST_CHARACTERS_BEFORE:
            break
        gathered.append(line)
    return "".join(gathered)
