"""The phase of a director's timers: read from it, or inferred from the expiries that were seen."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from analyzer.compared.join import with_packets
from analyzer.estimate.decay import sightings_of
from analyzer.ipvs.timers import TimerPhase
from analyzer.observed.parted import Parted
from analyzer.predicted.entries import TIMER
from analyzer.predicted.phase import infer_phase, refine_phase
from analyzer.results import NotMeasured

if TYPE_CHECKING:
    from analyzer.predicted.entries import Prediction
    from analyzer.predicted.phase import InferredPhase
    from analyzer.predicted.replay import DirectorRules
    from analyzer.recording.clock import DirectorClock
    from analyzer.recording.director import Director


def learn_phase(
    nominal: Prediction,
    clock: DirectorClock,
    rules: DirectorRules,
    director: Director,
    tracked: Parted,
) -> tuple[DirectorRules, InferredPhase | None]:
    """Rules with HZ and phase: as read (to within that), else inferred from observed expiries.

    Args:
        nominal: the prediction by these rules.
        clock: the director's.
        rules: its rules, HZ and phase as read.
        director: its facts.
        tracked: its tracked entries, of which many are sampled.

    Returns:
        The rules, and the phase where it was inferred.
    """
    joined = with_packets(Parted.of(tracked.some()), nominal, clock.margin_s).whole()
    timed = joined[(joined["cause"] == TIMER).fillna(value=False)]
    ended = timed[timed["absent_ns"].notna() & timed["seen_ns"].notna()]
    sightings = sightings_of(ended, clock)
    if rules.hz is not None and rules.phase_s is not None:
        open_s = clock.uncertainty_s + director.phase_uncertainty_s
        phase_s = refine_phase(sightings, rules.hz, rules.phase_s, open_s)
        return replace(rules, phase_s=phase_s), None
    inferred = infer_phase(sightings, rules.hz, clock.uncertainty_s)
    if inferred is None:
        return rules, None
    phase = inferred.phase
    return replace(rules, hz=phase.hz, phase_s=phase.phase_s), inferred


def timer_phase(
    rules: DirectorRules, director: Director, inferred: InferredPhase | None
) -> TimerPhase | None:
    """The phase as inferred, else as read; None where neither is known."""
    if inferred is not None:
        return inferred.phase
    return phase_read(director) if rules.phase_s is not None else None


def phase_read(director: Director) -> TimerPhase | None:
    """The phase as read from the director; None where its HZ or its phase could not be."""
    if director.hz is None or director.phase_s is None:
        return None
    return TimerPhase(
        hz=director.hz, phase_s=director.phase_s, uncertainty_s=director.phase_uncertainty_s
    )


def phase_unknown(director: Director, phase: TimerPhase | None) -> list[NotMeasured]:
    """That the timers' lateness was not measured, where their phase is not known."""
    if phase is not None:
        return []
    why = "HZ or the phase of its timers could not be read, nor inferred from expiries seen"
    return [NotMeasured(what=f"timer lateness on {director.name}", why=why)]
