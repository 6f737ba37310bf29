"""``/proc/net/ip_vs_status``: the kernel's status of its connection table (Linux 7.1 and later).

Only root may read it. It counts every entry of the namespace, also templates and those of removed
real servers, which ActiveConn and InActConn leave out; and it shows how long the chains are. The
chains are walked while entries come and go, and during a resize the buckets of both tables are
counted, so their sum may differ from the number of entries. Under masquerading an entry stands in
two chains.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any

from msgspec import Meta

MAX_CHARACTERS = 4096
"""The kernel's own text has at most some 800; what is longer is not read to its end."""

LONGEST_CHAIN = 7
"""Chains of this length and longer are counted together (``ip_vs_status_show``, ``counts``)."""

MAX_NUMBER = 2**32 - 1
"""The kernel's counts are 32 bits wide."""

Number = Annotated[int, Meta(ge=0, le=MAX_NUMBER)]

NEARLY_FULL = 0.98
"""Share of ``conn_max`` that counts as full: entries change between two polls."""

LEAST_ENTRY_BYTES, MOST_ENTRY_BYTES = 100, 4096
MAX_LFACTOR = 8

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
        empty_buckets: how many hold no entry; not given for an empty table, nor where it was
            resized over and over while it was looked at.
        chains: number of buckets by the length of their chain, "1" to "7", which stands for all
            from 7 on.
    """

    entries: Number
    buckets: Number | None = None
    lfactor: Annotated[int, Meta(ge=-MAX_LFACTOR, le=MAX_LFACTOR)] | None = None
    empty_buckets: Number | None = None
    chains: Mapping[Annotated[str, Meta(pattern="^[1-7]$")], Number] = field(default_factory=dict)

    @property
    def longest_chain(self) -> int | None:
        """The longest chain, at most 7; None where chains were not given."""
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


def to_manifest(status: TableStatus | None) -> dict[str, Any] | None:
    """The status as ``run.json`` and ``--json`` have it."""
    return None if status is None else asdict(status)


def is_full(entries: int, conn_max: int) -> bool:
    """Whether a namespace holds as many entries as it may (``conn_max``, since Linux 7.2)."""
    return entries >= NEARLY_FULL * conn_max


def entry_bytes_of(value: int) -> int | None:
    """Bytes of an entry as a kernel said them at its boot; None where that cannot be true."""
    return value if LEAST_ENTRY_BYTES <= value <= MOST_ENTRY_BYTES else None


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


def _chains(numbers: Mapping[str, int | None]) -> dict[str, int]:
    return {length: number for length in _LENGTHS if (number := numbers.get(length))}


def _count(digits: str) -> int | None:
    value = int(digits)
    return value if value <= MAX_NUMBER else None


def _lfactor(value: int) -> int | None:
    return value if abs(value) <= MAX_LFACTOR else None
