"""A log's stamps to seconds: with what zone they were read, and what they leave open.

A time without a date counts up, day after day, from an unknown one; a date without a year, year
after year. A time zone's name is read where it stands for one offset (``zones``); local time whose
zone is not known is read as if it were UTC, and says so.
"""

from __future__ import annotations

import re
import time
import warnings
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from analyzer.log_clock.place import Stamps
from loadgen.importing.times.zones import offset_s

if TYPE_CHECKING:
    from collections.abc import Sequence

    _Moment = tuple[datetime, str | None, float | None]

_CLOCK_TIME = re.compile(r"(\d{1,2}):(\d\d):(\d\d)(?:[.,](\d{1,9}))?$")
_NUMBER = re.compile(r"\d{1,19}(?:\.(\d{1,9}))?$")
_YEAR = re.compile(r"(?<!\d)\d{4}(?!\d)(?!$)|(?<= )\d{4}$")
_ZONE_NAME = re.compile(r" ([A-Z]{3,5})(?=(?: [+-]\d{4})?(?: \d{4})?$)")
_FRACTION = re.compile(r":\d\d[.,](\d{1,9})")
_TIME_OF_DAY = re.compile(
    r"(?<![\d:.,+-])([01]\d|2[0-3]):([0-5]\d):([0-5]\d)(?:\.(\d{1,9}))?(?![\d:.,]| ?[AP]M)"
)
_EITHER = re.compile(r"(\w+=[^|]+(?:\|\w+=[^| ]+(?: \d{1,2})?)+)( .*)$")
_DAY_S = 86_400.0
_SET_BACK_S = 60.0
"""A clock that was put right may run backwards by less than this without a new day."""

_UNITS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))
"""Numbers from here on count so many in a second."""

_EARLIEST_EPOCH_S = 1e8
"""In 1973: a number below it counts from the start of something, not from 1970."""

