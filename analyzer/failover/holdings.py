"""The directors' entries before, during and after a fail-over, and how many were copies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.failover.copies import copies
from analyzer.failover.results import Holding
from analyzer.observed.entries import ns
from analyzer.observed.table_at import KEY, entries_at
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from analyzer.compared.evidence import Evidence
    from analyzer.failover.results import Phase

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
    counted = _last_poll(evidence.services, director, at_ns)
    polled = evidence.polls[evidence.polls["director"] == director]
    looks = polled[polled["what"] == "entries"]
    entries = None
    if not _last_poll(looks, director, at_ns).empty:
        held = entries_at(evidence.changes, polled, at_ns)
        entries = held[held["director"] == director]
    return Holding(
        director=director,
        phase=phase,
        t_s=(at_ns - evidence.zero_ns) / NS_PER_S,
        active=None if counted.empty else int(counted["active"].sum()),
        inactive=None if counted.empty else int(counted["inactive"].sum()),
        entries=None if entries is None else len(entries),
        synced=None if entries is None else copies(evidence, director, entries, at_ns),
    )


def _last_poll(rows: pd.DataFrame, director: str, at_ns: int) -> pd.DataFrame:
    """The rows of a director's last poll up to an instant, if that is recent."""
    of_director = rows[rows["director"] == director]
    at = ns(of_director["at"])
    fresh = of_director[(at <= at_ns) & (at > at_ns - FRESH_NS)]
    last: pd.DataFrame = fresh[fresh["at"] == fresh["at"].max()]
    return last


def would_survive(evidence: Evidence, old: str, new: str, at_ns: int) -> int | None:
    """Number of active entries of the old master that the new one has; None if not both polled."""
    held = entries_at(evidence.changes, evidence.polls, at_ns)
    if not {old, new} <= set(evidence.polls.loc[evidence.polls["what"] == "entries", "director"]):
        return None
    key = [column for column in KEY if column != "director"]
    open_there = held[(held["director"] == old) & (held["state"] == "ESTABLISHED")]
    copies = held[held["director"] == new]
    return len(open_there[key].merge(copies[key], on=key))
