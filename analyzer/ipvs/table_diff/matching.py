"""Which row of one poll of a connection table is the same entry as which of the polls before.

A poll is compared as a whole: what was held and what was polled are sorted by their keys together,
so that the same entry stands beside itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from analyzer.ipvs.proc.entry_rows import ENTRY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from analyzer.ipvs.proc.entry_rows import Rows

    Numbers = NDArray[np.int64]
    Words = NDArray[np.uint64]

_WORD_BITS = 64
_FEW = 32  # rows
_EXPIRES_S = (ENTRY.names or ()).index("expires_s")
_CLIENT_AND_VIP = 0b011  # bits of a row's ipv6


def matched(held: Rows, polled: Rows) -> tuple[Numbers, Numbers]:
    """Which row is the same entry as which: for each entry its place among both; -1 if in none.

    Of doubles among the polled, the last of those whose time is not up; else the last.
    """
    if len(held) + len(polled) <= _FEW:
        return _match_few(held, polled)
    words = _packed(_keys(held), _keys(polled))
    has_time = np.r_[np.zeros(len(held), dtype=bool), polled["expires_s"] > 0]
    order = np.lexsort((has_time, *words))
    differs = np.ones(len(order), dtype=bool)
    if len(order):
        differs[1:] = False
    for word in words:
        in_order = word[order]
        differs[1:] |= in_order[1:] != in_order[:-1]
    firsts = np.flatnonzero(differs)
    first = order[firsts]
    last = order[np.append(firsts[1:], len(order))[: len(firsts)] - 1]
    before = np.where(first < len(held), first, -1)
    return before, np.where(last >= len(held), last - len(held), -1)


def _match_few(held: Rows, polled: Rows) -> tuple[Numbers, Numbers]:
    """What ``matched`` returns, in its order: for few rows numpy takes longer than a loop."""
    places = np.array(places_of(held.tolist(), polled.tolist()), np.int64).reshape(-1, 2)
    return places[:, 0], places[:, 1]


def places_of(
    held: Sequence[tuple[Any, ...]], rows: Sequence[tuple[Any, ...]]
) -> list[tuple[int, int]]:
    """The pairs of what ``matched`` returns, of rows as tuples."""
    before = {_key(row): place for place, row in enumerate(held)}
    now: dict[tuple[int, ...], int] = {}
    for has_time in (False, True):
        now |= {
            _key(row): place for place, row in enumerate(rows) if (row[_EXPIRES_S] > 0) is has_time
        }
    return [(before.get(key, -1), now.get(key, -1)) for key in sorted(before.keys() | now.keys())]


def _key(row: tuple[Any, ...]) -> tuple[int, ...]:
    """What ``_keys`` has of a row, the last of them first: they are sorted by it."""
    client_high, client_low, vip_high, vip_low, *_, client_port, port, _, ipv6, protocol, _ = row
    protocol_number = int.from_bytes(protocol, "little")
    family = ipv6 & _CLIENT_AND_VIP
    return protocol_number, family, vip_high, client_high, vip_low, port, client_low, client_port


def distinct_entries(rows: Rows) -> int:
    """How many different entries a read has, persistence templates (client port 0) apart."""
    with_port = rows[rows["client_port"] != 0]
    before, _ = matched(np.empty(0, ENTRY), with_port)
    return len(before)


def _keys(rows: Rows) -> list[Words]:
    """What makes two rows the same entry, as numbers."""
    protocol = np.ascontiguousarray(rows["protocol"]).view("u8")
    family = (rows["ipv6"] & _CLIENT_AND_VIP).astype(np.uint64)
    numbers = ("client_port", "client_ip_low", "port", "vip_low", "client_ip_high", "vip_high")
    return [*(rows[name].astype(np.uint64) for name in numbers), family, protocol]


def _packed(held: list[Words], polled: list[Words]) -> list[Words]:
    """The columns of both, one after the other, in as few words as hold them."""
    packed: list[Words] = []
    room = 0
    for pair in zip(held, polled, strict=True):
        column = np.concatenate(pair)
        if not len(column):
            continue
        column -= column.min()
        bits = int(column.max()).bit_length()
        if bits == 0:
            continue
        if bits > room:
            packed.append(column)
            room = _WORD_BITS - bits
        else:
            packed[-1] |= column << np.uint64(_WORD_BITS - room)
            room -= bits
    return packed or [np.zeros(len(held[0]) + len(polled[0]), np.uint64)]
