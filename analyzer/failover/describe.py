"""The description of a fail-over from requests, packets and entries."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from analyzer.failover import clients
from analyzer.failover.black_hole import black_hole
from analyzer.failover.election import masters
from analyzer.failover.election.forecast import BfdDown, OutageForecast, forecast, with_clock
from analyzer.failover.election.views import names_of, views_of
from analyzer.failover.election.way_back import WayBack, way_back
from analyzer.failover.handshakes import by_the_wire
from analyzer.failover.holdings import holdings, would_survive
from analyzer.failover.in_flight import in_flight
from analyzer.failover.observed import failover_observed, mastership_of
from analyzer.failover.results import Failback, Failover, Parts
from analyzer.observed.entries import ns
from analyzer.recording.ending import ending_of
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from analyzer.evidence.evidence import Evidence
    from analyzer.failover.clients import Gap, Sent
    from analyzer.failover.election.masters import MasterInterval
    from analyzer.failover.election.views import Views
    from analyzer.failover.results import Holding, Phase
    from analyzer.recording.manifest.experiments import FailoverFacts

BUSY_CLIENT_S = 0.25
"""A client that begins requests later than this measures itself."""


_BFD_DOWN = re.compile(r"BFD.*\b(?:is|state|Entering) +DOWN\b", re.IGNORECASE)
_LOGGED_NS = NS_PER_S // 5
"""A line of the log is read up to so long after it was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _OutageInputs:
    """The inputs of all parts of the result; instants in Unix ns."""

    evidence: Evidence
    manifest: FailoverFacts
    sent: Sent
    views: Views
    begin_ns: int  # the fault comes no earlier
    undone_ns: int | None  # it was ordered, or the old master came back by itself
    until_ns: int  # the fault is undone, or the run ends
    end_ns: int

    @property
    def intervals(self) -> Sequence[MasterInterval]:
        """The intervals of mastership in the view that predicts."""
        return self.views.intervals

    def at_s(self, at_ns: int) -> float:
        """Seconds since the run's start."""
        return (at_ns - self.evidence.zero_ns) / NS_PER_S


def failover(evidence: Evidence) -> Failover | None:
    """The fail-over of a run, or in a capture of VRRP alone; None if there is neither."""
    manifest = evidence.manifest.failover
    if manifest is None:
        seen = evidence.announcements if evidence.is_vrrp_alone else None
        return failover_observed(seen, evidence.zero_ns) if seen else None
    inputs = _inputs(evidence, manifest)
    gap = (
        clients.longest_gap(inputs.sent, inputs.begin_ns, inputs.until_ns)
        if manifest.probed
        else None
    )
    span = clients.fault_between(inputs.sent, gap, manifest.ordered_ns) if gap else None
    if span is None and manifest.ordered_ns is not None:
        span = (manifest.ordered_ns, manifest.done_ns or manifest.ordered_ns)
    predicted = forecast(
        inputs.intervals,
        inputs.sent,
        span,
        inputs.begin_ns,
        inputs.until_ns,
        list(_bfd_downs(inputs)),
    )
    return _failover(inputs, gap, with_clock(predicted, inputs.views.clock_s))


def _bfd_downs(inputs: _OutageInputs) -> Iterator[BfdDown]:
    """When a director lost a neighbour, by the packets of both ends and by keepalived's log."""
    names = names_of(inputs.evidence)
    for span in inputs.views.bfd:
        for end in (span.sender, span.receiver):
            yield BfdDown(director=names.get(end, end), at_ns=span.noticed_ns)
    events = inputs.evidence.events
    logged = events[events["kind"] == "keepalived"]
    for at_ns, host, detail in zip(ns(logged["at"]), logged["host"], logged["detail"], strict=True):
        if _BFD_DOWN.search(str(detail)):
            yield BfdDown(director=str(host), at_ns=int(at_ns) - _LOGGED_NS)


