"""A recording's changes of entries: of a long watch without a capture they are read in parts."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from analyzer.evidence.ends import virtual_ends
from analyzer.evidence.forwarding import EntrySigns
from analyzer.observed.entries import numbered
from analyzer.observed.numbering import numbered_parts
from analyzer.observed.parted import ROWS, Parted

if TYPE_CHECKING:
    import pandas as pd

    from analyzer.parts import Store
    from analyzer.recording.directory import Recording
    from analyzer.wire.segments import VirtualEnd


@dataclass(slots=True)
class Changes:
    """Changes of entries, and what was noticed when they were read.

    Attributes:
        rows: as recorded, persistence templates included.
        in_order: ``numbered``, where there is no capture whose flows have numbers already.
        ends: the virtual services that they name.
        signs: of the forwarding method.
    """

    rows: Parted
    in_order: Parted | None = None
    ends: set[VirtualEnd] = field(default_factory=set)
    signs: EntrySigns = field(default_factory=EntrySigns)

    def numbered(self, flows: pd.DataFrame | None) -> Parted:
        """They with the numbers of their flows, as ``observed.entries.numbered`` has them."""
        return self.in_order or Parted.of(numbered(self.rows.whole(), flows))

    def see(self, rows: pd.DataFrame) -> None:
        """Take note of the next of them."""
        self.ends |= virtual_ends((), rows)
        self.signs.see(rows)


def read_changes(recording: Recording, store: Store, *, has_captures: bool) -> Changes:
    """Read them; with a capture, or if they are few, at once."""
    count, _ = recording.table_size("entries")
    if has_captures or count <= min(ROWS, store.part_rows):
        found = Changes(Parted.of(recording.table("entries")))
        found.see(found.rows.whole())
        found.signs.see_flows(found.rows.whole())
        return found
    found = Changes(Parted(partial(recording.frames, "entries", ROWS), store))
    found.in_order = numbered_parts(found.rows, count, store, found.see, found.signs.see_flows)
    return found
