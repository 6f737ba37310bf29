"""A fail-over told from requests, wire and entries, each measured by itself."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from analyzer.failover import clients, masters
from analyzer.failover.black_hole import black_hole
from analyzer.failover.forecast import OutageForecast, forecast
from analyzer.failover.handshakes import by_the_wire
from analyzer.failover.holdings import holdings, would_survive
from analyzer.failover.in_flight import in_flight
from analyzer.failover.manifest import failover_manifest
from analyzer.failover.results import Failback, Failover, Mastership, Parts
from analyzer.observed.entries import ns
from analyzer.recording.ending import ending_of
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.compared.evidence import Evidence
    from analyzer.failover.clients import Gap, Sent
    from analyzer.failover.manifest import FailoverManifest
    from analyzer.failover.masters import Rule
    from analyzer.failover.results import Holding, Phase

STOOD_STILL_S = 0.25
"""A client that begins requests so late measures itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _OutageInputs:
    """What all parts of the result are computed from; instants in Unix ns."""

    evidence: Evidence
    told: FailoverManifest
    sent: Sent
    found: Sequence[Rule]
    begin_ns: int  # the fault comes no earlier
    undone_ns: int | None  # somebody ordered it, or the old master came back by itself
    until_ns: int  # the fault is undone, or the run ends
    end_ns: int

    def at_s(self, at_ns: int) -> float:
        """Seconds since the run's start."""
        return (at_ns - self.evidence.zero_ns) / NS_PER_S


def failover(evidence: Evidence) -> Failover | None:
    """The run's fail-over; None of a run that was none.

    Raises:
        RecordingError: its manifest is not one.
    """
    told = failover_manifest(evidence.manifest)
    if told is None:
        return None
    scene = _scene(evidence, told)
    gap = clients.longest_gap(scene.sent, scene.begin_ns, scene.until_ns) if told.probed else None
    span = clients.fault_between(scene.sent, gap, told.ordered_ns) if gap else None
    if span is None and told.ordered_ns is not None:
        span = (told.ordered_ns, told.done_ns or told.ordered_ns)
    predicted = forecast(scene.found, scene.sent, span, scene.begin_ns, scene.until_ns)
    return _told(scene, gap, predicted)


def _scene(evidence: Evidence, told: FailoverManifest) -> _OutageInputs:
    sent = clients.sent_of(by_the_wire(evidence.requests, evidence.segments))
    wire = evidence.announcements
    vip = evidence.service.vip if evidence.service else ""
    names = {mac: one.name for one in evidence.directors for mac in one.macs}
    found = masters.rules(wire, vip, names) if wire else []
    end_ns = _end_ns(evidence, sent)
    begin_ns = told.ordered_ns or _looked_for_from(evidence, found)
    undone_ns = told.undo_ordered_ns
    if undone_ns is None and told.ordered_ns is None:
        undone_ns = _came_back_ns(found, begin_ns)
    return _OutageInputs(
        evidence=evidence,
        told=told,
        sent=sent,
        found=found,
        begin_ns=begin_ns,
        undone_ns=undone_ns,
        until_ns=undone_ns or end_ns,
        end_ns=end_ns,
    )


def _end_ns(evidence: Evidence, sent: Sent) -> int:
    """When the last request was due, or the run ended: later nobody asked."""
    last = int(sent.scheduled.max(initial=0))
    return last or int(evidence.manifest.get("ended_at_ns") or evidence.zero_ns)


def _looked_for_from(evidence: Evidence, found: Sequence[Rule]) -> int:
    """What nobody ordered came after the last word of the first master who was followed."""
    last = (old.to_ns for old, new in pairwise(found) if old.sender != new.sender)
    return next(last, evidence.zero_ns - 1) + 1


def _came_back_ns(found: Sequence[Rule], begin_ns: int) -> int | None:
    """When the director that had been master advertised again."""
    old = masters.master_at(found, begin_ns)
    if old is None:
        return None
    later = (rule.from_ns for rule in found if rule.sender == old.sender)
    return next((at_ns for at_ns in later if at_ns > begin_ns), None)


