"""A date and time in any of the written forms of ``date``, ``watch``, the journal and people.

What is read is said again in the one form that ``StampReader`` takes: ``2026-11-28 03:59:40 CET``,
``Nov 28 03:59:40`` without a year. Where the text can be read in several ways they all stand there,
each after its order: of 05/06/2026 ``dmy=2026-06-05|mdy=2026-05-06 03:59:40``.
"""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from loadgen.importing.times.names import (
    AFTER_NOON,
    BEFORE_NOON,
    DAYS,
    ENGLISH,
    JOINTS,
    MONTH_NEXT,
    MONTHS,
    TWELVE_HOURS,
    folded,
)
from loadgen.importing.times.zones import is_zone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

MAY_BE_TIME = re.compile(
    r"\d:\d\d:\d\d(?!\d)|\d[時时시] ?\d{1,2}[分분]|(?<![\d.])\d{1,2}\.\d\d\.\d\d(?![\d.])"
)
"""In every line with a time of day, and in few others."""

_MOST_CHARACTERS: Final = 120
_MOST_UNKNOWN_WORDS: Final = 3
_MOST_WORDS_BEFORE: Final = 4
_YEARS = range(1970, 2117)
_BUDDHIST = 543
"""Years that Thailand is ahead."""

_TOKEN = re.compile(
    r"""
      (?P<space>(?<=\d\d)\.(?=[^\W\d_])|[\s,;()（）·\u200e\u200f\u202a-\u202e\u2066-\u2069،]+|(?<=\d)[T_](?=\d)|(?<=\d)[-/](?=[^\W\d_])|(?<=[^\W\d_])[-/](?=\d)
        |(?<=\d\d\d\d):(?=\d\d:))
    | (?P<time>\d{1,2}:\d\d:\d\d(?:[.,]\d{1,9})?)(?![\d:])(?P<utc>Z\b)?
    | (?P<marked>\d{1,2}[時时시]\s?\d{1,2}[分분]\s?\d{1,2}[秒초]?)
    | (?P<ymd>\d{4}(?:\s?[年년]\s*\d{1,2}\s?[月월]\s*\d{1,2}\s?[日일]?
        |(?P<a>[-/.])\s?\d{1,2}(?P=a)\s?\d{1,2}\.?))(?!\d)
    | (?P<month>\d{1,2})\s?[月월]
    | (?P<dmy>\d{1,2}(?:(?P<b>[-/.])\s?\d{1,2}(?P=b)\s?\d{4}\.?|(?P<c>[-/])\d{1,2}(?P=c)\d\d))(?!\d)
    | (?P<dots>\d{1,2}\.\d\d\.\d\d)(?![\d.])
    | (?P<offset>[+-]\d\d(?::?\d\d)?)(?![\d:])
    | (?P<number>\d{4}|(?<![^\W_])\d{1,2})(?!\d)(?:\.|º|°|(?:st|nd|rd|th|er)\b)?
    | (?P<word>(?:星期|週|周|礼拜)[一二三四五六日天]|[日月火水木金土]曜日?
        |[^\W\d_](?:[^\W\d_]|[\u0300-\u036f\u0e31-\u0e4e\u0900-\u09ff\u200c]|['’.-](?=[^\W\d_]))*['’.॰]?)
    """,  # noqa: RUF001
    re.VERBOSE,
)
_AROUND = re.compile(r"[\s=#*\[\]:>|<~+_-]*")
_ZEROS = (0x0660, 0x06F0, 0x0966, 0x09E6, 0x0E50, 0xFF10)  # Arabic to Thai, and wide ones
_DIGITS = {zero + number: str(number) for zero in _ZEROS for number in range(10)}
_NUMBERS = re.compile(r"\d+")
_BEGINNING = re.compile(r"(?:^|(?<=[\s:=#*>|\[(]))(?=[^\s:=#*>|\[(])|^")
_LAST_WORD = re.compile(r"[^\s]+(?=[\s,]+$)")
_NO_HALF = re.compile(r"\b(?:0?[1-9]|1[0-2]):\d\d:\d\d(?: $|  | \])")


class Written(NamedTuple):
    """A stamp, as it is said again, and where in the line it ends."""

    text: str
    end: int


_Day = tuple[int | None, int, int]


