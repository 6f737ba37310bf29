"""Entries that ended before their time: their real server removed, dropped by chance, flushed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.ipvs.states import Flag
from analyzer.ipvs.timers import KNOWN_HZ, granule_s
from analyzer.observed import absences
from analyzer.predict import (
    DROP_ENTRY,
    EXPIRE_NODEST,
    FLUSH,
    TIMER,
    Prediction,
    ended_at,
    predict,
    state_name,
)
from analyzer.results import EndedEarly

if TYPE_CHECKING:
    import numpy.typing as npt

    from analyzer.clock import DirectorClock
    from analyzer.director import Director
    from analyzer.evidence import Evidence
    from analyzer.ipvs.replay import Rules
    from analyzer.wire.segments import Segments

    Bools = npt.NDArray[np.bool_]

EARLY_S = 0.5
"""An entry that went this much before its time did not go by its timer."""

_DROPPABLE = {"SYN_RECV", "SYNACK", "ESTABLISHED"}
_LEAST_FLUSHED = 3
_NS = 1_000_000_000


def with_removals(
    prediction: Prediction,
    segments: Segments,
    clock: DirectorClock,
    rules: Rules,
    director: Director,
    evidence: Evidence,
    lives: pd.DataFrame,
) -> Prediction:
    """With real servers that were removed meanwhile: their packets dropped, or entries deleted."""
    gone = absences(evidence.services, evidence.events, director.name)
    if gone.empty:
        return prediction
    server_of_flow = lives.drop_duplicates("flow", keep="last").set_index("flow")["real_server"]
    dropped = np.zeros(len(segments.flow), dtype=bool)
    servers = pd.Series(segments.flow).map(server_of_flow)
    for server, from_ns, to_ns in gone.itertuples(index=False):
        ours = (servers == server).to_numpy(dtype=bool, na_value=False)
        if director.expire_nodest_conn:
            dropped |= ours & _after_the_entry(segments, from_ns)
        else:
            dropped |= ours & (segments.at_ns >= from_ns) & (segments.at_ns < to_ns)
    if dropped.any():
        prediction = predict(segments, clock, rules, director.name, dropped=dropped)
    if director.expire_nodest_conn:
        return _deleted_with_server(prediction, gone, server_of_flow)
    return prediction


def _after_the_entry(segments: Segments, deleted_ns: int) -> Bools:
    """Segments that come after their flow's entry was deleted, until a SYN makes a new one."""
    later = segments.at_ns >= deleted_ns
    renews = later & segments.to_vip & (segments.flag == Flag.SYN)
    so_far = np.cumsum(renews)
    starts = segments.starts()
    lengths = np.diff(np.r_[starts, len(so_far)])
    at_start = np.repeat(so_far[starts] - renews[starts], lengths)
    return np.asarray(later & (so_far == at_start))


def _deleted_with_server(
    prediction: Prediction, gone: pd.DataFrame, server_of_flow: pd.Series
) -> Prediction:
    for server, from_ns, _ in gone.itertuples(index=False):
        entries = prediction.entries
        servers = entries["flow"].map(server_of_flow)
        chosen = (servers == server).to_numpy(dtype=bool, na_value=False)
        chosen &= (entries["first_ns"] < from_ns) & (entries["ends_ns"] > from_ns)
        count = int(chosen.sum())
        if count:
            at_ns = np.full(count, from_ns, dtype=np.int64)
            prediction = ended_at(prediction, chosen, at_ns, EXPIRE_NODEST)
    return prediction


def with_early_ends(
    prediction: Prediction, joined: pd.DataFrame, director: Director, clock: DirectorClock
) -> tuple[Prediction, pd.DataFrame]:
    """Entries that went long before their timers would have fired, where the cause can be told.

    Their instant is taken from the polls: chance, or an operator, chose it.
    """
    timed = (joined["cause"] == TIMER).fillna(value=False) & joined["gone_ns"].notna()
    margin_ns = round((EARLY_S + clock.uncertainty_s) * _NS)
    sooner = (joined["gone_by_ns"] + margin_ns < joined["ends_ns"]).fillna(value=False)
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
        middle = rows["seen_ns"].astype("int64") // 2 + rows["gone_by_ns"].astype("int64") // 2
        at_ns = pd.Series(middle.to_numpy(), index=rows["entry"].astype("int64")).sort_index()
        mask = prediction.entries.index.isin(at_ns.index)
        prediction = ended_at(prediction, mask, at_ns.to_numpy(), cause)
        joined.loc[rows.index, "cause"] = cause
    return prediction, joined


def _flushed(joined: pd.DataFrame, early: Bools, hz: int | None) -> Bools:
    """Early ends in a look after which no entry at all was left, of entries of many ages.

    A timeout that is shorter than was told also ends many at once, but all at one age.
    """
    gone_ns = joined["gone_ns"].fillna(np.iinfo(np.int64).max).astype("int64").to_numpy()
    chosen = np.zeros(len(joined), dtype=bool)
    for instant in np.unique(gone_ns[early]):
        together = early & (gone_ns == instant)
        left = (joined["appeared_ns"].to_numpy() < instant) & (gone_ns > instant)
        if together.sum() >= _LEAST_FLUSHED and not left.any():
            chosen |= together & _of_many_ages(joined[together], hz)
    return chosen


def _of_many_ages(together: pd.DataFrame, hz: int | None) -> bool:
    """Whether no single timeout, late by up to its granule, would end these in one look."""
    age_s = (together["gone_ns"] - together["last_ns"]).to_numpy(dtype=np.float64) / _NS
    late_s = max(granule_s(age_s.max(), one) for one in ([hz] if hz else KNOWN_HZ))
    return bool(np.ptp(age_s) > late_s)


def ended_early_rows(prediction: Prediction) -> list[EndedEarly]:
    """How many entries ended early, by their last state and the cause."""
    early = prediction.entries[prediction.entries["cause"] != TIMER]
    groups = early.groupby(["state", "cause"], sort=True).size()
    return [
        EndedEarly(director=prediction.director, state=state_name(state), cause=cause, n=n)
        for state, cause, n in groups.reset_index().itertuples(index=False)
    ]
