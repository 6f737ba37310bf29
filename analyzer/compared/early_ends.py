"""Entries that ended before their time: their real server removed, dropped by chance, flushed."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.compared.join import with_packets
from analyzer.compared.servers import servers_known
from analyzer.ipvs.timers import granule_s
from analyzer.predicted.entries import (
    AS_PREDICTED,
    DROP_ENTRY,
    EXPIRE_NODEST,
    FLUSH,
    TIMER,
    Prediction,
    at_instants,
    ended_at,
    state_name,
)
from analyzer.recording.instants import midway_ns, seconds_since
from analyzer.results import EndedEarly
from analyzer.units import KNOWN_HZ, NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from analyzer.arrays import Bools, Ints
    from analyzer.evidence.evidence import Evidence
    from analyzer.observed.parted import Parted
    from analyzer.predicted.outages import Outage
    from analyzer.recording.clock import DirectorClock
    from analyzer.recording.director import Director

EARLY_S = 0.5
"""An entry that ended this much before its time was not ended by its timer."""

_DROPPABLE = {"SYN_RECV", "SYNACK", "ESTABLISHED"}
_LEAST_FLUSHED = 3
_NEVER = np.iinfo(np.int64).max


def with_removals(
    prediction: Prediction, director: Director, evidence: Evidence, tracked: Parted
) -> Prediction:
    """The prediction with entries removed with their real servers, by expire_nodest_conn."""
    record = evidence.by_director[director.name]
    absences = record.absences
    if absences.empty or not director.expire_nodest_conn:
        return prediction
    joined = with_packets(tracked, prediction, record.clock.margin_s)
    servers = servers_known(prediction, joined, evidence)
    names = ["server", "from_ns", "removed_since_ns"]
    for server, from_ns, since_ns in absences[names].itertuples(index=False):

        def removed(entries: pd.DataFrame, server: str = server, since_ns: int = since_ns) -> Bools:
            own = servers.loc[entries.index]
            there = (own == server).to_numpy(dtype=bool, na_value=False)
            # made since the last poll, and never seen
            unseen = own.isna().to_numpy(dtype=bool) & (entries["first_ns"] > since_ns).to_numpy()
            return np.asarray(there | unseen)

        prediction = _ended_together(prediction, removed, int(from_ns), EXPIRE_NODEST)
    return prediction


def with_outages(prediction: Prediction, out: Sequence[Outage]) -> Prediction:
    """The prediction with entries that were lost with their director's kernel."""
    for outage in out:
        if outage.kernel_lost:
            prediction = _ended_together(prediction, _all, outage.from_ns, FLUSH)
    return prediction


def _all(entries: pd.DataFrame) -> Bools:
    return np.ones(len(entries), dtype=bool)


def _ended_together(
    prediction: Prediction, chosen: Callable[[pd.DataFrame], Bools], at_ns: int, cause: str
) -> Prediction:
    """The prediction with the chosen entries that existed at an instant ended then."""

    def when_ns(entries: pd.DataFrame) -> Ints:
        there = (entries["first_ns"] <= at_ns) & (entries["ends_ns"] > at_ns)
        return np.where(chosen(entries) & there.to_numpy(dtype=bool), at_ns, AS_PREDICTED)

    return ended_at(prediction, when_ns, cause)


