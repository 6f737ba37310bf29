"""The list of measurements: a recording in, an Analysis out."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from analyzer import findings
from analyzer.charts.long_columns import bounds
from analyzer.client import requests
from analyzer.client.latency import latencies
from analyzer.client.outcomes import outcomes_of
from analyzer.client.targets import by_target
from analyzer.compared.curves import observed_curves, peak_tables, peaks, seconds, thinned
from analyzer.compared.population import observed_states, predicted_states
from analyzer.compared.sockets import socket_curves, socket_states
from analyzer.conntrack.versions import law_of as conntrack_law_of
from analyzer.drains.drains import drains
from analyzer.drains.remaining import draining
from analyzer.drains.safe_to_reboot import safe_to_reboot
from analyzer.evidence.gather import gather
from analyzer.findings.figures import Figures
from analyzer.findings.forwarding.assumed import with_other_way
from analyzer.ipvs.states import Flag
from analyzer.ipvs.versions import ASSUMED, sentence
from analyzer.measure import measure
from analyzer.observed.entries import ns
from analyzer.other_settings.tcpfin import other_tcpfins
from analyzer.other_settings.what_if import what_if
from analyzer.parts import over_stretches
from analyzer.parts.sorting import in_time
from analyzer.pictures.fin_waits import fin_waits
from analyzer.pictures.lifetime_samples import lifetime_samples
from analyzer.pictures.pictures import Pictures
from analyzer.pictures.shares import shares
from analyzer.predicted.rules import segments_passed
from analyzer.recording.ending import ending_of
from analyzer.recording.spill import ALONE, store_for
from analyzer.report import Analysis, DirectorTable, KernelLaw, Timeline
from analyzer.results import Event
from analyzer.traces.build import traces
from analyzer.traces.expired import late_packets
from analyzer.traces.resets import resets

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from analyzer.arrays import Floats
    from analyzer.charts.curves import Curve, SocketCurve
    from analyzer.client.outcomes import Outcomes
    from analyzer.evidence.captures import ReadOnce
    from analyzer.evidence.evidence import Evidence
    from analyzer.failover.results import Failover
    from analyzer.ipvs.versions import VersionChange
    from analyzer.measured import Measured
    from analyzer.other_settings.what_if import Assumption
    from analyzer.parts import Columns, Store
    from analyzer.pictures.fin_waits import FinWaits
    from analyzer.recording.director import Director
    from analyzer.recording.directory import Recording
    from analyzer.recording.spill import Means
    from analyzer.results import WhatIf

_ROW_BYTES = 200
"""Of a change of an entry, a polled real server or a request, while it is analysed."""

_SHOWN_AFTER_NS = 600_000_000_000
_MARKED = {"SYN": Flag.SYN, "FIN": Flag.FIN, "RST": Flag.RST}


def analyse(
    recording: Recording,
    assumptions: Sequence[Assumption] = (),
    store: Store | None = None,
    means: Means = ALONE,
    read: ReadOnce | None = None,
) -> Analysis:
    """The whole analysis of a recording.

    Args:
        recording: the run.
        assumptions: what is taken to be otherwise for ``Analysis.what_if``.
        store: keeps what is known of each packet and request, and says how large a part is; by
            default memory or, of long runs, files in the run's directory, deleted at the end.
        means: what the analysis of a long run may use, where no store is given.
        read: the recording's captures, where their packets were read before; its store is used.

    Raises:
        RecordingError: the manifest is not one, or there is no room for the files.
    """
    if read is not None:
        return _analyse(recording, assumptions, read.store, read)
    if store is not None:
        return _analyse(recording, assumptions, store)
    rows = sum(recording.table_size(name)[0] for name in ("entries", "services", "requests"))
    kept_bytes = recording.capture_bytes() + rows * _ROW_BYTES
    means = means if recording.capture_bytes() else replace(means, workers=None)
    with store_for(recording.path, kept_bytes, means) as own:
        return _analyse(recording, assumptions, own)


def _analyse(
    recording: Recording,
    assumptions: Sequence[Assumption],
    store: Store,
    read: ReadOnce | None = None,
) -> Analysis:
    began = time.perf_counter()
    evidence = gather(recording, store, read)
    read_s = time.perf_counter() - began
    observed = observed_curves(evidence.services, evidence.zero_ns)
    measured = [measure(director, evidence, observed) for director in evidence.directors]
    by_ipvs = [result for result in measured if result.conntrack is None]
    replay_s = time.perf_counter() - began - read_s
    sent = _outcomes(evidence)
    figures = _figures(evidence, measured, sent)
    sockets = socket_curves(evidence.sockets, evidence.zero_ns)
    total_s = time.perf_counter() - began
    answers = _what_if(by_ipvs, evidence, assumptions)
    not_measured = [
        *evidence.not_measured,
        *(row for result in measured for row in result.not_measured),
    ]
    return Analysis(
        run=str(recording.path),
        verdict=findings.verdict(figures),
        timings_s={
            "packets": evidence.captured.took_s if evidence.captured else None,
            "read": read_s,
            "replay": replay_s,
            "total": total_s,
        },
        requests=figures.requests,
        peaks=tuple(figures.peaks),
        lifetimes=tuple(figures.lifetimes),
        ended_early=tuple(row for result in measured for row in result.ended_early),
        agreement=tuple(figures.agreement),
        findings=findings.findings(figures),
        failover=figures.failover,
        not_measured=tuple(not_measured),
        what_if=tuple(answer for answer, _ in answers),
        sockets=socket_states(sockets),
        drains=figures.drains,
        safe_to_reboot=figures.safe_to_reboot,
        log_clock=figures.log_clock,
        laws=tuple(_law(director) for director in evidence.directors),
        tables=tuple(
            _table(director, evidence.by_director[director.name].most_buckets)
            for director in evidence.directors
        ),
        forwarding=figures.forwarded,
        counted=tuple(figures.counted),
        targets=figures.targets,
        timeline=_timeline(evidence, observed, measured, figures.events, sockets, sent),
        traces=traces(evidence, measured, figures.connections, late=figures.late),
        pictures=_pictures(evidence, measured, figures, tuple(curve for _, curve in answers), sent),
        manifest=evidence.manifest,
        workers=evidence.manifest.workers,
        ending=figures.ending,
    )


def _pictures(
    evidence: Evidence,
    measured: Sequence[Measured],
    figures: Figures,
    assumed: tuple[Curve, ...],
    sent: Outcomes,
) -> Pictures:
    connections = figures.connections
    repeated = None if connections is None else _retransmitted(connections, evidence)
    observed = (
        observed_states(name, record.entries, record.entry_polls.at_ns, evidence.zero_ns)
        for name, record in evidence.by_director.items()
    )
    predicted = (
        predicted_states(result.prediction, evidence.zero_ns, _shown_until_ns(result, evidence))
        for result in measured
        if result.prediction
    )
    return Pictures(
        states=tuple(curve for curve in (*observed, *predicted) if curve),
        lifetime_samples=lifetime_samples(measured),
        shares=tuple(figures.shares),
        what_if=assumed,
        tcpfin=other_tcpfins([result for result in measured if result.conntrack is None], evidence),
        latencies=latencies(sent, repeated),
        fin_waits=tuple(waits for result in measured if (waits := _fin_waits(result, evidence))),
    )


def _retransmitted(connections: pd.DataFrame, evidence: Evidence) -> int:
    """How many connections' SYNs were sent again."""
    assert evidence.captured is not None
    syns = connections["syns"].to_numpy()
    store = evidence.captured.once.store
    return sum(over_stretches(store, len(syns), lambda rows: int((syns[rows] > 1).sum())))


