"""The timeouts of a director with its packets: what entries show decides what is predicted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analyzer.compared.join import with_packets
from analyzer.estimate.in_force.model import timeouts_in_force
from analyzer.estimate.in_force.readings import rows_read
from analyzer.estimate.in_force.settle import settled
from analyzer.ipvs.states import State, timeout_by_state_s
from analyzer.observed.parted import Parted

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from analyzer.estimate.in_force.model import InForce
    from analyzer.evidence.evidence import Evidence
    from analyzer.predicted.entries import Prediction
    from analyzer.predicted.replay import DirectorRules
    from analyzer.recording.clock import DirectorClock
    from analyzer.recording.director import Director


def learn_timeouts(
    replayed: Callable[[DirectorRules], Prediction],
    clock: DirectorClock,
    rules: DirectorRules,
    director: Director,
    evidence: Evidence,
    tracked: Parted,
) -> InForce:
    """The timeouts in force over time.

    Args:
        replayed: what passed the director, replayed under some rules.
        clock: the director's.
        rules: the director's, its timeouts as reported.
        director: its facts.
        evidence: the recording.
        tracked: its tracked entries, of which many are sampled.
    """
    rows = rows_read(evidence.by_director[director.name])
    by_polls = timeouts_in_force(director, evidence, clock, rows=rows)
    prediction = replayed(by_polls.rules(rules, clock))
    in_force = timeouts_in_force(director, evidence, clock, prediction, rows)
    if not in_force.changes:
        return in_force
    some = Parted.of(tracked.some())
    joined = with_packets(some, prediction, clock.margin_s)
    return settled(in_force, joined.whole(), director.hz, clock.uncertainty_s)


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