def with_early_ends(
    prediction: Prediction, joined: Parted, director: Director, clock: DirectorClock
) -> tuple[Prediction, Parted]:
    """Entries that ended long before their timers would have fired, where the cause is known.

    Their instant is taken from the polls: chance, or an operator, chose it.

    Args:
        prediction: a director's.
        joined: its tracked entries, as ``join.with_packets`` gives them.
        director: its facts.
        clock: its clock.
    """
    margin_ns = round((EARLY_S + clock.uncertainty_s) * NS_PER_S)
    early_ns = [np.unique(_absent_ns(part)[_early(part, margin_ns)]) for part in joined]
    instants_ns = np.unique(np.concatenate(early_ns))
    if not len(instants_ns):
        return prediction, joined
    flushed_ns = _flushed(joined, instants_ns, margin_ns, director.hz)
    ends: dict[str, list[pd.Series]] = {DROP_ENTRY: [], FLUSH: []}
    may_drop = director.drop_entry > 0

    def explained(part: pd.DataFrame) -> pd.DataFrame:
        early = _early(part, margin_ns)
        flushed = early & np.isin(_absent_ns(part), flushed_ns)
        dropped = early & part["state"].isin(_DROPPABLE).to_numpy(dtype=bool) & may_drop
        cause = part["cause"].copy()
        for name, chosen in ((DROP_ENTRY, dropped), (FLUSH, flushed & ~dropped)):
            rows = part[chosen]
            middle_ns = midway_ns(rows["seen_ns"], rows["absent_by_ns"])
            ends[name].append(pd.Series(middle_ns, index=rows["entry"].astype("int64")))
            cause[chosen] = name
        return part.assign(cause=cause)

    joined = joined.map(explained)
    for name, found in ends.items():
        at_ns = pd.concat(found).sort_index()
        if len(at_ns):
            at = at_instants(at_ns.index.to_numpy(dtype=np.int64), at_ns.to_numpy())
            prediction = ended_at(prediction, at, name)
    return prediction, joined


def _early(joined: pd.DataFrame, margin_ns: int) -> Bools:
    """Which entries ended long before their timers would have fired."""
    timed = (joined["cause"] == TIMER).fillna(value=False)
    timed &= joined["absent_ns"].notna() & joined["seen_ns"].notna()
    sooner = (joined["absent_by_ns"] + margin_ns < joined["ends_ns"]).fillna(value=False)
    return np.asarray(timed & sooner, dtype=np.bool_)


def _absent_ns(joined: pd.DataFrame) -> Ints:
    return joined["absent_ns"].to_numpy(dtype=np.int64, na_value=_NEVER)


def _flushed(joined: Parted, instants_ns: Ints, margin_ns: int, hz: int | None) -> Ints:
    """Polls after which no entry at all was left, and that miss early ends of entries of many ages.

    A timeout that is shorter than reported also ends many at once, but all at one age.

    Args:
        joined: all entries.
        instants_ns: the polls that miss those that ended early, ascending.
        margin_ns: as for ``_early``.
        hz: of the director; None where not known.
    """
    polls = len(instants_ns)
    together, left = np.zeros(polls, dtype=np.int64), np.zeros(polls + 1, dtype=np.int64)
    youngest_s, oldest_s = np.full(polls, np.inf), np.full(polls, -np.inf)
    for part in joined:
        early, absent_ns = _early(part, margin_ns), _absent_ns(part)
        poll = np.searchsorted(instants_ns, absent_ns[early])
        age_s = seconds_since(absent_ns[early], part["last_ns"][early])
        together += np.bincount(poll, minlength=polls)
        np.minimum.at(youngest_s, poll, age_s)
        np.maximum.at(oldest_s, poll, age_s)
        since = np.searchsorted(instants_ns, part["appeared_ns"].to_numpy(), side="right")
        until = np.searchsorted(instants_ns, absent_ns)  # it is there at the polls between
        stayed = until > since
        left += np.bincount(since[stayed], minlength=polls + 1)
        left -= np.bincount(until[stayed], minlength=polls + 1)
    emptied = (together >= _LEAST_FLUSHED) & (np.cumsum(left)[:polls] == 0)
    flushed = [
        poll
        for poll in np.flatnonzero(emptied)
        if _of_many_ages(youngest_s[poll], oldest_s[poll], hz)
    ]
    return instants_ns[np.array(flushed, dtype=np.int64)]


def _of_many_ages(youngest_s: float, oldest_s: float, hz: int | None) -> bool:
    """Whether no single timeout, late by up to its granule, explains these ends."""
    late_s = max(granule_s(oldest_s, known_hz) for known_hz in ([hz] if hz else KNOWN_HZ))
    return bool(oldest_s - youngest_s > late_s)


def ended_early_rows(prediction: Prediction) -> list[EndedEarly]:
    """How many entries ended early, by their last state and the cause."""
    counts = Counter[tuple[int, str]]()
    for entries in prediction.entry_parts():
        early = entries.loc[(entries["cause"] != TIMER).to_numpy(), ["state", "cause"]]
        counts.update(early.itertuples(index=False, name=None))
    return [
        EndedEarly(director=prediction.director, state=state_name(state), cause=cause, n=n)
        for (state, cause), n in sorted(counts.items())
    ]
