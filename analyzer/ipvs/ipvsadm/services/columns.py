"""The columns of a service table: their titles say what the numbers of a row are."""

from __future__ import annotations

import re
from functools import lru_cache
from sys import intern
from typing import TYPE_CHECKING, Final

from analyzer.ipvs.ipvsadm.ends import PLAIN_ENDS
from analyzer.units import MAX_COUNTER

if TYPE_CHECKING:
    from collections.abc import Sequence

    Value = int | str | None

TITLES: Final = {
    "Forward": "forward",
    "TunnelInfo": "tunnel_info",
    "Weight": "weight",
    "ActiveConn": "active",
    "InActConn": "inactive",
    "Uthreshold": "uthreshold",
    "Lthreshold": "lthreshold",
    "PersistConn": "persistent",
    "Conns": "conns",
    "InPkts": "inpkts",
    "OutPkts": "outpkts",
    "InBytes": "inbytes",
    "OutBytes": "outbytes",
    "CPS": "cps",
    "InPPS": "inpps",
    "OutPPS": "outpps",
    "InBPS": "inbps",
    "OutBPS": "outbps",
}
"""A title to the field it fills."""

_TITLE_WORDS: Final = frozenset(TITLES)

STATS: Final = ("conns", "inpkts", "outpkts", "inbytes", "outbytes")
RATE: Final = ("cps", "inpps", "outpps", "inbps", "outbps")
PLAIN: Final = ("forward", "weight", "active", "inactive")
TUNNEL: Final = ("forward", "tunnel_info", "weight", "active", "inactive")
THRESHOLDS: Final = ("uthreshold", "lthreshold", "active", "inactive")
PERSISTENT: Final = ("weight", "persistent", "active", "inactive")
LAYOUTS: Final = (STATS, RATE, PLAIN, TUNNEL, THRESHOLDS, PERSISTENT)
UNKNOWN: Final = ""
"""A column whose meaning no title gives."""

_INT, _UNSIGNED = 2**31 - 1, 2**32 - 1
_MOST: Final = {
    **dict.fromkeys(("weight", "active", "inactive", "persistent"), _INT),  # atomic_t
    **dict.fromkeys(("uthreshold", "lthreshold"), _UNSIGNED),
}

_COUNTED: Final = frozenset({*STATS, *RATE, *_MOST})
FORWARDS: Final = frozenset(
    {"Masq", "Local", "Tunnel", "Route", "Bypass", "FullNat", "SNAT", "NAT"}
)
_SURE: Final = {"forward": "|".join(sorted(FORWARDS)), "tunnel_info": "[a-z][a-z0-9:+-]{0,31}"}
_SURE_NUMBER: Final = "[0-9]{1,9}"
"""Possible in any column."""

_SUFFIXES = {"K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_NUMBER = re.compile(r"(-?[0-9]{1,20})([KMGT]?)")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9:+/_-]{0,31}")
_WORDS = {"forward", "tunnel_info"}
_NOT_APPLICABLE = "n/a"


@lru_cache(maxsize=64)
def row_pattern(columns: tuple[str, ...]) -> re.Pattern[str] | None:
    """A real server's line in which no number is in doubt: its end, then each column's value.

    The groups are the end, the four of ``PLAIN_ENDS``, and the values. None for columns that no
    such pattern has.
    """
    if not _COUNTED.union(_WORDS).issuperset(columns) or len(set(columns)) < len(columns):
        return None
    values = "".join(rf" +({_SURE.get(column, _SURE_NUMBER)})" for column in columns)
    return re.compile(rf" *-> +({PLAIN_ENDS}|(?!Remote|Local)[0-9A-Za-z\[][!-~]*){values} *")


def matched(columns: tuple[str, ...], words: Sequence[str]) -> dict[str, Value]:
    """The values, by field, of a row that its ``row_pattern`` matches; equal words are one."""
    return {
        column: intern(word) if column in _WORDS else int(word)
        for column, word in zip(columns, words, strict=True)
    }


def number(word: str) -> int | None:
    """A number; K, M, G, T are powers of 1000, and ipvsadm rounds down to them."""
    found = _NUMBER.fullmatch(word)
    return int(found[1]) * _SUFFIXES.get(found[2], 1) if found else None


def impossible(columns: Sequence[str], values: Sequence[str]) -> str | None:
    """The first of a row's numbers that no kernel can have counted; None if there is none."""
    for column, word in zip(columns, values, strict=False):
        value = number(word)
        if value is not None and not 0 <= value <= _MOST.get(column, MAX_COUNTER):
            return word
    return None


def is_number(word: str) -> bool:
    """Whether a word is a number."""
    return number(word) is not None


ENDS: Final = frozenset({"LocalAddress:Port", "RemoteAddress:Port"})


def is_title(words: Sequence[str]) -> bool:
    """Whether a line is a table's titles, even if one of them is damaged."""
    if not ENDS.isdisjoint(words):
        return True
    return not _TITLE_WORDS.isdisjoint(words) and sum(word in TITLES for word in words) >= 3


def titled(words: Sequence[str]) -> tuple[str, ...] | None:
    """The columns of a line of titles: as they stand, or those of the table it resembles most."""
    known = tuple(TITLES[word] for word in words if word in TITLES)
    if known == tuple(TITLES.get(word) for word in words[2:]):
        return known or None
    alike = sorted(((len(set(known) & set(layout)), layout) for layout in LAYOUTS), reverse=True)
    (best, layout), (second, _), *_ = alike
    return layout if best > second else None


def guessed(values: Sequence[str]) -> tuple[str, ...] | None:
    """The columns of a row without titles, by its shape."""
    words = [number(value) is None for value in values]
    if words == [True, False, False, False]:
        return PLAIN
    if words == [True, True, False, False, False]:
        return TUNNEL
    if words == [False] * 4:  # --thresholds and --persistent-conn both end so
        return (UNKNOWN, UNKNOWN, "active", "inactive")
    return (UNKNOWN,) * 5 if words == [False] * 5 else None


def read(columns: Sequence[str], values: Sequence[str]) -> dict[str, Value] | None:
    """The values of a row by field; None if they do not fit the columns."""
    if len(values) != len(columns):
        return None
    fields: dict[str, Value] = {}
    for column, word in zip(columns, values, strict=True):
        if column in _WORDS:
            if not _WORD.fullmatch(word):
                return None
            fields[column] = None if word == _NOT_APPLICABLE else word
        elif (value := number(word)) is None:
            return None
        elif column != UNKNOWN:
            fields[column] = value
    return fields
