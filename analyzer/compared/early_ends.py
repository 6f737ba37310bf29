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
    DROP_ENTRY,
    EXPIRE_NODEST,
    FLUSH,
    TIMER,
    Prediction,
    ended_at,
    state_name,
)
from analyzer.results import EndedEarly
from analyzer.units import KNOWN_HZ, NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from analyzer.evidence.evidence import Evidence
    from analyzer.predicted.outages import Outage
    from analyzer.recording.clock import DirectorClock
    from analyzer.recording.director import Director

    Bools = npt.NDArray[np.bool_]

EARLY_S = 0.5
"""An entry that ended this much before its time was not ended by its timer."""

_DROPPABLE = {"SYN_RECV", "SYNACK", "ESTABLISHED"}
_LEAST_FLUSHED = 3


def with_removals(
    prediction: Prediction,
    director: Director,
    evidence: Evidence,
    tracked: pd.DataFrame,
) -> Prediction:
    """The prediction with entries removed with their real servers, by expire_nodest_conn."""
    record = evidence.by_director[director.name]
    absences = record.absences
    if absences.empty or not director.expire_nodest_conn:
        return prediction
    joined = with_packets(tracked, prediction, record.clock.margin_s)
    servers = servers_known(prediction, joined, evidence)
    unknown = servers.isna().to_numpy(dtype=bool)
    first_ns = prediction.entries["first_ns"].to_numpy(dtype=np.int64)
    names = ["server", "from_ns", "removed_since_ns"]
    for server, from_ns, since_ns in absences[names].itertuples(index=False):
        there = (servers == server).to_numpy(dtype=bool, na_value=False)
        there = there | unknown & (first_ns > since_ns)  # made since the last poll, and never seen
        prediction = _ended_together(prediction, there, int(from_ns), EXPIRE_NODEST)
    return prediction


def with_outages(prediction: Prediction, out: Sequence[Outage]) -> Prediction:
    """The prediction with entries that were lost with their director's kernel."""
    for outage in out:
        if outage.kernel_lost:
            everything = np.ones(len(prediction.entries), dtype=bool)
            prediction = _ended_together(prediction, everything, outage.from_ns, FLUSH)
    return prediction


def _ended_together(prediction: Prediction, chosen: Bools, at_ns: int, cause: str) -> Prediction:
    """The prediction with the chosen entries that existed at an instant ended then."""
    entries = prediction.entries
    there = chosen & (entries["first_ns"] <= at_ns).to_numpy(dtype=bool)
    there &= (entries["ends_ns"] > at_ns).to_numpy(dtype=bool)
    if not there.any():
        return prediction
    return ended_at(prediction, there, np.full(int(there.sum()), at_ns, dtype=np.int64), cause)


def with_early_ends(
    prediction: Prediction, joined: pd.DataFrame, director: Director, clock: DirectorClock
) -> tuple[Prediction, pd.DataFrame]:
    """Entries that ended long before their timers would have fired, where the cause is known.

    Their instant is taken from the polls: chance, or an operator, chose it.
    """
    timed = (joined["cause"] == TIMER).fillna(value=False)
    timed &= joined["absent_ns"].notna() & joined["seen_ns"].notna()
    margin_ns = round((EARLY_S + clock.uncertainty_s) * NS_PER_S)
    sooner = (joined["absent_by_ns"] + margin_ns < joined["ends_ns"]).fillna(value=False)
    early = np.asarray(timed & sooner, dtype=np.bool_)
    if not early.any():
        return prediction, joined
    by_chance = early & joined["state"].isin(_DROPPABLE).to_numpy(dtype=bool)
    flushed = _flushed(joined, early, director.hz)
    causes = ((DROP_ENTRY, by_chance & (director.drop_entry > 0)), (FLUSH, flushed))
    joined = joined.copy()
    for cause, chosen in causes:
        rows = joined[chosen & (joined["cause"] == TIMER).to_numpy(dtype=bool, na_value=False)]
        if rows.empty:
            continue
        middle = rows["seen_ns"].astype("int64") // 2 + rows["absent_by_ns"].astype("int64") // 2
        at_ns = pd.Series(middle.to_numpy(), index=rows["entry"].astype("int64")).sort_index()
        mask = prediction.entries.index.isin(at_ns.index)
        prediction = ended_at(prediction, mask, at_ns.to_numpy(), cause)
        joined.loc[rows.index, "cause"] = cause
    return prediction, joined


def _flushed(joined: pd.DataFrame, early: Bools, hz: int | None) -> Bools:
    """Early ends between two polls after which no entry at all was left, of entries of many ages.

    A timeout that is shorter than reported also ends many at once, but all at one age.
    """
    absent_ns = joined["absent_ns"].fillna(np.iinfo(np.int64).max).astype("int64").to_numpy()
    chosen = np.zeros(len(joined), dtype=bool)
    for instant in np.unique(absent_ns[early]):
        together = early & (absent_ns == instant)
        left = (joined["appeared_ns"].to_numpy() < instant) & (absent_ns > instant)
        if together.sum() >= _LEAST_FLUSHED and not left.any():
            chosen |= together & _of_many_ages(joined[together], hz)
    return chosen


def _of_many_ages(together: pd.DataFrame, hz: int | None) -> bool:
    """Whether no single timeout, late by up to its granule, explains these ends."""
    age_s = (together["absent_ns"] - together["last_ns"]).to_numpy(dtype=np.float64) / NS_PER_S
    late_s = max(granule_s(age_s.max(), known_hz) for known_hz in ([hz] if hz else KNOWN_HZ))
    return bool(np.ptp(age_s) > late_s)


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
