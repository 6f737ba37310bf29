"""The timeouts of a director with its packets: what entries show decides what is predicted."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.compared.join import with_packets
from analyzer.estimate.in_force.check import check
from analyzer.estimate.in_force.model import timeouts_in_force
from analyzer.estimate.in_force.readings import rows_read
from analyzer.estimate.in_force.settle import near_changes, settled
from analyzer.ipvs.states import State, timeout_by_state_s

if TYPE_CHECKING:
    from collections.abc import Callable

    from analyzer.estimate.in_force.model import InForce
    from analyzer.evidence.evidence import Evidence
    from analyzer.observed.parted import Parted
    from analyzer.predicted.entries import Prediction
    from analyzer.predicted.replay import DirectorRules
    from analyzer.recording.clock import DirectorClock
    from analyzer.recording.director import Director

_MOST_ROUNDS = 4
"""So often the timeouts are learnt again from what contradicts them. Two odd entries may then show
a change that there was not; those between them contradict it in the next round."""


def learn_timeouts(
    replayed: Callable[[DirectorRules], Prediction],
    clock: DirectorClock,
    rules: DirectorRules,
    director: Director,
    evidence: Evidence,
    tracked: Parted,
) -> InForce:
    """The timeouts in force over time, from a sample of many entries that all are checked against.

    Args:
        replayed: what passed the director, replayed under some rules.
        clock: the director's.
        rules: the director's, its timeouts as reported.
        director: its facts.
        evidence: the recording.
        tracked: its tracked entries.
    """
    record, slack_s = evidence.by_director[director.name], clock.uncertainty_s

    def learnt(rows: pd.DataFrame, prediction: Prediction | None = None) -> InForce:
        return timeouts_in_force(director, evidence, clock, prediction, rows)

    rows = rows_read(record)
    prediction = replayed(learnt(rows).rules(rules, clock))
    in_force, is_known = learnt(rows, prediction), not record.entries.is_sampled
    for _ in range(_MOST_ROUNDS):
        if is_known:
            break
        checked = check(in_force, director, record, prediction, slack_s)
        rows = _together(rows, checked.rows)
        again = learnt(rows, prediction)
        is_known = again.is_alike(in_force)
        in_force = in_force.with_counts(checked.counts) if is_known else again
        prediction = replayed(in_force.rules(rules, clock))
    if not in_force.changes:
        return in_force
    joined = with_packets(tracked, prediction, clock.margin_s)
    near = joined.only(partial(near_changes, in_force)).some()
    return settled(in_force, near, director.hz, slack_s)


def _together(rows: pd.DataFrame, more: pd.DataFrame) -> pd.DataFrame:
    """All rows, in the order of flows, each once."""
    every = pd.concat([rows, more]).drop_duplicates()
    return every.sort_values(["flow", "read_ns"], ignore_index=True)


def with_timeouts(
    tracked: pd.DataFrame, rules: DirectorRules, clock: DirectorClock
) -> pd.DataFrame:
    """Entries without packets, with the timeout in force at their last packet, if it changed.

    Args:
        tracked: one director's, with ``last_ns``.
        rules: with its timeouts as they were in force.
        clock: the director's.

    Returns:
        The same with ``timeout_s, predicted_state``; as they are where nothing changed.
    """
    if not rules.changes or tracked.empty:
        return tracked
    numbers = tracked["state"].map({state.name: int(state) for state in State}).fillna(State.NONE)
    last_ns = tracked["last_ns"].fillna(0).to_numpy(dtype=np.int64)
    held = [timeout_by_state_s(rules.timeouts)]
    held += [timeout_by_state_s(timeouts) for _, timeouts in rules.changes]
    since_s = [since for since, _ in rules.changes]
    place = np.searchsorted(since_s, clock.uptime_s(last_ns), side="right")
    timeout_s = np.array(held)[place, numbers.to_numpy(dtype=np.int64)]
    return tracked.assign(timeout_s=timeout_s, predicted_state=numbers.astype("int64"))