def _inputs(evidence: Evidence, manifest: FailoverFacts) -> _OutageInputs:
    sent = clients.sent_of(by_the_wire(evidence.requests.frame(), evidence.segments))
    views = views_of(evidence, manifest.ordered_ns)
    intervals = views.intervals
    end_ns = _end_ns(evidence, sent)
    begin_ns = manifest.ordered_ns or _earliest_fault_ns(evidence, intervals)
    undone_ns = manifest.undo_ordered_ns
    if undone_ns is None and manifest.ordered_ns is None:
        undone_ns = _came_back_ns(intervals, begin_ns)
    return _OutageInputs(
        evidence=evidence,
        manifest=manifest,
        sent=sent,
        views=views,
        begin_ns=begin_ns,
        undone_ns=undone_ns,
        until_ns=undone_ns or end_ns,
        end_ns=end_ns,
    )


def _end_ns(evidence: Evidence, sent: Sent) -> int:
    """When the last request was due or, without requests, the run ended."""
    last = int(sent.scheduled.max(initial=0))
    return last or evidence.manifest.ended_at_ns or evidence.zero_ns


def _earliest_fault_ns(evidence: Evidence, intervals: Sequence[MasterInterval]) -> int:
    """The earliest time of a fault that was not ordered: after the last advertisement replaced."""
    last = (old.to_ns for old, new in pairwise(intervals) if old.sender != new.sender)
    return next(last, evidence.zero_ns - 1) + 1


def _came_back_ns(intervals: Sequence[MasterInterval], begin_ns: int) -> int | None:
    """When the old master advertised again."""
    old = masters.master_at(intervals, begin_ns)
    if old is None:
        return None
    later = (interval.from_ns for interval in intervals if interval.sender == old.sender)
    return next((at_ns for at_ns in later if at_ns > begin_ns), None)


def _failover(inputs: _OutageInputs, gap: Gap | None, predicted: OutageForecast) -> Failover:
    phase = inputs.sent.met(predicted.fault_ns or inputs.begin_ns, inputs.until_ns)
    why = _why_invalid(inputs)
    fault_ns, new, old = predicted.fault_ns, predicted.new, predicted.old
    evidence = inputs.evidence
    return Failover(
        valid=not why,
        why_invalid="; ".join(why) or None,
        fault=inputs.manifest.fault,
        how=predicted.how,
        old_master=old.director if old else None,
        new_master=new.director if new else None,
        outage_s=gap.length_s if gap else None,
        outage_over=gap is not None and gap.to_ns is not None,
        resolution_s=clients.interval_s(inputs.sent) if inputs.manifest.probed else None,
        client_late_s=clients.worst_client_delay_s(inputs.sent, inputs.begin_ns, inputs.until_ns),
        predicted_outage_s=predicted.outage_s,
        predicted_range_s=predicted.range_s,
        prediction_uncertainty_s=predicted.uncertainty_s,
        advert_age_s=predicted.advert_age_s,
        master_down_interval_s=predicted.down_interval_s,
        skew_s=new.skew_s(old) if old and new else None,
        fault_s=None if fault_ns is None else inputs.at_s(fault_ns),
        takeover_s=inputs.at_s(new.from_ns) if new else None,
        undone_s=None if inputs.undone_ns is None else inputs.at_s(inputs.undone_ns),
        sent=int(phase.sum()),
        late=int((phase & inputs.sent.late).sum()),
        failed=int((phase & inputs.sent.failed).sum()),
        parts_s=_parts(gap, predicted),
        syn_retries=clients.syn_retries(inputs.sent, inputs.begin_ns, inputs.until_ns),
        in_flight=in_flight(evidence.in_flight, fault_ns or inputs.begin_ns, inputs.until_ns),
        would_survive=would_survive(evidence, old.director, new.director, fault_ns)
        if old and new and fault_ns
        else None,
        failback=_failback(inputs, old, new),
        reigns=tuple(
            mastership_of(interval, inputs.at_s) for interval in inputs.views.all_intervals
        ),
        master_changes=masters.changes(inputs.intervals),
        two_masters_s=masters.two_masters_s(inputs.views.all_intervals, inputs.views.tolerance_s),
        black_hole=black_hole(inputs.intervals, inputs.sent, evidence.zero_ns),
        entries=_entries(inputs, predicted),
        seen_by=inputs.views.seen_by,
    )


