"""A director by packets and counters: its lifetimes, and the rules of its prediction."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from analyzer.estimate.falls.lifetimes import Fallen, lifetimes_by_falls
from analyzer.estimate.falls.settle import Settled, settled
from analyzer.predicted.entries import predict

if TYPE_CHECKING:
    from analyzer.compared.evidence import Evidence
    from analyzer.compared.passage import Passage
    from analyzer.ipvs.replay import Rules
    from analyzer.recording.clock import DirectorClock
    from analyzer.recording.director import Director


def by_falls(
    director: Director, evidence: Evidence, passage: Passage, clock: DirectorClock, rules: Rules
) -> tuple[Fallen, Settled]:
    """What the falls of a director's counters say, and rules that go by it.

    Args:
        director: its facts.
        evidence: the recording.
        passage: what passed it.
        clock: its clock.
        rules: of its prediction, as far as they are known.
    """
    known = replace(director, hz=rules.hz)

    def measured(under: Rules) -> Fallen:
        prediction = predict(passage.segments, clock, under, director.name, passage.handled)
        return lifetimes_by_falls(
            prediction, passage.segments.flows, evidence.services, known, clock
        )

    fallen = measured(rules)
    found = settled(rules, fallen, director)
    if not found.notes:
        return fallen, found
    again = measured(found.rules)
    return replace(again, why_not=[*again.why_not, *found.notes]), found
