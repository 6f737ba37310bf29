"""Measurements of one director: predicted and observed entries, and their comparison."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from analyzer.client.causes import lacks_services
from analyzer.compared.agreement import Tolerance, agreement
from analyzer.compared.by_requests import REQUEST_END_UNCERTAINTY_S, with_requests
from analyzer.compared.curves import predicted_curves
from analyzer.compared.early_ends import (
    ended_early_rows,
    with_early_ends,
    with_outages,
    with_removals,
)
from analyzer.compared.join import foreign_entries, with_packets, without_last_packet
from analyzer.compared.passage import passage_of
from analyzer.compared.servers import real_servers
from analyzer.estimate.counters import counted_lifetimes
from analyzer.estimate.decay import predicted_lifetimes
from analyzer.estimate.decay_in_parts import lifetimes_in_parts
from analyzer.estimate.entry_timers import timers_of, unseen_ends
from analyzer.estimate.falls.bands import earliest_and_latest
from analyzer.estimate.falls.measured import by_falls
from analyzer.estimate.falls.settle import RulesByFalls
from analyzer.estimate.in_force.learn import learn_timeouts, with_timeouts
from analyzer.estimate.in_force.model import timeouts_in_force
from analyzer.estimate.in_force.wording import timeouts_unknown, with_sources
from analyzer.estimate.timer_phase import learn_phase, phase_read, phase_unknown, timer_phase
from analyzer.measure_netfilter import measure_netfilter
from analyzer.measured import Measured
from analyzer.observed.entries import state_samples
from analyzer.predicted.entries import (
    Prediction,
    predict,
)
from analyzer.predicted.rules import rules_of
from analyzer.results import NotMeasured

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from analyzer.charts.curves import Curve
    from analyzer.compared.passage import Passage
    from analyzer.estimate.counters import CounterFindings
    from analyzer.estimate.in_force.model import InForce
    from analyzer.evidence.evidence import Evidence
    from analyzer.ipvs.timers import TimerPhase
    from analyzer.observed.parted import Parted
    from analyzer.predicted.replay import DirectorRules
    from analyzer.recording.clock import DirectorClock
    from analyzer.recording.director import Director

    Bools = npt.NDArray[np.bool_]


def measure(director: Director, evidence: Evidence, observed: list[Curve]) -> Measured:
    """All measurements of one director in a recording.

    Args:
        director: its facts.
        evidence: the recording.
        observed: the polled curves, of all directors.
    """
    record = evidence.by_director[director.name]
    clock = record.clock
    polled = [curve for curve in observed if curve.director == director.name]
    if director.conntrack_settings is not None:
        return measure_netfilter(director, director.conntrack_settings, evidence, polled)
    if lacks_services(director, evidence):
        return _without_service(director, evidence, clock, record.tracked)
    if evidence.segments is None:
        return _without_packets(director, evidence, clock, polled)
    tracked = record.tracked
    passage = passage_of(director, evidence, clock, tracked)
    rules = rules_of(director, evidence)

    @lru_cache(maxsize=1)  # rules as learnt are mostly those reported before
    def replayed(rules: DirectorRules) -> Prediction:
        return predict(passage.segments, clock, rules, director.name, passage.handled)

    in_force = learn_timeouts(replayed, clock, rules, director, evidence, tracked)
    director, rules = in_force.known(director), in_force.rules(rules, clock)
    rules, inferred = learn_phase(replayed(rules), clock, rules, director, tracked)
    fallen, rules_by_falls, by_counters = None, RulesByFalls(rules=rules), None
    if polled and tracked.empty:
        flows = passage.segments.flows
        fallen, rules_by_falls = by_falls(director, evidence, flows, replayed, clock, rules)
    if fallen and fallen.is_refused:
        by_counters = _by_counters(director, evidence)
    rules = rules_by_falls.rules
    prediction = replayed(rules)
    prediction = with_removals(prediction, director, evidence, tracked)
    prediction = with_outages(prediction, passage.outages)
    joined = with_packets(tracked, prediction, clock.margin_s, passage.segments)
    prediction, joined = with_early_ends(prediction, joined, director, clock)
    phase = timer_phase(rules, director, inferred)
    director = replace(director, hz=rules.hz)
    rows = lifetimes_in_parts(joined, director, clock, phase, last_packet_uncertainty_s=0)
    servers = real_servers(prediction, joined, evidence, polled)
    predicted = predicted_curves(prediction, servers, evidence.zero_ns, director.kernel)
    samples = state_samples(record.entries, record.entry_polls)
    bounds = (
        earliest_and_latest(
            prediction, rules.hz, rules_by_falls.uncertainty_s, phase_known=phase is not None
        )
        if polled
        else []
    )
    return Measured(
        director=director,
        tracked=joined,
        prediction=prediction,
        lifetimes=with_sources(
            (by_counters.lifetimes if by_counters else rows)
            or (fallen.rows if fallen else [])
            or predicted_lifetimes(prediction.entry_parts(), director),
            director,
            in_force,
        ),
        predicted=predicted,
        agreement=agreement(
            prediction,
            joined,
            samples,
            polled,
            predicted,
            _tolerance(director, evidence, clock, phase, in_force, passage),
            [
                predicted_curves(bound, servers, evidence.zero_ns, director.kernel)
                for bound in bounds
            ],
        )
        if polled
        else None,
        ended_early=ended_early_rows(prediction),
        foreign_entries=foreign_entries(joined),
        inferred=inferred,
        rules=rules,
        in_force=in_force,
        not_measured=[
            *timeouts_unknown(director, in_force),
            *phase_unknown(director, phase),
            *(fallen.why_not if fallen else []),
            *(by_counters.not_measured if by_counters else []),
            *passage.not_measured(director.name),
        ],
        passage=passage,
        counted=by_counters.services if by_counters else [],
    )


def _by_counters(director: Director, evidence: Evidence) -> CounterFindings | None:
    """What counters alone say; None where they claim no lifetime."""
    record = evidence.by_director[director.name]
    by_counters = counted_lifetimes(director, record.services, record.counted, evidence.zero_ns)
    return by_counters if by_counters.lifetimes else None


def _tolerance(
    director: Director,
    evidence: Evidence,
    clock: DirectorClock,
    phase: TimerPhase | None,
    in_force: InForce,
    passage: Passage,
) -> Tolerance:
    return Tolerance(
        clock_s=clock.margin_s + (phase.uncertainty_s if phase else 0.0),
        phase_is_known=phase is not None,
        timeout_s=in_force.open_s,
        unseen_packets=evidence.misses_packets,
        unsure_flows=passage.unsure_flows,
        unsure_since_s=passage.unsure_since_s(evidence.zero_ns),
        hz=director.hz,
        stamps_s=clock.uncertainty_s,
    )


def _without_service(
    director: Director, evidence: Evidence, clock: DirectorClock, tracked: Parted
) -> Measured:
    """Packets to a service that the director does not have make no entry, so none is predicted."""
    what = f"ActiveConn, InActConn and predictions for the service on {director.name}"
    why = f"{director.name} has no such service, so no packet makes an entry there"
    in_force = timeouts_in_force(director, evidence, clock)
    return Measured(
        director=director,
        tracked=tracked.map(without_last_packet),
        prediction=None,
        lifetimes=[],
        predicted=[],
        agreement=None,
        ended_early=[],
        foreign_entries=0,
        inferred=None,
        rules=in_force.rules(rules_of(director, evidence), clock),
        in_force=in_force,
        not_measured=[NotMeasured(what=what, why=why)],
    )


def _without_packets(
    director: Director,
    evidence: Evidence,
    clock: DirectorClock,
    polled: list[Curve],
) -> Measured:
    """Lifetimes by the ends of the requests; else by the polls of entries; else by counters."""
    record = evidence.by_director[director.name]
    in_force = timeouts_in_force(director, evidence, clock)
    director = in_force.known(director)
    rules = in_force.rules(rules_of(director, evidence), clock)
    if not len(evidence.requests):
        timers = timers_of(record.tracked, in_force.steady)
        tracked, foreign, uncertainty_s = record.tracked.map(timers.added), 0, 0.0
    else:
        tracked = with_requests(record.tracked, record.entries, evidence.requests)
        foreign, uncertainty_s = foreign_entries(tracked), REQUEST_END_UNCERTAINTY_S
    if rules.changes:
        tracked = tracked.map(lambda rows: with_timeouts(rows, rules, clock))
    phase = phase_read(director)
    rows = lifetimes_in_parts(
        tracked, director, clock, phase, last_packet_uncertainty_s=uncertainty_s
    )
    unknown = timeouts_unknown(director, in_force)
    not_measured, by_counters = [*unknown, *phase_unknown(director, phase)], None
    not_measured += unseen_ends(tracked, director)
    if not len(record.entry_polls.at_ns):
        by_counters = counted_lifetimes(director, record.services, record.counted, evidence.zero_ns)
    if by_counters and by_counters.services:
        rows, not_measured = by_counters.lifetimes, [*unknown, *by_counters.not_measured]
    return Measured(
        director=director,
        tracked=tracked,
        prediction=None,
        lifetimes=with_sources(rows, director, in_force),
        predicted=[],
        agreement=None,
        ended_early=[],
        foreign_entries=foreign,
        inferred=None,
        rules=rules,
        in_force=in_force,
        not_measured=not_measured,
        counted=by_counters.services if by_counters else [],
    )