def _why_invalid(inputs: _OutageInputs) -> list[str]:
    """The reasons for which the run cannot be judged."""
    why = [*inputs.manifest.why_insane, *_interrupted(inputs)]
    before = [
        interval
        for interval in inputs.views.all_intervals
        if interval.from_ns < inputs.begin_ns <= interval.until_ns
    ]
    if len({interval.sender for interval in before}) > 1:
        names = " and ".join(interval.director for interval in before)
        why.append(f"before the fault {names} were both master")
    if len(inputs.sent.started) == 0 and not why:
        why.append("no request was sent")
    late_s = clients.worst_client_delay_s(inputs.sent, inputs.begin_ns, inputs.until_ns)
    if late_s > BUSY_CLIENT_S:
        why.append(f"the client itself stood still: it began a request {late_s:.2f} s late")
    return why


def _interrupted(inputs: _OutageInputs) -> list[str]:
    """The reason if the run is incomplete: what was to follow may have been worse."""
    ending = ending_of(inputs.evidence.manifest)
    if ending.is_whole:
        return []
    cause = "interrupted" if ending.how == "interrupted" else f"interrupted: {ending.cause}"
    manifest, end_ns = inputs.manifest, inputs.evidence.manifest.ended_at_ns
    last_ns = inputs.end_ns if end_ns is None else end_ns
    if manifest.fault is None:
        return [f"{cause}, while a fault was waited for or its course went on"]
    if manifest.ordered_ns is None:
        return [f"{cause} before the fault"]
    after_s = (last_ns - manifest.ordered_ns) / NS_PER_S
    of = "" if manifest.course_s is None else f" of {manifest.course_s:g} s"
    return [f"{cause} {max(after_s, 0):.1f} s{of} after the fault"]


def _parts(gap: Gap | None, predicted: OutageForecast) -> Parts | None:
    """The outage cut at the fault, at the due take-over, and at the new master's messages."""
    new = predicted.new
    if gap is None or gap.to_ns is None or new is None or not gap.from_ns < new.from_ns < gap.to_ns:
        return None
    claim_ns = next((at_ns for at_ns in new.claims_ns if at_ns < gap.to_ns), None)
    due_ns = predicted.takeover_due_ns
    fault_ns = predicted.fault_ns or gap.from_ns
    return Parts(
        until_fault=(fault_ns - gap.from_ns) / NS_PER_S,
        detection=None if due_ns is None else (due_ns - fault_ns) / NS_PER_S,
        takeover=(new.from_ns - (due_ns or fault_ns)) / NS_PER_S,
        gratuitous_arp=None if claim_ns is None else (claim_ns - new.from_ns) / NS_PER_S,
        first_success=(gap.to_ns - (claim_ns or new.from_ns)) / NS_PER_S,
    )


def _failback(
    inputs: _OutageInputs, old: MasterInterval | None, new: MasterInterval | None
) -> Failback | None:
    undone_ns = inputs.undone_ns
    if undone_ns is None:
        return None
    gap = None
    if inputs.manifest.probed:
        gap = clients.longest_gap(inputs.sent, undone_ns, inputs.end_ns)
    phase = inputs.sent.due(undone_ns, inputs.end_ns)
    again = [
        interval.from_ns
        for interval in inputs.intervals
        if old is not None and interval.sender == old.sender and interval.until_ns > undone_ns
    ]
    again_ns = next((max(at_ns, undone_ns) for at_ns in again), None)
    held = in_flight(inputs.evidence.in_flight, undone_ns, inputs.end_ns)
    theory = way_back(old, new, inputs.manifest) if old and new else WayBack()
    return Failback(
        gap_s=gap.length_s if gap else None,
        reset=sum(kind.reset for kind in held.values()),
        late=int((phase & inputs.sent.late).sum()),
        failed=int((phase & inputs.sent.failed).sum()),
        in_flight=held,
        master_again_s=None if again_ns is None else (again_ns - undone_ns) / NS_PER_S,
        due_s=theory.due_s,
        never_due=theory.never,
    )


def _entries(inputs: _OutageInputs, predicted: OutageForecast) -> tuple[Holding, ...]:
    instants: dict[Phase, int] = {}
    if predicted.fault_ns is not None:
        instants["before the fault"] = predicted.fault_ns
    if predicted.new is not None:
        instants["at the take-over"] = predicted.new.from_ns
    if inputs.undone_ns is not None:
        instants["before it was undone"] = inputs.undone_ns
    polled = inputs.evidence.services["at"]
    if len(polled):
        instants["at the end"] = int(ns(polled).max())
    return holdings(
        inputs.evidence, [director.name for director in inputs.evidence.directors], instants
    )
