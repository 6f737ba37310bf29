"""What a time zone's abbreviation stands for, by the time zone database: one offset, or several.

``date`` prints CST in Chicago, Shanghai and Havana. An abbreviation is read only where every zone
that uses it has the same offset; else nobody can tell which was meant.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

_TODAY = 2026
_ALWAYS_UTC = ("UTC", "GMT", "Z", "UCT")
_ALSO_S = {  # in use, though the database has numbers for them today
    "AST": (10_800.0,),  # Arabia, beside the Atlantic
    "BST": (21_600.0,),  # Bangladesh, beside Britain in summer
    "EDT": (39_600.0,),  # eastern Australia, beside America
    "EST": (36_000.0,),
    "GST": (14_400.0, -7_200.0),
    "SST": (28_800.0,),  # Singapore, beside Samoa
    "WST": (28_800.0, 46_800.0),
}


def offset_s(abbreviation: str, year: int) -> float | None:
    """Seconds east of UTC; None where it stands for several zones, or for none that is known."""
    if abbreviation in _ALWAYS_UTC:
        return 0.0
    offsets = _offsets_s(year).get(abbreviation, frozenset()) | set(_ALSO_S.get(abbreviation, ()))
    return next(iter(offsets)) if len(offsets) == 1 else None


@lru_cache(maxsize=4)
def _offsets_s(year: int) -> dict[str, frozenset[float]]:
    """The offsets of each abbreviation, in winter and in summer."""
    by_abbreviation: dict[str, set[float]] = {}
    year = min(max(year, 1970), 2037)  # rules end there
    seasons = [datetime(year, month, 1, tzinfo=UTC) for month in (1, 7)]
    for name in sorted(available_timezones()):
        zone = ZoneInfo(name)
        for season in seasons:
            local = season.astimezone(zone)
            offset = local.utcoffset()
            if offset is not None:
                by_abbreviation.setdefault(local.tzname() or "", set()).add(offset.total_seconds())
    return {abbreviation: frozenset(offsets) for abbreviation, offsets in by_abbreviation.items()}


@lru_cache(maxsize=256)
def is_zone(abbreviation: str) -> bool:
    """Whether it stands for any time zone of today."""
    return abbreviation in _ALWAYS_UTC or abbreviation in _offsets_s(_TODAY)
