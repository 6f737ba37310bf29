"""A recording's changes of entries, and its masquerades: many are read in parts."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from analyzer.evidence.ends import virtual_ends
from analyzer.evidence.forwarding import EntrySigns
from analyzer.observed.entries import numbered
from analyzer.observed.numbering import gathered
from analyzer.observed.parted import ROWS, Kept, Parted

if TYPE_CHECKING:
    import pandas as pd

    from analyzer.observed.numbering import Gathered
    from analyzer.parts import Store
    from analyzer.recording.directory import Recording
    from analyzer.wire.segments import VirtualEnd


@dataclass(slots=True)
class Changes:
    """Changes of entries, and what was noticed when they were read.

    Attributes:
        rows: as recorded, persistence templates included.
        gathered: many of them, until they get their flows' numbers.
        ends: the virtual services that they name.
        signs: of the forwarding method; all of them once the flows have their numbers.
    """

    rows: Parted
    gathered: Gathered | None = None
    ends: set[VirtualEnd] = field(default_factory=set)
    signs: EntrySigns = field(default_factory=EntrySigns)

    def numbered(self, flows: pd.DataFrame | None) -> Parted:
        """They with the numbers of their flows, as ``observed.entries.numbered`` has them; once."""
        if self.gathered is not None:
            return self.gathered.numbered(flows, self.signs.see_flows)
        self.signs.see_flows(self.rows.whole())
        return Parted.of(numbered(self.rows.whole(), flows))

    def see(self, rows: pd.DataFrame) -> None:
        """Take note of the next of them."""
        self.ends |= virtual_ends((), rows)
        self.signs.see(rows)


def read_changes(recording: Recording, store: Store) -> Changes:
    """Read them: few at once."""
    count, _ = recording.table_size("entries")
    if count <= min(ROWS, store.part_rows):
        found = Changes(Parted.of(recording.table("entries")))
        found.see(found.rows.whole())
        return found
    found = Changes(Parted(partial(recording.frames, "entries", ROWS), store))
    found.gathered = gathered(found.rows, count, store, found.see)
    return found


def read_masquerades(recording: Recording, store: Store) -> Parted:
    """The entries of netfilter directors that hide their clients; many are kept by the store."""
    count, _ = recording.table_size("masquerades")
    if count <= min(ROWS, store.part_rows):
        return Parted.of(recording.table("masquerades"))
    kept = Kept(store)
    for rows in recording.frames("masquerades", ROWS):
        kept.append(rows)
        store.release()
    return kept.finish()
