"""Polls of the connection table, entry by entry: the slow reference beside ``TableTracker``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from analyzer.ipvs.table_diff.reads import AbsenceProof, proof_by_lines
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterable

    from analyzer.ipvs.proc.formats import Entry

Key = tuple[str, str, int, str, int]

RESTART_S = 1.5
"""Whole seconds are printed, rounded down: a timer that gained more than this was restarted."""

BUSY_STATES = ("ESTABLISHED", "UDP")


@dataclass(frozen=True, slots=True)
class Change:
    """One entry that appeared, changed its state, or was gone; ``at_ns`` is the poll's instant.

    A restart of the timer in the same state is reported as a change of state to itself.
    """

    at_ns: int
    kind: Literal["appeared", "state", "gone"]
    entry: Entry


@dataclass(slots=True)
class _KnownEntry:
    entry: Entry
    seen_ns: int
    ends_ns: int  # its timer, as the last change of the entry showed it
    missed_ns: int | None = None


def _server(entry: Entry) -> tuple[str, int]:
    return entry.real_server, entry.real_port


def _restarted(before: _KnownEntry, now: Entry, at_ns: int, *, busy_too: bool) -> bool:
    """A packet that left the state as it was restarted the timer: a repeated SYN-ACK, say.

    A timer that is late shows 0 for longer than it should: that is no restart.
    """
    if now.expires_s <= 0:
        return False
    if busy_too:  # restarts may come at every poll, each of them smaller than what is noticed
        return abs(_ends_ns(now, at_ns) - before.ends_ns) > RESTART_S * NS_PER_S
    if now.state in BUSY_STATES:
        return False
    return _gained_s(before, now, at_ns) > RESTART_S


def _due_ns(held: _KnownEntry) -> int:
    """When its timer was up at the earliest: whole seconds are printed, rounded down."""
    return held.seen_ns + held.entry.expires_s * NS_PER_S


def _gained_s(before: _KnownEntry, now: Entry, at_ns: int) -> float:
    """By how much the timer has more left than it would have, had it gone on."""
    return now.expires_s - (before.entry.expires_s - (at_ns - before.seen_ns) / NS_PER_S)


def _came_anew(before: _KnownEntry, now: Entry, at_ns: int) -> bool:
    """A read missed it when its time was up, and now it has time again: it is another entry."""
    return (
        before.missed_ns is not None
        and before.missed_ns >= _due_ns(before) + NS_PER_S
        and now.expires_s > 0
        and _gained_s(before, now, at_ns) > RESTART_S
    )


def _ends_ns(entry: Entry, at_ns: int) -> int:
    return at_ns + entry.expires_s * NS_PER_S


def _without_doubles(entries: Iterable[Entry]) -> dict[Key, Entry]:
    """Each key's last line, of those that have time left where any has."""
    found: dict[Key, Entry] = {}
    for entry in entries:
        before = found.get(entry.key)
        if before is None or entry.expires_s > 0 or before.expires_s <= 0:
            found[entry.key] = entry
    return found


class EntryTracker:
    """Folds one director's polls of entries into changes.

    Args:
        busy_too: tell restarts of the timers of ``BUSY_STATES`` too. Each packet of a connection is
            one: as many changes as lines were read, which a log that is imported may have.
    """

    def __init__(self, *, busy_too: bool = False) -> None:
        self._held: dict[Key, _KnownEntry] = {}
        self._busy_too = busy_too

    def held(self) -> set[Key]:
        """Entries that are there as far as is known."""
        return set(self._held)

    def update(
        self, at_ns: int, entries: Iterable[Entry], lines: int, proof: AbsenceProof | None = None
    ) -> list[Change]:
        """What this poll shows to have changed.

        Args:
            at_ns: the poll's instant, later than the last one's.
            entries: what the poll found; of doubles one counts.
            lines: how many lines the whole table had, other services' entries included.
            proof: what it proves that an entry is missing; by the lines, unless given.
        """
        proof = proof or proof_by_lines(lines)
        changes = []
        found = _without_doubles(entries)
        for entry in found.values():
            changes += self._see(at_ns, entry)
        for key in self._held.keys() - found.keys():
            changes += self._miss(at_ns, key, proof)
        return changes

    def _see(self, at_ns: int, entry: Entry) -> list[Change]:
        before = self._held.get(entry.key)
        now = self._held[entry.key] = _KnownEntry(entry, at_ns, _ends_ns(entry, at_ns))
        if before is None:
            return [Change(at_ns, "appeared", entry)]
        if _server(before.entry) != _server(entry) or _came_anew(before, entry, at_ns):
            gone_ns = before.missed_ns or at_ns
            return [Change(gone_ns, "gone", before.entry), Change(at_ns, "appeared", entry)]
        if before.entry.state != entry.state or _restarted(
            before, entry, at_ns, busy_too=self._busy_too
        ):
            return [Change(at_ns, "state", entry)]
        now.ends_ns = before.ends_ns
        return []

    def _miss(self, at_ns: int, key: Key, proof: AbsenceProof) -> list[Change]:
        held = self._held[key]
        if proof is AbsenceProof.NOTHING:
            return []
        if proof is AbsenceProof.PARTIAL and held.missed_ns is None:
            held.missed_ns = at_ns
            return []
        del self._held[key]
        return [Change(held.missed_ns or at_ns, "gone", held.entry)]

    def finish(self) -> list[Change]:
        """What the last read showed, where none comes after it: what it lacks whose time was up."""
        changes = [
            Change(held.missed_ns, "gone", held.entry)
            for held in self._held.values()
            if held.missed_ns is not None and held.missed_ns >= _due_ns(held)
        ]
        for change in changes:
            del self._held[change.entry.key]
        return changes
