"""A recording's polls of services: of a long watch they are kept by the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from analyzer.evidence.ends import virtual_ends
from analyzer.observed.parted import ROWS, Kept

if TYPE_CHECKING:
    import pandas as pd

    from analyzer.parts import Store
    from analyzer.recording.directory import Recording
    from analyzer.wire.segments import VirtualEnd


@dataclass(frozen=True, slots=True)
class Polled:
    """Polls of services.

    Attributes:
        services: those with ActiveConn and InActConn.
        counted: those of counters that are read one by one, or of rates.
        ends: the virtual services.
    """

    services: pd.DataFrame
    counted: pd.DataFrame
    ends: set[VirtualEnd]


def read_services(recording: Recording, store: Store) -> Polled:
    """Read them."""
    count, _ = recording.table_size("services")
    if count <= min(ROWS, store.part_rows):
        rows = recording.table("services")
        return Polled(_services(rows), _counted(rows), virtual_ends((), rows))
    services, counted, ends = Kept(store), Kept(store), set()
    for rows in recording.frames("services", ROWS):
        services.append(_services(rows))
        counted.append(_counted(rows))
        ends |= virtual_ends((), rows)
        store.release()
    return Polled(services.in_one(), counted.in_one(), ends)


def _services(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["active"].notna()]


def _counted(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["conns"].notna() | rows["cps"].notna()]
