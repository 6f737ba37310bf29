"""``/proc/net/ip_vs_status``: what a kernel says of its table of entries (Linux 7.1 and later).

Only root may read it. It counts every entry of the namespace, also templates and those of removed
real servers, which ActiveConn and InActConn leave out; and it tells how long the chains are. The
chains are walked while entries come and go, and during a resize the buckets of both tables are
counted, so their sum may differ from the number of entries. Under masquerading an entry stands in
two chains.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_CHARACTERS = 4096
"""The kernel's own text has at most some 800; what is longer is not read to its end."""

LONGEST_CHAIN = 7
"""Chains of this length and longer are counted together (``ip_vs_status_show``, ``counts``)."""

MAX_NUMBER = 2**32 - 1
"""The kernel's counts are 32 bits wide."""

NEARLY_FULL = 0.98
"""Of ``conn_max``: entries come and go between two looks."""

_ENTRY_BYTES = range(100, 4097)
_MAX_LFACTOR = 8

_CONNS = re.compile(r"^Conns:\s+(\d{1,10})$", re.M | re.ASCII)
_BUCKETS = re.compile(
    r"^Conn buckets:\s+(\d{1,10}) \(\d{1,2} bits, lfactor (-?\d{1,2})\)$", re.M | re.ASCII
)
_EMPTY = re.compile(r"^Conn buckets empty:\s+(\d{1,10}) \(\d{1,3}%\)$", re.M | re.ASCII)
_CHAINS = re.compile(r"^Conn buckets len-([1-9]):\s+(\d{1,10}) \(\d{1,3}%\)$", re.M | re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableStatus:
    """The table of entries of one namespace; None for what the text did not have.

    Attributes:
        entries: all there are (``Conns``).
        buckets: at present; 0 where there is no table, which it has with the first service.
        lfactor: it grows beyond buckets x 2^lfactor entries (sysctl ``conn_lfactor``).
        empty_buckets: how many hold no entry; not told of an empty table, nor where it was resized
            over and over while it was looked at.
        chains: number of buckets by the length of their chain, "1" to "7", which stands for all
            from 7 on.
    """

    entries: int
    buckets: int | None
    lfactor: int | None
    empty_buckets: int | None
    chains: Mapping[str, int]

    @property
    def longest_chain(self) -> int | None:
        """The longest chain, at most 7; None where chains were not told."""
        return max(map(int, self.chains), default=None)


def parse_table_status(text: str) -> TableStatus | None:
    """Read ``/proc/net/ip_vs_status`` (``ip_vs_status_show``); None if the text is none.

    What is not understood is left out, and a number that no kernel can mean is not taken.
    """
    text = text[:MAX_CHARACTERS]
    conns, buckets, empty = (shape.search(text) for shape in (_CONNS, _BUCKETS, _EMPTY))
    entries = _count(conns[1]) if conns else None
    if entries is None:
        return None
    chains = {length: _count(number) for length, number in _CHAINS.findall(text)}
    return TableStatus(
        entries=entries,
        buckets=_count(buckets[1]) if buckets else None,
        lfactor=_lfactor(int(buckets[2])) if buckets else None,
        empty_buckets=_count(empty[1]) if empty else None,
        chains=_chains(chains),
    )


def status_of(facts: Any) -> TableStatus | None:
    """What ``to_manifest`` wrote into ``run.json``; None where it is not that."""
    if not isinstance(facts, dict):
        return None
    entries = _number(facts.get("entries"))
    if entries is None:
        return None
    chains, lfactor = facts.get("chains"), facts.get("lfactor")
    return TableStatus(
        entries=entries,
        buckets=_number(facts.get("buckets")),
        lfactor=_lfactor(lfactor) if type(lfactor) is int else None,
        empty_buckets=_number(facts.get("empty_buckets")),
        chains=_chains(chains if isinstance(chains, dict) else {}),
    )


def to_manifest(status: TableStatus | None) -> dict[str, Any] | None:
    """As ``run.json`` and ``--json`` have it."""
    return None if status is None else asdict(status)


def is_full(entries: int, conn_max: int) -> bool:
    """Whether a namespace holds as many entries as it may (``conn_max``, since Linux 7.2)."""
    return entries >= NEARLY_FULL * conn_max


def entry_bytes_of(value: Any) -> int | None:
    """Bytes of an entry as a kernel said them at its boot; None where that cannot be true."""
    return value if type(value) is int and value in _ENTRY_BYTES else None


def in_words(status: TableStatus) -> str:
    """``126 entries in 2,048 buckets (lfactor -4), chains of up to 2``."""
    plural = "entry" if status.entries == 1 else "entries"
    parts = [f"{status.entries:,} {plural}"]
    if status.buckets is not None:
        lfactor = "" if status.lfactor is None else f" (lfactor {status.lfactor})"
        parts.append(f" in {status.buckets:,} buckets{lfactor}")
    if (longest := status.longest_chain) is not None:
        more = " or more" if longest == LONGEST_CHAIN else ""
        parts.append(f", chains of up to {longest}{more}")
    return "".join(parts)


_LENGTHS = tuple(map(str, range(1, LONGEST_CHAIN + 1)))


def _chains(told: Mapping[str, Any]) -> dict[str, int]:
    return {length: number for length in _LENGTHS if (number := _number(told.get(length)))}


def _count(digits: str) -> int | None:
    return _number(int(digits))


def _number(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value <= MAX_NUMBER else None


def _lfactor(value: int) -> int | None:
    return value if abs(value) <= _MAX_LFACTOR else None
