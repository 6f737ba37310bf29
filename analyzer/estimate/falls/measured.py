"""A director by packets and counters: its lifetimes, and the rules of its prediction."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from analyzer.estimate.falls.lifetimes import Fallen, lifetimes_by_falls
from analyzer.estimate.falls.settle import RulesByFalls, settled

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from analyzer.evidence.evidence import Evidence
    from analyzer.predicted.entries import Prediction
    from analyzer.predicted.replay import DirectorRules
    from analyzer.recording.clock import DirectorClock
    from analyzer.recording.director import Director


def by_falls(
    director: Director,
    evidence: Evidence,
    flows: pd.DataFrame,
    replayed: Callable[[DirectorRules], Prediction],
    clock: DirectorClock,
    rules: DirectorRules,
) -> tuple[Fallen, RulesByFalls]:
    """Lifetimes by the falls of a director's counters, and rules that use them.

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

    def measured(under: DirectorRules) -> Fallen:
        return lifetimes_by_falls(replayed(under), flows, services, known, clock)

    fallen = measured(rules)
    by_falls = settled(rules, fallen, director)
    if not by_falls.notes:
        return fallen, by_falls
    remeasured = measured(by_falls.rules)
    return replace(remeasured, why_not=[*remeasured.why_not, *by_falls.notes]), by_falls