def _shown_until_ns(result: Measured, evidence: Evidence) -> int | None:
    """Where a curve of predicted states ends: conntrack keeps what is idle for days."""
    polled_ns = evidence.by_director[result.director.name].entry_polls.at_ns
    if result.conntrack is None or not len(polled_ns):
        return None
    return int(polled_ns.max()) + _SHOWN_AFTER_NS


def _fin_waits(result: Measured, evidence: Evidence) -> FinWaits | None:
    if evidence.captured is None:
        return None
    everything = evidence.captured.segments
    return fin_waits(
        result.director.name,
        result.passage.segments
        if result.passage
        else everything.only(segments_passed(result.director, evidence, everything)),
        evidence.captured.once,
        sees_replies=result.rules.sees_replies,
    )


def _what_if(
    measured: Sequence[Measured], evidence: Evidence, assumptions: Sequence[Assumption]
) -> list[tuple[WhatIf, Curve]]:
    if not assumptions:
        return []
    answers = (what_if(result, evidence, assumptions) for result in measured)
    return [answer for answer in answers if answer]


def _outcomes(evidence: Evidence) -> Outcomes:
    several = evidence.sent_to if len(evidence.sent_to) > 1 else ()
    targets = [(end.vip, end.port) for end in several]
    return outcomes_of(evidence.requests, evidence.zero_ns, targets)


def _figures(evidence: Evidence, measured: Sequence[Measured], sent: Outcomes) -> Figures:
    run_resets = resets(evidence, measured)
    drained = tuple(draining(evidence))
    return Figures(
        requests=requests.summarise(sent, evidence.zero_ns),
        peaks=peaks(evidence.services),
        lifetimes=[row for result in measured for row in result.lifetimes],
        agreement=[result.agreement for result in measured if result.agreement],
        events=_events(evidence),
        forwarding=evidence.forwarding,
        capture_dropped=evidence.manifest.capture.dropped,
        foreign_entries={result.director.name: result.foreign_entries for result in measured},
        ended_early=[row for result in measured for row in result.ended_early],
        drains=drains(drained, evidence.manifest.imported.log_clock),
        safe_to_reboot=safe_to_reboot(evidence, drained),
        log_clock=evidence.manifest.imported.log_clock,
        evidence=evidence,
        failover=_failover(evidence),
        ending=ending_of(evidence.manifest, sent.sums.counts.sent, sent.sums.cut_short),
        measured=measured,
        connections=evidence.captured.connections if evidence.captured else None,
        forwarded=with_other_way(evidence, measured),
        resets=run_resets,
        late=late_packets(evidence, measured, run_resets),
        counted=[service for result in measured for service in result.counted],
        shares=[split for result in measured if (split := shares(result, evidence))],
        targets=by_target(evidence, sent),
    )