LATEST_S = 2**33
"""In the year 2242: what is no time since 1970 before that is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """One stamp.

    Attributes:
        at_s: Unix seconds; as if it were UTC where the zone is not known; since an unknown
            midnight or start where no day is named.
        zone: as it stands there; None where it does not.
        utc_offset_s: what it was read with; None where the zone is not known.
        dated: whether it names a day and a year.
        resolution_s: it is rounded down to this.
    """

    at_s: float
    zone: str | None
    utc_offset_s: float | None
    dated: bool
    resolution_s: float


@dataclass(slots=True)
class StampReader:
    """Stamps of one log, in their order: a clock time that runs backwards began a new day.

    Attributes:
        year: of stamps that name none.
        before_s: when the log was written, Unix s: of several readings (05/06) the latest day
            before it is meant; None where that is not known.
        order: of those in which a stamp may be read, the one that was chosen; None before that.
    """

    year: int
    before_s: float | None = None
    order: str | None = None
    days: int = 0
    last_s: float = field(default=-1.0)
    last_dated_s: float = field(default=-1.0)

    def read(self, text: str) -> Stamp | None:
        """None for a text that is no time that a recording can hold."""
        stamp = self._read(text)
        return stamp if stamp is not None and 0 <= stamp.at_s < LATEST_S else None

    def _read(self, text: str) -> Stamp | None:
        clock = _CLOCK_TIME.match(text)
        if clock:
            return self._time_of_day(clock)
        number = _NUMBER.match(text)
        if number:
            return _epoch(text, len(number[1] or ""))
        either = _EITHER.match(text)
        if either:
            text = self._chosen(either[1], either[2])
        if _YEAR.search(text):
            return _dated(text, self.year)
        return self._without_year(text)

    def _chosen(self, days: str, rest: str) -> str:
        """Of a stamp that can be read in several orders (``written``), the one that is meant."""
        readings = {
            order: f"{day}{rest}" for order, day in (one.split("=") for one in days.split("|"))
        }
        if self.order not in readings:
            self.order = self._latest_before(readings)
        return readings[self.order]

    def _latest_before(self, readings: dict[str, str]) -> str:
        first = next(iter(readings))
        if self.before_s is None:
            return first
        ages_s = {
            order: self.before_s - stamp.at_s
            for order, text in readings.items()
            if (stamp := _dated(text, self.year)) is not None
        }
        past = {order: age_s for order, age_s in ages_s.items() if age_s > -_DAY_S}
        return min(past, key=past.__getitem__, default=first)

    def _time_of_day(self, clock: re.Match[str]) -> Stamp:
        hours, minutes, whole = (int(clock[index]) for index in (1, 2, 3))
        at_s = hours * 3600 + minutes * 60 + whole + float(f"0.{clock[4] or 0}")
        if at_s < self.last_s - _SET_BACK_S:
            self.days += 1
        self.last_s = at_s
        return Stamp(
            at_s=at_s + self.days * _DAY_S,
            zone=None,
            utc_offset_s=None,
            dated=False,
            resolution_s=10.0 ** -len(clock[4] or ""),
        )

    def _without_year(self, text: str) -> Stamp | None:
        stamp = _dated(text, self.year)
        if stamp is not None and stamp.at_s < self.last_dated_s - 180 * _DAY_S:
            self.year += 1
            stamp = _dated(text, self.year)
        self.last_dated_s = self.last_dated_s if stamp is None else stamp.at_s
        return stamp


def _epoch(text: str, decimals: int) -> Stamp:
    number = float(text)
    unit = next((unit for least, unit in _UNITS if number > least), 1.0)
    since_1970 = number / unit >= _EARLIEST_EPOCH_S
    return Stamp(
        at_s=number / unit,
        zone="UTC" if since_1970 else None,
        utc_offset_s=0.0 if since_1970 else None,
        dated=since_1970,
        resolution_s=10.0**-decimals / unit,
    )


def _dated(text: str, year: int) -> Stamp | None:
    try:
        at, zone, east_s = _moment(text, year)
        at_s = at.replace(tzinfo=UTC).timestamp() - (east_s or 0.0)
    except (ValueError, OverflowError):
        return None
    fraction = _FRACTION.search(text)
    return Stamp(
        at_s=at_s,
        zone=zone,
        utc_offset_s=east_s,
        dated=True,
        resolution_s=10.0 ** -len(fraction[1]) if fraction else 1.0,
    )


def _moment(text: str, year: int) -> _Moment:
    """What a stamp names; the days of a log are few, so dateutil reads each of them once."""
    found = _TIME_OF_DAY.search(text)
    if found:
        day = _day(f"{text[: found.start()]}00:00:00{text[found.end() :]}", year)
        if day:
            at, zone, east_s = day
            hour, minute, second, fraction = found.groups("0")
            at = at.replace(
                hour=int(hour),
                minute=int(minute),
                second=int(second),
                microsecond=int(fraction[:6].ljust(6, "0")),
            )
            return at, zone, east_s
    return _read_by_dateutil(text, year)


@lru_cache(maxsize=1024)
def _day(midnight: str, year: int) -> _Moment | None:
    """A day's midnight; None for no such day, or one in which the offset may change."""
    try:
        read = _read_by_dateutil(midnight, year)
    except (ValueError, OverflowError):
        return None
    from dateutil.tz import tzlocal, tzoffset, tzutc

    zone = read[0].tzinfo
    # where this machine's own zone has the stamp's name, as UTC often has, dateutil means that one
    is_fixed = isinstance(zone, tzutc | tzoffset) or (
        isinstance(zone, tzlocal) and not time.daylight
    )
    return read if zone is None or is_fixed else None


def _read_by_dateutil(text: str, year: int) -> _Moment:
    """A text's moment, its zone and the zone's offset.

    Raises:
        ValueError: it is no time.
        OverflowError: it is too late for one.
    """
    from dateutil import parser

    named = _ZONE_NAME.search(text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a zone that dateutil does not know
        at = parser.parse(_ZONE_NAME.sub("", text), default=datetime(year, 1, 1))
        return at, *_zone(at, named[1] if named else None)


def _zone(at: datetime, name: str | None) -> tuple[str | None, float | None]:
    """A stamp's zone in words, and its offset: a number that stands there counts, then a name."""
    offset = at.utcoffset()
    if offset is not None:
        east_s = offset.total_seconds()
        return ("UTC" if not east_s else f"{at:%z}"), east_s
    return (name, offset_s(name, at.year)) if name else (None, None)


def stamps_of(stamps: Sequence[Stamp]) -> Stamps:
    """What the stamps of a whole log have in common; one that leaves something open speaks for all.

    Raises:
        ValueError: there are none.
    """
    first = min(stamps, key=lambda stamp: stamp.utc_offset_s is not None)
    return Stamps(
        zone=first.zone,
        utc_offset_s=first.utc_offset_s,
        dated=all(stamp.dated for stamp in stamps),
        resolution_s=max(stamp.resolution_s for stamp in stamps),
    )
