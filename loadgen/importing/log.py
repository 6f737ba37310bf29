"""A log of ``ipvsadm -Ln`` or ``-Lnc`` with times between, to looks: when, and what was printed.

Times as people's loops leave them: ``watch``'s heading, ``ts`` before each line, ``date`` (or its
``+%s``) on a line of its own. A time without a date is taken to count up, day after day, from an
unknown one.
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

_WATCH = re.compile(rf"Every [\d.,]+s: .*?({STAMP})\s*$")
_ALONE = re.compile(rf"\[?({STAMP})\]?\s*$")
_BEFORE = re.compile(rf"\[?({STAMP})\]?[:,]?\s")
_TABLE = re.compile(r"\s*(?:IP Virtual Server version|IPVS connection entries)")
_CLOCK_TIME = re.compile(r"(\d{1,2}):(\d\d):(\d\d)(?:[.,](\d{1,9}))?$")
_NUMBER = re.compile(r"\d{1,13}(?:\.\d{1,9})?$")
_ZONE_NAME = re.compile(r" (?!UTC)[A-Z]{3,5}(?= \d{4}$|$)")
_DAY_S = 86_400.0
_MILLISECONDS_FROM = 1e11


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a director: Unix seconds (or seconds since an unknown instant), and a text."""

    at_s: float
    text: str


@dataclass(slots=True)
class _Times:
    """Stamps to seconds; a clock time that runs backwards began a new day."""

    year: int
    days: int = 0
    last_s: float = field(default=-1.0)

    def seconds(self, stamp: str) -> float | None:
        clock = _CLOCK_TIME.match(stamp)
        if clock:
            hours, minutes, whole = (int(clock[index]) for index in (1, 2, 3))
            at_s = hours * 3600 + minutes * 60 + whole + float(f"0.{clock[4] or 0}")
            if at_s < self.last_s:
                self.days += 1
            self.last_s = at_s
            return at_s + self.days * _DAY_S
        if _NUMBER.match(stamp):
            number = float(stamp)
            return number / 1000 if number > _MILLISECONDS_FROM else number
        return _dated(stamp, self.year)


def _dated(stamp: str, year: int) -> float | None:
    from dateutil import parser

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a zone's name is not an offset: taken as UTC
        try:
            at = parser.parse(_ZONE_NAME.sub("", stamp), default=datetime(year, 1, 1, tzinfo=UTC))
        except (ValueError, OverflowError):
            return None
    return float((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())


def looks(lines: Iterable[str], year: int) -> Iterator[Look]:
    """Cut a log into looks.

    Args:
        lines: of the log, with or without their ends.
        year: for stamps that name none.
    """
    times = _Times(year)
    at_s: float | None = None
    gathered: list[str] = []
    for raw in lines:
        line = raw.rstrip("\r\n")
        stamp, rest = _stamp_of(line)
        begins = rest is None or bool(_TABLE.match(rest))
        instant = times.seconds(stamp) if stamp and begins else None
        if instant is not None:
            if at_s is not None and any(text.strip() for text in gathered):
                yield Look(at_s, "\n".join(gathered))
            at_s, gathered = instant, []
        gathered.append(line if rest is None and not stamp else rest or "")
    if at_s is not None and any(text.strip() for text in gathered):
        yield Look(at_s, "\n".join(gathered))


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