@dataclass(slots=True)
class _Parts:
    """What was read so far."""

    whole: bool  # the line is to hold nothing else
    year: int | None = None
    month: tuple[int, ...] = ()  # those that its name stands for
    day: int | None = None
    either: dict[str, _Day] = field(default_factory=dict)  # the dates that 05/06/26 may be
    time: str | None = None
    noon: str | None = None
    zone: str | None = None
    unknown: int = 0
    month_word: str = ""
    month_follows: bool = False
    weekdays: tuple[int, ...] = ()
    is_first: bool = False  # nothing stands before it

    @property
    def has_date(self) -> bool:
        return bool(self.either) or (bool(self.month) and self.day is not None)

    def take(self, found: re.Match[str]) -> bool:
        """Take one token; False where it does not belong to a stamp."""
        kind = found.lastgroup or ""
        kind = "time" if kind == "utc" else {"a": "ymd", "b": "dmy", "c": "dmy"}.get(kind, kind)
        return kind == "space" or _TAKEN[kind](self, found)

    def take_time(self, found: re.Match[str]) -> bool:
        if self.time is not None:
            return False
        self.time = found["time"].replace(",", ".")
        self.zone = "UTC" if found["utc"] else self.zone
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
        """Of three numbers any may be the year if all have two digits; the month begins no dots."""
        first, second, year = numbers = [int(number) for number in _NUMBERS.findall(text)]
        if year > 99 and "/" not in text:
            return self._take_date(year, second, first)
        if self.has_date or self.year is not None:
            return False
        self.either = dict(_dates_of(numbers, has_dots="." in text))
        return bool(self.either)

    def _take_date(self, year: int, month: int, day: int) -> bool:
        if self.has_date or self.year is not None or not 1 <= month <= 12 or not 1 <= day <= 31:
            return False
        self.year, self.month, self.day = _year(year), (month,), day
        return True

    def take_month(self, found: re.Match[str]) -> bool:
        number = int(found["month"])
        if self.month or not 1 <= number <= 12:
            return False
        self.month = (number,)
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
            taken = self.year is None and _year(number) in _YEARS
            self.year = _year(number) if taken else self.year
            return taken
        if self.time is not None and not self.whole:
            return False
        if self.month_follows and 1 <= number <= 12:
            self.month, self.month_follows = (number,), False
            return True
        if self.day is None and 1 <= number <= 31:
            self.day = number
            return True
        taken = self.is_first and self.has_date and self.year is None and self.time is None
        self.year = 2000 + number if taken else self.year
        return taken

    def take_word(self, found: re.Match[str]) -> bool:
        word = found["word"]
        name = folded(word)
        months = MONTHS.get(name)
        if months and (not self.month or self.month_word in DAYS):
            self.weekdays = self.weekdays or DAYS.get(self.month_word, ())
            self.month, self.month_word = months, name
            return True
        if name in MONTH_NEXT and not self.month:
            self.month_follows = True
            return True
        if name in BEFORE_NOON or name in AFTER_NOON:
            self.noon = "pm" if name in AFTER_NOON else "am"
            return True
        if self.zone is None and self._is_zone(word):
            self.zone = word
            return True
        if name in DAYS or word[0] in "星週周" or name.rstrip("日요").endswith(("曜", "일")):
            self.weekdays = DAYS.get(name, ())
            return self.time is None or self.whole
        if name in JOINTS:
            return self.whole or self.time is None
        self.unknown += 1
        stands_behind = self.time is not None and self.has_date
        return self.whole and stands_behind and self.unknown <= _MOST_UNKNOWN_WORDS

    def _is_zone(self, word: str) -> bool:
        if not (word.isupper() and word.isascii()) or len(word) < 2:
            return False
        if self.time is None:  # Arabic and Hebrew have it before
            return self.whole and word in ("UTC", "GMT")
        return len(word) <= 5 if self.whole else is_zone(word)

    def said_again(self) -> str | None:
        """The stamp in the one form; None where it has no date or no time."""
        if self.time is None or not self.has_date:
            return None
        zone = f" {self.zone}" if self.zone else ""
        dates = self._dates()
        shown = [f"{order}={day}" for order, day in dates.items()]
        day = "|".join(shown) if len(dates) > 1 else next(iter(dates.values()), None)
        return day and f"{day} {self._time_in_24_hours()}{zone}"

    def _dates(self) -> dict[str, str]:
        """Each date that may be meant, by the order in which it is read."""
        dates = self.either
        if not dates:
            assert self.day is not None
            dates = {
                f"{number}": (self.year, month, self.day)
                for number, month in enumerate(self.month)
                if self.day <= monthrange(self.year or 2000, month)[1]
            }
        likely = {
            order: (year, month, day)
            for order, (year, month, day) in dates.items()
            if year and date(year, month, day).isoweekday() % 7 in self.weekdays
        }
        return {order: _shown(*day) for order, day in (likely or dates).items()}

    def _time_in_24_hours(self) -> str:
        assert self.time is not None
        hour, rest = self.time.split(":", 1)
        if self.noon is not None and 1 <= int(hour) <= 12:
            hour = str(int(hour) % 12 + (12 if self.noon == "pm" else 0))
        return f"{int(hour):02}:{rest}"


