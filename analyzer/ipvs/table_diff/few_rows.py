"""A poll of few entries against what was held, by a loop: for these numpy takes ten times as long.

What is compared, and why, stands in ``tracking``; both give the same, in the same order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from analyzer.ipvs.proc.entry_rows import ENTRY
from analyzer.ipvs.table_diff.matching import places_of
from analyzer.ipvs.table_diff.reads import AbsenceProof
from analyzer.ipvs.table_diff.restarts import BUSY_STATES, LONGEST_S, RESTART_S
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    Row = tuple[Any, ...]

FEW = 32
"""Rows, of both together."""

SERVER = 0b100  # the bit of a row's ipv6

_BUSY = frozenset(state.encode() for state in BUSY_STATES)
_NAMES = ENTRY.names or ()
_EXPIRES_S, _FAMILY, _STATE = (_NAMES.index(name) for name in ("expires_s", "ipv6", "state"))
_SERVER_PARTS = tuple(
    _NAMES.index(name) for name in ("real_server_high", "real_server_low", "real_port")
)


class HeldEntry(NamedTuple):
    """An entry as the polls so far showed it.

    Attributes:
        row: ``ENTRY``, when last seen.
        seen_ns: when that was.
        ends_ns: by its timer at the entry's last change.
        missed_ns: the first poll that missed it since; 0 where the last poll had it.
    """

    row: tuple[Any, ...]
    seen_ns: int
    ends_ns: int
    missed_ns: int


@dataclass(frozen=True, slots=True)
class Compared:
    """What a poll showed.

    Attributes:
        moved: entries that ended, and others of the same key are there.
        removed: entries that ended.
        appeared, changed: rows as polled.
        held: what is there as far as is known, first what was polled.
    """

    moved: list[HeldEntry] = field(default_factory=list)
    removed: list[HeldEntry] = field(default_factory=list)
    appeared: list[Row] = field(default_factory=list)
    changed: list[Row] = field(default_factory=list)
    held: list[HeldEntry] = field(default_factory=list)


def compare_few(
    held: Sequence[HeldEntry],
    polled: Sequence[Row],
    at_ns: int,
    proof: AbsenceProof,
    *,
    busy_too: bool,
) -> Compared:
    """Compare a poll at ``at_ns`` with what is held; the rest as ``TableTracker`` has it."""
    compared, missed = Compared(), []
    for before_at, now_at in places_of([entry.row for entry in held], polled):
        before = held[before_at] if before_at >= 0 else None
        if now_at >= 0:
            _take(before, polled[now_at], at_ns, compared, busy_too=busy_too)
        elif before is not None:
            missed.append(before)
    for entry in missed:
        if proof is AbsenceProof.WHOLE or (proof is AbsenceProof.PARTIAL and entry.missed_ns):
            compared.removed.append(entry)
        else:
            compared.held.append(_missed(entry, at_ns, proof))
    return compared


def _take(
    before: HeldEntry | None, row: Row, at_ns: int, compared: Compared, *, busy_too: bool
) -> None:
    ends_ns = _ends_ns(row, at_ns)
    if before is None:
        compared.appeared.append(row)
    elif _is_moved(before, row, at_ns):
        compared.moved.append(before)
        compared.appeared.append(row)
    elif before.row[_STATE] != row[_STATE] or _is_noted(
        before, row, at_ns, ends_ns, busy_too=busy_too
    ):
        compared.changed.append(row)
    else:
        ends_ns = before.ends_ns
    compared.held.append(HeldEntry(row=row, seen_ns=at_ns, ends_ns=ends_ns, missed_ns=0))


def _missed(entry: HeldEntry, at_ns: int, proof: AbsenceProof) -> HeldEntry:
    return HeldEntry(
        row=entry.row,
        seen_ns=entry.seen_ns,
        ends_ns=entry.ends_ns,
        missed_ns=entry.missed_ns if proof is AbsenceProof.NOTHING else at_ns,
    )


def _is_moved(before: HeldEntry, row: Row, at_ns: int) -> bool:
    old = before.row
    if (old[_FAMILY] ^ row[_FAMILY]) & SERVER or any(old[at] != row[at] for at in _SERVER_PARTS):
        return True
    if not before.missed_ns or before.missed_ns < _ends_ns(old, before.seen_ns) + NS_PER_S:
        return False
    return _is_restarted(before, row, at_ns)


def _is_noted(before: HeldEntry, row: Row, at_ns: int, ends_ns: int, *, busy_too: bool) -> bool:
    if busy_too:
        return abs(ends_ns - before.ends_ns) > RESTART_S * NS_PER_S and row[_EXPIRES_S] > 0
    return row[_STATE] not in _BUSY and _is_restarted(before, row, at_ns)


def _is_restarted(before: HeldEntry, row: Row, at_ns: int) -> bool:
    elapsed_s = float(at_ns - before.seen_ns) / NS_PER_S
    gained_s = row[_EXPIRES_S] - (before.row[_EXPIRES_S] - elapsed_s)
    return bool(gained_s > RESTART_S and row[_EXPIRES_S] > 0)


def _ends_ns(row: Row, seen_ns: int) -> int:
    left_s = min(max(row[_EXPIRES_S], -LONGEST_S), LONGEST_S)
    return int(seen_ns + left_s * NS_PER_S)
