"""A log of ``ipvsadm -Ln`` or ``-Lnc`` with times between, cut into polls: when, what was printed.

Times as people's loops leave them (``loadgen.importing.times.lines``). A time without a date is
taken to count up, day after day, from an unknown one; a date without a year, year after year.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadgen.errors import UsageProblem
from loadgen.importing.sources.lines import MAX_POLL_BYTES
from loadgen.importing.times.lines import stamp_of
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
        UsageProblem: a poll is longer than any director's.
    """
    clock = StampReader(year, before_s=written_s)
    dated: Stamp | None = None
    gathered: list[str] = []
    several = ends = cut_off = False
    characters = 0
    for raw in lines:
        line = raw.rstrip("\r\n")
        cut_off = ends and line == raw
        ends = ends or line != raw
        stamp, rest = stamp_of(line)
        begins = rest is None or bool(_TABLE.match(rest))
        if stamp and begins:
            if dated is not None and any(text.strip() for text in gathered):
                yield LogPoll(dated, "\n".join(gathered))
                several = True
            dated, gathered, characters = clock.read(stamp), [], 0
        if dated is not None:
            characters += len(line)
            if characters > MAX_POLL_BYTES:
                raise UsageProblem(
                    f"a poll of the log: expected {MAX_POLL_BYTES >> 20} MiB at most"
                )
            gathered.append(line if rest is None and not stamp else rest or "")
    if cut_off and several:
        return
    if dated is not None and any(text.strip() for text in gathered):
        yield LogPoll(dated, "\n".join(gathered))


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