def _told(scene: _OutageInputs, gap: Gap | None, predicted: OutageForecast) -> Failover:
    phase = scene.sent.met(predicted.fault_ns or scene.begin_ns, scene.until_ns)
    why = _why_invalid(scene)
    fault_ns, new, old = predicted.fault_ns, predicted.new, predicted.old
    evidence = scene.evidence
    return Failover(
        valid=not why,
        why_invalid="; ".join(why) or None,
        fault=scene.told.fault,
        how=predicted.how,
        old_master=old.director if old else None,
        new_master=new.director if new else None,
        outage_s=gap.length_s if gap else None,
        outage_over=gap is not None and gap.to_ns is not None,
        resolution_s=clients.interval_s(scene.sent) if scene.told.probed else None,
        client_late_s=clients.stood_still_s(scene.sent, scene.begin_ns, scene.until_ns),
        predicted_outage_s=predicted.outage_s,
        predicted_range_s=predicted.range_s,
        prediction_uncertainty_s=predicted.uncertainty_s,
        advert_age_s=predicted.advert_age_s,
        master_down_interval_s=predicted.down_interval_s,
        skew_s=new.skew_s if new else None,
        fault_s=None if fault_ns is None else scene.at_s(fault_ns),
        takeover_s=scene.at_s(new.from_ns) if new else None,
        undone_s=None if scene.undone_ns is None else scene.at_s(scene.undone_ns),
        sent=int(phase.sum()),
        late=int((phase & scene.sent.late).sum()),
        failed=int((phase & scene.sent.failed).sum()),
        parts_s=_parts(gap, predicted),
        syn_retries=clients.syn_retries(scene.sent, scene.begin_ns, scene.until_ns),
        in_flight=in_flight(evidence.in_flight, fault_ns or scene.begin_ns, scene.until_ns),
        would_survive=would_survive(evidence, old.director, new.director, fault_ns)
        if old and new and fault_ns
        else None,
        failback=_failback(scene, old),
        reigns=tuple(_reign(scene, rule) for rule in scene.found),
        master_changes=masters.changes(scene.found),
        two_masters_s=masters.two_masters_s(scene.found),
        black_hole=black_hole(scene.found, scene.sent, evidence.zero_ns),
        entries=_entries(scene, predicted),
    )


def _why_invalid(scene: _OutageInputs) -> list[str]:
    """What makes the run none, rather than slow."""
    why = [*scene.told.why_insane, *_interrupted(scene)]
    before = [rule for rule in scene.found if rule.from_ns < scene.begin_ns <= rule.until_ns]
    if len({rule.sender for rule in before}) > 1:
        names = " and ".join(rule.director for rule in before)
        why.append(f"before the fault {names} were both master")
    if len(scene.sent.started) == 0 and not why:
        why.append("no request was sent")
    late_s = clients.stood_still_s(scene.sent, scene.begin_ns, scene.until_ns)
    if late_s > STOOD_STILL_S:
        why.append(f"the client itself stood still: it began a request {late_s:.2f} s late")
    return why


def _interrupted(scene: _OutageInputs) -> list[str]:
    """What did not come to its end is not judged: what was to follow may have been worse."""
    ending = ending_of(scene.evidence.manifest)
    if ending.is_whole:
        return []
    cause = "interrupted" if ending.how == "interrupted" else f"interrupted: {ending.cause}"
    told, end_ns = scene.told, scene.evidence.manifest.get("ended_at_ns")
    last_ns = end_ns if isinstance(end_ns, int) else scene.end_ns
    if told.fault is None:
        return [f"{cause}, while a fault was waited for or its course went on"]
    if told.ordered_ns is None:
        return [f"{cause} before the fault"]
    after_s = (last_ns - told.ordered_ns) / NS_PER_S
    of = "" if told.course_s is None else f" of {told.course_s:g} s"
    return [f"{cause} {max(after_s, 0):.1f} s{of} after the fault"]


def _parts(gap: Gap | None, predicted: OutageForecast) -> Parts | None:
    """The outage cut at the fault, when the backup's patience ended, and at what it then said."""
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


def _failback(scene: _OutageInputs, old: Rule | None) -> Failback | None:
    undone_ns = scene.undone_ns
    if undone_ns is None:
        return None
    gap = None
    if scene.told.probed:
        gap = clients.longest_gap(scene.sent, undone_ns, scene.end_ns)
    phase = scene.sent.due(undone_ns, scene.end_ns)
    again = [
        rule.from_ns
        for rule in scene.found
        if old is not None and rule.sender == old.sender and rule.until_ns > undone_ns
    ]
    again_ns = next((max(at_ns, undone_ns) for at_ns in again), None)
    held = in_flight(scene.evidence.in_flight, undone_ns, scene.end_ns)
    return Failback(
        gap_s=gap.length_s if gap else None,
        reset=sum(kind.reset for kind in held.values()),
        late=int((phase & scene.sent.late).sum()),
        failed=int((phase & scene.sent.failed).sum()),
        in_flight=held,
        master_again_s=None if again_ns is None else (again_ns - undone_ns) / NS_PER_S,
    )


def _reign(scene: _OutageInputs, rule: Rule) -> Mastership:
    return Mastership(
        director=rule.director,
        vrid=rule.vrid,
        priority=rule.priority,
        interval_s=rule.interval_s,
        from_s=scene.at_s(rule.from_ns),
        to_s=scene.at_s(rule.to_ns),
        gave_up_s=None if rule.gave_up_ns is None else scene.at_s(rule.gave_up_ns),
        claims=len(rule.claims_ns),
        first_claim_s=scene.at_s(rule.claims_ns[0]) if rule.claims_ns else None,
    )


def _entries(scene: _OutageInputs, predicted: OutageForecast) -> tuple[Holding, ...]:
    instants: dict[Phase, int] = {}
    if predicted.fault_ns is not None:
        instants["before the fault"] = predicted.fault_ns
    if predicted.new is not None:
        instants["at the take-over"] = predicted.new.from_ns
    if scene.undone_ns is not None:
        instants["before it was undone"] = scene.undone_ns
    polled = scene.evidence.services["at"]
    if len(polled):
        instants["at the end"] = int(ns(polled).max())
    return holdings(scene.evidence, [one.name for one in scene.evidence.directors], instants)
