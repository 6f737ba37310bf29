"""A log of ``ipvsadm -Ln`` or ``-Lnc`` with times between, to looks: when, and what was printed.

Times as people's loops leave them: ``watch``'s heading, ``ts`` before each line, ``date`` (or its
``+%s``) on a line of its own, with or without a ruler around it. A time without a date is taken to
count up, day after day, from an unknown one; a date without a year, year after year.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from analyzer.ipvs.texts.lines import STAMP

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_DAY_FIRST = (  # date -R, and date where English is not America's
    rf"(?:[MTWFS][a-z]{{2}},? +)?\d{{1,2}} +{_MONTH}(?: +\d{{4}})? +\d{{1,2}}:\d\d:\d\d"
    r"(?: [AP]M)?(?: [A-Z]{3,5})?(?: [+-]\d{4})?(?: \d{4})?"
)
_FINE_EPOCH = r"\d{16,19}"  # date +%s%6N, +%s%N
_WATCH = re.compile(rf"Every [\d.,]+s: .*?({STAMP}|{_DAY_FIRST})\s*$")
_ALONE = re.compile(rf"[\s=#*\[-]*({STAMP}|{_DAY_FIRST}|{_FINE_EPOCH})[\s=#*\]-]*$")
_BEFORE = re.compile(rf"\[?({STAMP})\]?[:,]?\s")
_TABLE = re.compile(
    r"\s*(?:IP Virtual Server version|IPVS connection entries|Timeout \(tcp tcpfin udp\):)"
)
_CLOCK_TIME = re.compile(r"(\d{1,2}):(\d\d):(\d\d)(?:[.,](\d{1,9}))?$")
_NUMBER = re.compile(r"\d{1,19}(?:\.\d{1,9})?$")
_YEAR = re.compile(r"(?<!\d)\d{4}(?!\d)(?!$)|(?<= )\d{4}$")
_ZONE_NAME = re.compile(r" (?!UTC)[A-Z]{3,5}(?= \d{4}$|$)")
_DAY_S = 86_400.0
_SET_BACK_S = 60.0
"""A clock that was put right may run backwards by less than this without a new day."""

_UNITS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))
"""Numbers from here on count so many in a second."""

_MOST_BEFORE = 1000  # lines that may stand above the first time

_LATEST_S = 2**33
"""In the year 2242: what is no time since 1970 before that is none."""


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a director: Unix seconds (or seconds since an unknown instant), and a text."""

    at_s: float
    text: str


@dataclass(slots=True)
class _Times:
    """Stamps to seconds; a clock time that runs backwards began a new day, a date a new year."""

    year: int
    days: int = 0
    last_s: float = field(default=-1.0)
    last_dated_s: float = field(default=-1.0)

    def seconds(self, stamp: str) -> float | None:
        """None for a stamp that is no time that a recording can hold."""
        at_s = self._seconds(stamp)
        return at_s if at_s is not None and 0 <= at_s < _LATEST_S else None

    def _seconds(self, stamp: str) -> float | None:
        clock = _CLOCK_TIME.match(stamp)
        if clock:
            hours, minutes, whole = (int(clock[index]) for index in (1, 2, 3))
            at_s = hours * 3600 + minutes * 60 + whole + float(f"0.{clock[4] or 0}")
            if at_s < self.last_s - _SET_BACK_S:
                self.days += 1
            self.last_s = at_s
            return at_s + self.days * _DAY_S
        if _NUMBER.match(stamp):
            number = float(stamp)
            return number / next((unit for least, unit in _UNITS if number > least), 1)
        if _YEAR.search(stamp):
            return _dated(stamp, self.year)
        return self._without_year(stamp)

    def _without_year(self, stamp: str) -> float | None:
        dated_s = _dated(stamp, self.year)
        if dated_s is not None and dated_s < self.last_dated_s - 180 * _DAY_S:
            self.year += 1
            dated_s = _dated(stamp, self.year)
        self.last_dated_s = self.last_dated_s if dated_s is None else dated_s
        return dated_s


def _dated(stamp: str, year: int) -> float | None:
    from dateutil import parser

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a zone's name is not an offset: taken as UTC
        try:
            at = parser.parse(_ZONE_NAME.sub("", stamp), default=datetime(year, 1, 1, tzinfo=UTC))
            return float((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())
        except (ValueError, OverflowError):
            return None


def looks(lines: Iterable[str], year: int) -> Iterator[Look]:
    """Cut a log into looks; the last of several is left out if it was cut off within a line.

    Args:
        lines: of the log, with or without their ends.
        year: for stamps that name none.
    """
    times = _Times(year)
    at_s: float | None = None
    gathered: list[str] = []
    several = ends = cut_off = False
    for raw in lines:
        line = raw.rstrip("\r\n")
        cut_off = ends and line == raw
        ends = ends or line != raw
        stamp, rest = _stamp_of(line)
        begins = rest is None or bool(_TABLE.match(rest))
        if stamp and begins:
            if at_s is not None and any(text.strip() for text in gathered):
                yield Look(at_s, "\n".join(gathered))
                several = True
            at_s, gathered = times.seconds(stamp), []
        gathered.append(line if rest is None and not stamp else rest or "")
    if cut_off and several:
        return
    if at_s is not None and any(text.strip() for text in gathered):
        yield Look(at_s, "\n".join(gathered))


def before_looks(lines: Iterable[str]) -> str:
    """What a log says before the first of its times: ``ipvsadm -L --timeout``, asked once."""
    gathered: list[str] = []
    for line in lines:
        stamp, _ = _stamp_of(line.rstrip("\r\n"))
        if stamp or len(gathered) == _MOST_BEFORE:
            break
        gathered.append(line)
    return "".join(gathered)


def _stamp_of(line: str) -> tuple[str | None, str | None]:
    """A line's stamp, and what follows it: None where the stamp stands for a whole look."""
    for pattern in (_WATCH, _ALONE):
        found = pattern.match(line)
        if found:
            return found[1], None
    found = _BEFORE.match(line)
    if found:
        return found[1], line[found.end() :]
    return None, line
