"""The directors' entries before, during and after a fail-over, and how many were copies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from analyzer.failover.copies import copies
from analyzer.failover.results import Holding
from analyzer.ipvs.addresses import CONNECTION_KEY
from analyzer.observed.entries import ns
from analyzer.observed.table_at import entries_at
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analyzer.evidence.evidence import Evidence
    from analyzer.failover.results import Phase
    from analyzer.observed.record import DirectorRecord

FRESH_NS = 3_000_000_000
"""The oldest poll that counts for an instant."""


def holdings(
    evidence: Evidence, directors: Sequence[str], instants: Mapping[Phase, int]
) -> tuple[Holding, ...]:
    """A row for each director and instant (Unix ns)."""
    return tuple(
        _holding(evidence, director, phase, at_ns)
        for phase, at_ns in instants.items()
        for director in directors
    )


def _holding(evidence: Evidence, director: str, phase: Phase, at_ns: int) -> Holding:
    record = evidence.by_director[director]
    counted = _last_poll(record.services, at_ns)
    entries = None
    if not _last_poll(record.polls[_polls_of_entries(record)], at_ns).empty:
        entries = _held_at(record, at_ns)
    return Holding(
        director=director,
        phase=phase,
        t_s=(at_ns - evidence.zero_ns) / NS_PER_S,
        active=None if counted.empty else int(counted["active"].sum()),
        inactive=None if counted.empty else int(counted["inactive"].sum()),
        entries=None if entries is None else len(entries),
        synced=None if entries is None else copies(evidence, director, entries, at_ns),
    )


def _held_at(record: DirectorRecord, at_ns: int) -> pd.DataFrame:
    """The director's table at an instant, persistence templates included."""
    templates = record.changes.where(lambda rows: rows["client_port"] == 0)
    parts = (templates, *record.entries)
    return pd.concat([entries_at(rows, record.polls, at_ns) for rows in parts], ignore_index=True)


def _polls_of_entries(record: DirectorRecord) -> pd.Series:
    return record.polls["what"] == "entries"


def _last_poll(rows: pd.DataFrame, at_ns: int) -> pd.DataFrame:
    """The rows of the last poll up to an instant, if that is recent."""
    at = ns(rows["at"])
    fresh = rows[(at <= at_ns) & (at > at_ns - FRESH_NS)]
    last: pd.DataFrame = fresh[fresh["at"] == fresh["at"].max()]
    return last


def would_survive(evidence: Evidence, old: str, new: str, at_ns: int) -> int | None:
    """Number of active entries of the old master that the new one has; None if not both polled."""
    records = [evidence.by_director.get(name) for name in (old, new)]
    polled = [record for record in records if record and _polls_of_entries(record).any()]
    if len(polled) < len(records):
        return None
    held, copies = (_held_at(record, at_ns) for record in polled)
    key = list(CONNECTION_KEY)
    open_there = held[held["state"] == "ESTABLISHED"]
    return len(open_there[key].merge(copies[key], on=key))
