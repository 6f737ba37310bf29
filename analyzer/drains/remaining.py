"""The entries that a real server has left on a director, and when each is removed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.drains.changes import Wanted, changes_of_each
from analyzer.drains.last_entry import EntryTimers, Timers, removal_s
from analyzer.drains.renewals import renewals
from analyzer.drains.spells import spells
from analyzer.ipvs.addresses import CONNECTION_KEY
from analyzer.ipvs.states import Timeouts
from analyzer.observed.entries import ns
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analyzer.arrays import Bools, Ints
    from analyzer.drains.spells import Spell
    from analyzer.evidence.evidence import Evidence
    from analyzer.observed.record import DirectorRecord
    from analyzer.recording.clock import DirectorClock
    from analyzer.recording.director import Director
    from analyzer.recording.polls import EntryPolls

_KEY = list(CONNECTION_KEY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remaining:
    """What a real server has left; where that is nothing, what it had since its weight was 0.

    Attributes:
        held: those entries' timers; n of them.
        first_ns, last_ns: between which instants each is removed, Unix time; shape (n,).
        n_left: entries at the last poll.
        gone_ns: the poll that showed the last one removed; None while some are left, and where
            there were none.
        renewed: the changes that show a timer restarted by traffic.
    """

    held: EntryTimers
    first_ns: Ints
    last_ns: Ints
    n_left: int
    gone_ns: int | None
    renewed: pd.DataFrame

    @property
    def is_renewed(self) -> bool:
        """Whether traffic renews entries that are left."""
        return bool(self.held.renewed.any()) and self.n_left > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Draining:
    """A real server of weight 0 on one director; ``left`` is None where no entries were read."""

    director: Director
    spell: Spell
    left: Remaining | None


def draining(evidence: Evidence) -> Iterator[Draining]:
    """Every real server that has weight 0 at a director's last poll, service by service."""
    for director in evidence.directors:
        record = evidence.by_director[director.name]
        found = list(spells(record.services))
        if not len(record.entry_polls.at_ns):
            yield from (Draining(director=director, spell=spell, left=None) for spell in found)
            continue
        wanted = [Wanted(has=spell.has, since_ns=spell.since_ns) for spell in found]
        of_servers = changes_of_each(record.changes, wanted)
        for spell, changes in zip(found, of_servers, strict=True):
            left = remaining(changes, spell.since_ns, director, record)
            yield Draining(director=director, spell=spell, left=left)


def remaining(
    changes: pd.DataFrame, since_ns: int, director: Director, record: DirectorRecord
) -> Remaining:
    """What is left of some entries of a director.

    Args:
        changes: of a real server's entries, as recorded; of those removed up to ``since_ns`` none
            are needed.
        since_ns: removals and renewals up to then do not count, Unix time.
        director: theirs.
        record: its part of the recording.
    """
    clock, entry_polls = record.clock, record.entry_polls
    changes = changes.assign(at_ns=ns(changes["at"]))
    there, removed = _last_rows(changes, since_ns)
    renewed = renewals(changes, entry_polls, since_ns)
    held = _held(there if len(there) else removed, renewed, entry_polls.at_ns, clock)
    edges = removal_s(held, _timers(director, clock, entry_polls))
    first_ns, last_ns = (clock.client_ns(edge) for edge in edges)
    is_gone = len(removed) and not len(there)
    return Remaining(
        held=held,
        first_ns=first_ns,
        last_ns=last_ns,
        n_left=len(there),
        gone_ns=int(ns(removed["gone_at"]).max()) if is_gone else None,
        renewed=renewed,
    )


def _timers(director: Director, clock: DirectorClock, entry_polls: EntryPolls) -> Timers:
    """A director's timers, uncertain also by the time that a read of its entries takes."""
    timers = timers_of(director, clock)
    took_s = float(np.median(entry_polls.by_ns - entry_polls.at_ns)) / NS_PER_S
    return replace(timers, uncertainty_s=timers.uncertainty_s + took_s)


def timers_of(director: Director, clock: DirectorClock) -> Timers:
    """A director's timeouts, HZ and timer phase, as measured or read."""
    return Timers(
        timeouts=director.timeouts or Timeouts(),
        hz=director.hz,
        phase_s=director.phase_s,
        uncertainty_s=clock.uncertainty_s + director.phase_uncertainty_s + 1 / (director.hz or 100),
    )


def _last_rows(changes: pd.DataFrame, since_ns: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The last row of each entry: those still there, and those removed since."""
    rows = changes.sort_values("at", kind="stable")
    last = rows.drop_duplicates(_KEY, keep="last")
    had = rows[rows["change"] != "gone"].drop_duplicates(_KEY, keep="last")
    gone = last[(last["change"] == "gone") & (ns(last["at"]) > since_ns)]
    merged = had.merge(gone[[*_KEY, "at"]].rename(columns={"at": "gone_at"}), on=_KEY)
    there = last[last["change"] != "gone"]
    return there, merged


def _held(
    rows: pd.DataFrame,
    renewed: pd.DataFrame,
    polled_ns: Ints,
    clock: DirectorClock,
) -> EntryTimers:
    at_ns = ns(rows["at"])
    before = np.searchsorted(polled_ns, at_ns) - 1
    before_s = np.full(len(rows), -np.inf)
    known = before >= 0
    before_s[known] = clock.uptime_s(polled_ns[before[known]])
    return EntryTimers(
        state=rows["state"].to_numpy(dtype=object),
        client=rows["client_ip"].to_numpy(dtype=object),
        seen_s=clock.uptime_s(at_ns),
        expires_s=rows["expires_s"].to_numpy(dtype=np.float64),
        before_s=before_s,
        is_template=(rows["client_port"] == 0).to_numpy(dtype=bool),
        renewed=_is_among(rows, renewed),
    )


def _is_among(rows: pd.DataFrame, others: pd.DataFrame) -> Bools:
    """Which rows are of an entry that also occurs in other rows."""
    keys, known = (
        pd.MultiIndex.from_frame(frame[_KEY].astype("string")) for frame in (rows, others)
    )
    return np.asarray(keys.isin(known), dtype=bool)
