"""A director by packets and counters: its lifetimes, and the rules of its prediction."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from analyzer.estimate.falls.lifetimes import Fallen, lifetimes_by_falls
from analyzer.estimate.falls.settle import Settled, settled

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from analyzer.compared.evidence import Evidence
    from analyzer.ipvs.replay import Rules
    from analyzer.predicted.entries import Prediction
    from analyzer.recording.clock import DirectorClock
    from analyzer.recording.director import Director


def by_falls(
    director: Director,
    evidence: Evidence,
    flows: pd.DataFrame,
    replayed: Callable[[Rules], Prediction],
    clock: DirectorClock,
    rules: Rules,
) -> tuple[Fallen, Settled]:
    """What the falls of a director's counters say, and rules that go by it.

    Args:
        director: its facts.
        evidence: the recording.
        flows: ``Segments.flows`` of what passed it.
        replayed: what passed it, replayed under some rules.
        clock: its clock.
        rules: of its prediction, as far as they are known.
    """
    known = replace(director, hz=rules.hz)
    services = evidence.by_director[director.name].services

    def measured(under: Rules) -> Fallen:
        return lifetimes_by_falls(replayed(under), flows, services, known, clock)

    fallen = measured(rules)
    found = settled(rules, fallen, director)
    if not found.notes:
        return fallen, found
    again = measured(found.rules)
    return replace(again, why_not=[*again.why_not, *found.notes]), found