def _year(number: int) -> int:
    """A year of the common era; in Thailand the Buddha's are counted."""
    return number - _BUDDHIST if number - _BUDDHIST in _YEARS else number


def _dates_of(numbers: Sequence[int], *, has_dots: bool) -> Iterator[tuple[str, _Day]]:
    """The dates, with their order, that three numbers may be."""
    first, second, third = numbers
    orders = {"dmy": (third, second, first)}
    if not has_dots:
        orders["mdy"] = (third, first, second)
    if third < 100:
        orders["ymd"] = (first, second, third)
    for order, (short_year, month, day) in orders.items():
        year = _year(short_year) if short_year > 99 else 2000 + short_year
        if 1 <= month <= 12 and year in _YEARS and 1 <= day <= monthrange(year, month)[1]:
            yield order, (year, month, day)


def _shown(year: int | None, month: int, day: int) -> str:
    return f"{year}-{month:02}-{day:02}" if year is not None else f"{ENGLISH[month - 1]} {day}"


_TAKEN: Final[dict[str, Callable[[_Parts, re.Match[str]], bool]]] = {
    "time": _Parts.take_time,
    "marked": _Parts.take_marked,
    "ymd": _Parts.take_ymd,
    "month": _Parts.take_month,
    "dmy": _Parts.take_dmy,
    "dots": _Parts.take_dots,
    "offset": _Parts.take_offset,
    "number": _Parts.take_number,
    "word": _Parts.take_word,
}


def written_alone(line: str) -> str | None:
    """The stamp that a line is, with a ruler or a few words around it; None for any other line."""
    time = MAY_BE_TIME.search(line)
    if len(line) > _MOST_CHARACTERS or time is None:
        return None
    line = line.translate(_DIGITS)
    beginnings = (found.end() for found in _BEGINNING.finditer(line, 0, time.start() + 1))
    stamps = (_written_from(line, at) for at in islice(beginnings, _MOST_WORDS_BEFORE + 1))
    return next(filter(None, stamps), None)


def _written_from(line: str, at: int) -> str | None:
    """The stamp from here to the line's end, with a few words behind it."""
    parts = _Parts(whole=True, is_first=not _AROUND.sub("", line[:at]))
    if not parts.is_first and _is_in_a_date(line, at):
        return None
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


def _is_in_a_date(line: str, at: int) -> bool:
    """Whether what stands before may belong to the stamp: a number, a day of the week."""
    before, here = _LAST_WORD.search(line, 0, at), _TOKEN.match(line, at)
    name = folded(here["word"]) if here and here["word"] else ""
    if before is None or (name in DAYS and name not in MONTHS):
        return False
    if before[0].rstrip(".,").isdigit():
        return True
    return folded(before[0]) in DAYS or folded(before[0]) in MONTHS


def lacks_half_of_the_day(line: str) -> bool:
    """Whether hours are counted to twelve in a line, and nothing says which twelve.

    glibc's locales of Indonesian and Malay print it so.
    """
    found = _NO_HALF.search(line)
    return found is not None and any(
        folded(word) in TWELVE_HOURS for word in re.findall(r"\w+", line)
    )


def written_before(line: str) -> Written | None:
    """The stamp, with a date, that a line begins with; None where it begins with none."""
    line = line.translate(_DIGITS)
    at = 1 if line[:1] == "[" else 0
    parts, end = _Parts(whole=False, is_first=True), 0
    while at < min(len(line), _MOST_CHARACTERS):
        found = _TOKEN.match(line, at)
        if found is None or not parts.take(found):
            break
        at = found.end()
        end = at if found.lastgroup != "space" else end
    text = parts.said_again()
    return None if text is None else Written(text, end)
