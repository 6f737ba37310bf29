"""A date and time in any of the written forms of ``date``, ``watch``, the journal and people.

What is read is said again in the one form that ``StampReader`` takes: ``2026-11-28 03:59:40 CET``,
``Nov 28 03:59:40`` without a year, ``05/06/2026 03:59:40`` where nothing in the text says which
number is the month.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from loadgen.importing.times.names import (
    AFTER_NOON,
    BEFORE_NOON,
    DAYS,
    ENGLISH,
    JOINTS,
    MONTHS,
    folded,
)
from loadgen.importing.times.zones import is_zone

if TYPE_CHECKING:
    from collections.abc import Callable

MAY_BE_TIME = re.compile(
    r"\d:\d\d:\d\d(?!\d)|\d[時时시] ?\d{1,2}[分분]|(?<![\d.])\d{1,2}\.\d\d\.\d\d(?![\d.])"
)
"""In every line with a time of day, and in few others."""

_MOST_CHARACTERS: Final = 120
_MOST_UNKNOWN_WORDS: Final = 3
_YEARS = range(1970, 2117)

_TOKEN = re.compile(
    r"""
      (?P<space>[\s,;()（）·]+|(?<=\d)[T_](?=\d)|(?<=\d)[-/](?=[^\W\d_])|(?<=[^\W\d_])[-/](?=\d)
        |(?<=\d\d\d\d):(?=\d\d:))
    | (?P<time>\d{1,2}:\d\d:\d\d(?:[.,]\d{1,9})?)(?![\d:])(?P<utc>Z\b)?
    | (?P<marked>\d{1,2}[時时시]\s?\d{1,2}[分분]\s?\d{1,2}[秒초]?)
    | (?P<ymd>\d{4}(?:\s?[年년]\s*\d{1,2}\s?[月월]\s*\d{1,2}\s?[日일]?
        |(?P<a>[-/.])\s?\d{1,2}(?P=a)\s?\d{1,2}\.?))(?!\d)
    | (?P<dmy>\d{1,2}(?:(?P<b>[-/.])\d{1,2}(?P=b)\d{4}\.?|(?P<c>[-/])\d{1,2}(?P=c)\d\d))(?!\d)
    | (?P<dots>\d{1,2}\.\d\d\.\d\d)(?![\d.])
    | (?P<offset>[+-]\d\d(?::?\d\d)?)(?![\d:])
    | (?P<number>\d{1,4})(?!\d)(?:\.|º|°|(?:st|nd|rd|th|er)\b)?
    | (?P<word>(?:星期|週|周|礼拜)[一二三四五六日天]|[日月火水木金土]曜日?
        |[^\W\d_](?:[^\W\d_]|[\u0300-\u036f]|['’.-](?=[^\W\d_]))*\.?)
    """,  # noqa: RUF001
    re.VERBOSE,
)
_AROUND = re.compile(r"[\s=#*\[\]:>|<~+_-]*")
_NUMBERS = re.compile(r"\d+")


class Written(NamedTuple):
    """A stamp, as it is said again, and where in the line it ends."""

    text: str
    end: int


@dataclass(slots=True)
class _Parts:
    """What was read so far."""

    whole: bool  # the line is to hold nothing else
    year: int | None = None
    month: int | None = None
    day: int | None = None
    either: tuple[int, int] | None = None  # day and month, or month and day
    time: str | None = None
    noon: str | None = None
    zone: str | None = None
    unknown: int = 0
    month_word: str = ""

    @property
    def has_date(self) -> bool:
        return self.either is not None or (self.month is not None and self.day is not None)

    def take(self, found: re.Match[str]) -> bool:
        """Take one token; False where it does not belong to a stamp."""
        kind = found.lastgroup or ""
        kind = "time" if kind == "utc" else {"a": "ymd", "b": "dmy", "c": "dmy"}.get(kind, kind)
        return kind == "space" or _TAKEN[kind](self, found)

    def take_time(self, found: re.Match[str]) -> bool:
        if self.time is not None:
            return False
        self.time = found["time"].replace(",", ".")
        self.zone = "UTC" if found["utc"] else None
        return True

    def take_marked(self, found: re.Match[str]) -> bool:
        if self.time is not None:
            return False
        self.time = ":".join(number.zfill(2) for number in _NUMBERS.findall(found[0]))
        return self.time.count(":") == 2

    def take_ymd(self, found: re.Match[str]) -> bool:
        return self._take_date(*map(int, _NUMBERS.findall(found["ymd"])))

    def take_dmy(self, found: re.Match[str]) -> bool:
        return self._take_short_date(found["dmy"])

    def _take_short_date(self, text: str) -> bool:
        first, second, year = map(int, _NUMBERS.findall(text))
        year += 2000 if year < 100 else 0
        if "/" not in text or first > 12:
            return self._take_date(year, second, first)
        if second > 12:
            return self._take_date(year, first, second)
        if self.has_date:
            return False
        self.year, self.either = year, (first, second)
        return True

    def _take_date(self, year: int, month: int, day: int) -> bool:
        if self.has_date or self.year is not None or not 1 <= month <= 12 or not 1 <= day <= 31:
            return False
        self.year, self.month, self.day = year, month, day
        return True

    def take_dots(self, found: re.Match[str]) -> bool:
        if not self.has_date:
            return self._take_short_date(found["dots"])
        if self.time is not None:
            return False
        self.time = found["dots"].replace(".", ":")
        return True

    def take_offset(self, found: re.Match[str]) -> bool:
        if self.time is None or (self.zone or "")[:1] in ("+", "-"):
            return False
        digits = found["offset"].replace(":", "")
        self.zone = digits if len(digits) == 5 else f"{digits}00"
        return True

    def take_number(self, found: re.Match[str]) -> bool:
        number = int(found["number"])
        if len(found["number"]) == 4:
            taken = self.year is None and number in _YEARS
            self.year = number if taken else self.year
            return taken
        if self.time is not None and not self.whole:
            return False
        if self.day is None and 1 <= number <= 31:
            self.day = number
            return True
        if self.month is None and 1 <= number <= 12:
            self.month = number
            return True
        return False

    def take_word(self, found: re.Match[str]) -> bool:
        word = found["word"]
        name = folded(word)
        month = MONTHS.get(name)
        if month is not None and (self.month is None or self.month_word in DAYS):
            self.month, self.month_word = month, name
            return True
        if name in BEFORE_NOON or name in AFTER_NOON:
            self.noon = "pm" if name in AFTER_NOON else "am"
            return True
        if self.time is not None and word.isupper() and word.isascii() and self.zone is None:
            is_one = 2 <= len(word) <= 5 if self.whole else is_zone(word)
            self.zone = word if is_one else None
            return is_one
        if name in DAYS or word[0] in "星週周" or name.rstrip("日요").endswith(("曜", "일")):
            return self.time is None or self.whole
        if name in JOINTS:
            return self.whole or self.time is None
        self.unknown += 1
        return self.whole and self.unknown <= _MOST_UNKNOWN_WORDS

    def said_again(self) -> str | None:
        """The stamp in the one form; None where it has no date or no time."""
        if self.time is None or not self.has_date:
            return None
        time = self._time_in_24_hours()
        zone = f" {self.zone}" if self.zone else ""
        if self.either is not None:
            return f"{self.either[0]:02}/{self.either[1]:02}/{self.year} {time}{zone}"
        assert self.month is not None
        if self.year is not None:
            return f"{self.year}-{self.month:02}-{self.day:02} {time}{zone}"
        return f"{ENGLISH[self.month - 1]} {self.day} {time}{zone}"

    def _time_in_24_hours(self) -> str:
        assert self.time is not None
        hour, rest = self.time.split(":", 1)
        if self.noon is not None and 1 <= int(hour) <= 12:
            hour = str(int(hour) % 12 + (12 if self.noon == "pm" else 0))
        return f"{hour.zfill(2)}:{rest}"


_TAKEN: Final[dict[str, Callable[[_Parts, re.Match[str]], bool]]] = {
    "time": _Parts.take_time,
    "marked": _Parts.take_marked,
    "ymd": _Parts.take_ymd,
    "dmy": _Parts.take_dmy,
    "dots": _Parts.take_dots,
    "offset": _Parts.take_offset,
    "number": _Parts.take_number,
    "word": _Parts.take_word,
}


def written_alone(line: str) -> str | None:
    """The stamp that a line is, with a ruler or a few words around it; None for any other line."""
    if len(line) > _MOST_CHARACTERS:
        return None
    parts, at = _Parts(whole=True), 0
    while at < len(line):
        found = _TOKEN.match(line, at)
        if found is None:
            around = _AROUND.match(line, at)
            if around is None or around.end() == at:
                return None
            at = around.end()
        elif parts.take(found):
            at = found.end()
        else:
            return None
    return parts.said_again()


def written_before(line: str) -> Written | None:
    """The stamp, with a date, that a line begins with; None where it begins with none."""
    at = 1 if line[:1] == "[" else 0
    parts, end = _Parts(whole=False), 0
    while at < min(len(line), _MOST_CHARACTERS):
        found = _TOKEN.match(line, at)
        if found is None or not parts.take(found):
            break
        at = found.end()
        end = at if found.lastgroup != "space" else end
    text = parts.said_again()
    return None if text is None else Written(text, end)