def _failover(evidence: Evidence) -> Failover | None:
    """None where the run caused none and packets show none."""
    if evidence.manifest.failover is None and not evidence.is_vrrp_alone:
        return None
    from analyzer.failover.describe import failover  # most runs need none of it

    return failover(evidence)


def _law(director: Director) -> KernelLaw:
    if director.conntrack_settings is not None:
        conntrack = conntrack_law_of(director.kernel)
        return _kernel_law(director, conntrack.since, conntrack.uncertain)
    return _kernel_law(director, director.law.holds, director.law.uncertain)


def _kernel_law(
    director: Director,
    holds: Sequence[VersionChange],
    uncertain: Sequence[VersionChange],
) -> KernelLaw:
    release = director.law.release
    return KernelLaw(
        director=director.name,
        kernel=director.kernel,
        law=".".join(map(str, release or ASSUMED)),
        assumed=release is None,
        since=tuple(sentence(change) for change in holds),
        uncertain=tuple(f"{sentence(change)} ({change.carried_back})" for change in uncertain),
        kind=director.kind,
    )


def _table(director: Director, most_buckets: int | None) -> DirectorTable:
    settings = director.conntrack_settings
    if settings is not None:
        return DirectorTable(
            director=director.name,
            buckets=settings.buckets,
            most_buckets=None,
            resizes=False,
            conn_max=settings.table_max,
            entry_bytes=None,
            before=None,
            fullest=None,
            at_end=None,
        )
    return DirectorTable(
        director=director.name,
        buckets=director.conn_tab_size,
        most_buckets=most_buckets,
        resizes=director.law.table_resizes,
        conn_max=director.conn_max if director.law.has_conn_max else None,
        entry_bytes=director.entry_bytes,
        before=director.table_status,
        fullest=director.table_status_fullest,
        at_end=director.table_status_at_end,
    )


def _events(evidence: Evidence) -> tuple[Event, ...]:
    rows = evidence.events
    t_s = seconds(ns(rows["at"]), evidence.zero_ns)
    return tuple(
        Event(t_s=float(at), host=str(host), kind=str(kind), detail=str(detail))
        for at, host, kind, detail in zip(
            t_s, rows["host"], rows["kind"], rows["detail"], strict=True
        )
    )


def _timeline(
    evidence: Evidence,
    observed: list[Curve],
    measured: Sequence[Measured],
    events: Sequence[Event],
    sockets: tuple[SocketCurve, ...],
    sent: Outcomes,
) -> Timeline:
    ended = bounds(sent.ended_s)
    last = [curve.t_s[-1] for curve in observed if len(curve.t_s)]
    if evidence.is_vrrp_alone and evidence.announcements:
        adverts_ns = np.array([evidence.announcements.advertisements[-1].at_ns])
        last += seconds(adverts_ns, evidence.zero_ns).tolist()
    if evidence.manifest.command == "import" and evidence.captured:
        _, latest_ns = evidence.captured.once.span_ns() or (0, evidence.zero_ns)
        last.append(float(seconds(np.array(max(latest_ns, evidence.zero_ns)), evidence.zero_ns)))
    return Timeline(
        zero_ns=evidence.zero_ns,
        end_s=float(max([*last, *(ended or ())], default=0.0)),
        request_ended_s=sent.ended_s,
        request_failed=sent.failed,
        connect_ms=sent.connect_ms,
        first_byte_ms=sent.first_byte_ms,
        total_ms=sent.total_ms,
        ordered={
            "connect_ms": sent.connects,
            "first_byte_ms": sent.first_bytes,
            "total_ms": sent.totals,
        },
        marks=_marks(evidence),
        observed=tuple(observed),
        predicted=tuple(
            thinned(curve, result.prediction.store)
            for result in measured
            if result.prediction
            for curve in result.predicted
        ),
        events=tuple(events),
        peaks=peak_tables(evidence.services, evidence.zero_ns),
        sockets=sockets,
    )


def _marks(evidence: Evidence) -> dict[str, Floats]:
    if evidence.captured is None:
        return {}
    once = evidence.captured.once
    writers = {name: once.store.columns() for name in _MARKED}
    for part in once.parts():
        for name, flag in _MARKED.items():
            writers[name].append({"at_ns": part.at_ns[part.to_vip & (part.flag == flag)]})
    return {
        name: _in_seconds(writer.finish(), evidence.zero_ns, once.store)
        for name, writer in writers.items()
    }


def _in_seconds(instants: Columns, zero_ns: int, store: Store) -> Floats:
    """Instants of any order, ascending."""
    writer = store.columns()
    for columns in in_time(store, instants):
        writer.append({"t_s": seconds(columns["at_ns"], zero_ns)})
        store.release()
    return writer.finish()["t_s"]
