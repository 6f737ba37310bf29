"""Measurements of one netfilter director: conntrack's entries, predicted and observed.

It has no ActiveConn or InActConn of its own, no schedulers and no weights: what IPVS's tables say
of these is not measured, and entries count as active while their connections go on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analyzer.compared.agreement import Tolerance, agreement
from analyzer.compared.by_requests import REQUEST_END_UNCERTAINTY_S, with_requests
from analyzer.compared.curves import predicted_curves
from analyzer.compared.early_ends import ended_early_rows, with_early_ends, with_outages
from analyzer.compared.join import foreign_entries, with_packets, without_last_packet
from analyzer.compared.passage import passage_of, without_untracked
from analyzer.compared.servers import real_servers
from analyzer.conntrack.proc import OFFLOAD
from analyzer.conntrack.replay import ConntrackRules
from analyzer.conntrack.settings import with_change
from analyzer.conntrack.states import is_active
from analyzer.conntrack.versions import law_of
from analyzer.estimate.conntrack import conntrack_lifetimes, predicted_conntrack_lifetimes
from analyzer.estimate.in_force.model import InForce
from analyzer.ipvs.states import Timeouts
from analyzer.measured import Measured
from analyzer.observed.entries import ns, since_ns, state_samples
from analyzer.observed.masquerades import hidden_connections, no_hidden_connections
from analyzer.predicted.conntrack import predict
from analyzer.predicted.evictions import with_evictions
from analyzer.predicted.rules import rules_of
from analyzer.predicted.untracked import untracked
from analyzer.results import NotMeasured

if TYPE_CHECKING:
    import pandas as pd

    from analyzer.arrays import Ints
    from analyzer.charts.curves import Curve
    from analyzer.compared.passage import Passage
    from analyzer.conntrack.settings import ConntrackSettings
    from analyzer.evidence.evidence import Evidence
    from analyzer.observed.parted import Parted
    from analyzer.observed.record import DirectorRecord
    from analyzer.predicted.entries import Prediction
    from analyzer.recording.director import Director
    from analyzer.results import Lifetime

_NOTHING_IN_FORCE = InForce(start=Timeouts(), assumed=frozenset(), shown={}, denied={}, changes=())


def measure_netfilter(
    director: Director, settings: ConntrackSettings, evidence: Evidence, polled: list[Curve]
) -> Measured:
    """All measurements of one netfilter director in a recording.

    Args:
        director: its facts.
        settings: its sysctls.
        evidence: the recording.
        polled: its curves by real server, as its entries were counted; empty where they were not.
    """
    record = evidence.by_director[director.name]
    clock = record.clock
    changes = _changes(record.events, settings)
    at_ns = np.array([change.at_ns for change in changes], dtype=np.int64)
    rules = ConntrackRules(
        settings=settings,
        law=law_of(director.kernel),
        follows_windows=not evidence.misses_packets,
        hz=director.hz,
        phase_s=director.phase_s,
        changes=tuple(
            (float(uptime_s), change.settings)
            for uptime_s, change in zip(clock.uptime_s(at_ns), changes, strict=True)
        ),
    )
    if evidence.segments is None:
        return _without_packets(director, rules, evidence, polled)
    passage = passage_of(director, evidence, clock, record.tracked)
    apart = untracked(passage.segments, record)
    passage = without_untracked(passage, apart)
    prediction = predict(passage.segments, clock, rules, director.name, passage.handled)
    hidden = _hidden(evidence, director.name)
    prediction = with_evictions(prediction, hidden)
    prediction = with_outages(prediction, passage.outages)
    joined = with_packets(record.tracked, prediction, clock.margin_s, passage.segments)
    prediction, joined = with_early_ends(prediction, joined, director, clock)
    offloaded = _offloaded(record.entries)
    unsure = np.union1d(offloaded, _about_changes(prediction, changes))
    rows = conntrack_lifetimes(joined, director.name, settings, clock.uncertainty_s)
    samples = state_samples(record.entries, record.entry_polls)
    predicted = (
        predicted_curves(
            prediction,
            real_servers(prediction, joined, evidence, polled),
            evidence.zero_ns,
            counts_as_active=is_active(),
        )
        if polled
        else []
    )
    return Measured(
        director=director,
        tracked=joined,
        prediction=prediction,
        lifetimes=rows
        or predicted_conntrack_lifetimes(prediction.entry_parts(), director.name, settings),
        predicted=predicted,
        agreement=agreement(
            prediction,
            joined,
            samples,
            polled,
            predicted,
            _tolerance(evidence, record, passage, unsure),
        )
        if len(record.entry_polls.at_ns)
        else None,
        ended_early=ended_early_rows(prediction),
        foreign_entries=foreign_entries(joined),
        inferred=None,
        rules=rules_of(director, evidence),
        in_force=_NOTHING_IN_FORCE,
        not_measured=[
            *_not_measured(
                director, settings, offloaded, polled, follows_windows=rules.follows_windows
            ),
            *passage.not_measured(director.name),
        ],
        passage=passage,
        conntrack=rules,
        untracked=apart,
        hidden=hidden,
    )


def _without_packets(
    director: Director, rules: ConntrackRules, evidence: Evidence, polled: list[Curve]
) -> Measured:
    """Lifetimes by the ends of the requests; without those only the states of entries."""
    record = evidence.by_director[director.name]
    rows: list[Lifetime] = []
    if not len(evidence.requests):
        tracked, foreign = record.tracked.map(without_last_packet), 0
    else:
        tracked = with_requests(record.tracked, record.entries, evidence.requests)
        foreign = foreign_entries(tracked)
        slack_s = record.clock.uncertainty_s + REQUEST_END_UNCERTAINTY_S
        rows = conntrack_lifetimes(tracked, director.name, rules.settings, slack_s)
    offloaded = _offloaded(record.entries)
    return Measured(
        director=director,
        tracked=tracked,
        prediction=None,
        lifetimes=rows,
        predicted=[],
        agreement=None,
        ended_early=[],
        foreign_entries=foreign,
        inferred=None,
        rules=rules_of(director, evidence),
        in_force=_NOTHING_IN_FORCE,
        not_measured=_not_measured(director, rules.settings, offloaded, polled),
        conntrack=rules,
        hidden=_hidden(evidence, director.name),
    )


def _hidden(evidence: Evidence, name: str) -> Parted:
    """The connections that a director hid."""
    rows = evidence.masquerades.only(lambda part: part["director"] == name)
    if rows.empty:
        return no_hidden_connections()
    segments, changes = evidence.segments, evidence.by_director[name].changes
    if segments is None:
        return hidden_connections(rows, changes, store=rows.store)
    return hidden_connections(rows, changes, segments.flows, segments.store)


def _tolerance(
    evidence: Evidence, record: DirectorRecord, passage: Passage, unsure: Ints
) -> Tolerance:
    return Tolerance(
        clock_s=record.clock.margin_s,
        phase_is_known=True,  # no timer wheel
        unseen_packets=evidence.misses_packets,
        unsure_flows=np.union1d(passage.unsure_flows, unsure),
        unsure_since_s=passage.unsure_since_s(evidence.zero_ns),
        stamps_s=record.clock.uncertainty_s,
    )


_CHANGED = "sysctl-changed"
_CHANGE = re.compile(r"(nf_conntrack_[a-z_]{1,40}): [^ ]{0,20} -> ([0-9]{1,10})")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """All sysctls once one had changed, noticed at ``at_ns``, and at ``since_ns`` not yet there."""

    since_ns: int
    at_ns: int
    settings: ConntrackSettings


def _changes(events: pd.DataFrame, settings: ConntrackSettings) -> list[_Change]:
    """The changes of sysctls, in the order in which they were noticed."""
    changes = []
    rows = events[events["kind"] == _CHANGED].sort_values("at")
    details = rows["detail"].fillna("")
    instants = (since_ns(rows).tolist(), ns(rows["at"]).tolist())
    for since, at, detail in zip(*instants, details, strict=True):
        change = _CHANGE.fullmatch(detail)
        if change:
            settings = with_change(settings, change[1], int(change[2]))
            changes.append(_Change(since_ns=since, at_ns=at, settings=settings))
    return changes


def _about_changes(prediction: Prediction, changes: list[_Change]) -> Ints:
    """The flows with a packet while it was not known which of two values held, ascending."""
    found = [np.zeros(0, dtype=np.int64)]
    for steps in prediction.parts() if changes else ():
        step_ns = steps["at_ns"].to_numpy(dtype=np.int64)
        near = np.zeros(len(step_ns), dtype=bool)
        for change in changes:
            near |= (step_ns >= change.since_ns) & (step_ns <= change.at_ns)
        found.append(np.unique(steps["flow"].to_numpy(dtype=np.int64)[near]))
    return np.unique(np.concatenate(found))


def _offloaded(entries: Parted) -> Ints:
    """The flows that were seen to be forwarded past conntrack, ascending."""
    flows = entries.values("flow", lambda rows: rows["state"] == OFFLOAD)
    return np.unique(flows.astype(np.int64))


def _not_measured(
    director: Director,
    settings: ConntrackSettings,
    offloaded: Ints,
    polled: list[Curve],
    *,
    follows_windows: bool = True,
) -> list[NotMeasured]:
    name = director.name
    what = "schedulers and weights" if polled else "ActiveConn and InActConn"
    why = (
        "it is a netfilter director: conntrack has neither; entries count as active while their "
        "connections go on"
        if polled
        else "it is a netfilter director: conntrack counts no entry as active or inactive, and has "
        "no schedulers or weights"
    )
    missing = [NotMeasured(what=f"{what} of {name}", why=why)]
    if settings.assumed:
        values = ", ".join(
            f"{sysctl} {settings.timeouts_s[sysctl]:g} s" for sysctl in sorted(settings.assumed)
        )
        missing.append(
            NotMeasured(
                what=f"conntrack's timeouts of {name}",
                why=f"they could not be read; predictions assume the kernel's defaults ({values})",
            )
        )
    if not follows_windows and not settings.liberal:
        missing.append(
            NotMeasured(
                what=f"TCP windows on {name}",
                why="the capture misses packets, without which they are not known; packets count "
                "as within them, and so restart timeouts that conntrack may not have restarted",
            )
        )
    if len(offloaded):
        missing.append(
            NotMeasured(
                what=f"states and timeouts of {len(offloaded)} flows on {name}",
                why="a flowtable forwards them past conntrack, which neither shows nor restarts a "
                "timeout meanwhile",
            )
        )
    return missing
