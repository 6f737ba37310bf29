"""The Analysis: everything that a report may say about a run, as frozen values.

A ``Report`` is what ``analyzer report --json`` prints; its keys are a contract. What only the page
draws (curves, marks, the table at the peak) an ``Analysis`` has besides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from analyzer import documents
from analyzer.charts.ordered import Ordered
from analyzer.client.results import Requests, TargetFigures
from analyzer.estimate.counted.results import CountedService
from analyzer.evidence.forwarding import Forwarding
from analyzer.failover.results import Failover
from analyzer.ipvs.table_status import TableStatus
from analyzer.pictures.pictures import Pictures
from analyzer.recording.ending import Ending
from analyzer.recording.log_clock import LogClock
from analyzer.recording.manifest.workers import WorkerFacts
from analyzer.results import (
    Agreement,
    Drain,
    EndedEarly,
    Finding,
    Lifetime,
    NotMeasured,
    Peak,
    SafeToReboot,
    SocketState,
    WhatIf,
)

if TYPE_CHECKING:
    from analyzer.arrays import Bools, Floats
    from analyzer.charts.curves import Curve, SocketCurve
    from analyzer.recording.manifest import Manifest
    from analyzer.results import Event, ServiceTable
    from analyzer.traces.model import ConnectionTrace


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelLaw:
    """Which law one director was predicted by: ``versions`` of ``analyzer.ipvs`` or ``conntrack``.

    Attributes:
        kernel: its release as it said; None where that is not known.
        law: major and minor number of the release whose law was used.
        assumed: whether that was assumed, for want of a known kernel.
        since: what this kernel has that earlier ones have not, each with its release.
        uncertain: what its version does not have but its distributor may have carried back.
        kind: of the director: whose law it is, IPVS's or conntrack's.
    """

    director: str
    kernel: str | None
    law: str
    assumed: bool
    since: tuple[str, ...]
    uncertain: tuple[str, ...]
    kind: Literal["ipvs", "netfilter"] = "ipvs"


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectorTable:
    """One director's table of entries; null for what it did not report.

    Attributes:
        buckets: when the run began (``size=`` of ``/proc/net/ip_vs``).
        most_buckets: the most that a poll saw.
        resizes: it grows and shrinks by itself (since Linux 7.1).
        conn_max: the most entries that it may hold: conn_max (since 7.2), or nf_conntrack_max of a
            netfilter director.
        entry_bytes: of one entry at least, by the kernel's own words when it loaded IPVS.
        before: by ``/proc/net/ip_vs_status`` (since 7.1, for root), before the run.
        fullest: the same, of the poll with the most entries.
        at_end: the same, of the last poll.
    """

    director: str
    buckets: int | None
    most_buckets: int | None
    resizes: bool
    conn_max: int | None
    entry_bytes: int | None
    before: TableStatus | None
    fullest: TableStatus | None
    at_end: TableStatus | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report(documents.JsonDocument):
    """The answer, as it is printed."""

    run: str
    verdict: str
    timings_s: Mapping[str, float | None]
    requests: Requests
    peaks: tuple[Peak, ...]
    lifetimes: tuple[Lifetime, ...]
    ended_early: tuple[EndedEarly, ...]
    agreement: tuple[Agreement, ...]
    findings: tuple[Finding, ...]
    failover: Failover | None
    not_measured: tuple[NotMeasured, ...]
    what_if: tuple[WhatIf, ...] = ()
    sockets: tuple[SocketState, ...] = ()
    drains: tuple[Drain, ...] = ()
    safe_to_reboot: tuple[SafeToReboot, ...] = ()
    log_clock: LogClock | None = None  # of an imported log
    laws: tuple[KernelLaw, ...] = ()
    tables: tuple[DirectorTable, ...] = ()
    forwarding: Forwarding | None = None  # how directors forward, and what says so
    counted: tuple[CountedService, ...] = ()  # of directors that only counters are known of
    workers: tuple[WorkerFacts, ...] = ()  # of a cluster that sent the load
    ending: Ending | None = None  # null only where no recording was read
    targets: tuple[TargetFigures, ...] = ()  # of a load at several; empty of one at one


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """What the page draws, on one axis: seconds since the run's start (``zero_ns``, Unix time)."""

    zero_ns: int
    end_s: float
    request_ended_s: Floats  # (sent,), NaN where a request never ended
    request_failed: Bools  # (sent,)
    connect_ms: Floats  # (sent,), NaN where not reached; so the next two
    first_byte_ms: Floats
    total_ms: Floats
    marks: Mapping[str, Floats]  # "SYN", "FIN", "RST": instants on the wire, client to VIP
    observed: tuple[Curve, ...]
    predicted: tuple[Curve, ...]
    events: tuple[Event, ...]
    peaks: tuple[ServiceTable, ...]
    sockets: tuple[SocketCurve, ...] = ()
    ordered: Mapping[str, Ordered] = field(default_factory=dict)  # of the latencies above, by name

    def latency(self, name: str) -> Ordered:
        """The known ones of ``connect_ms``, ``first_byte_ms`` or ``total_ms``."""
        found = self.ordered.get(name)
        return Ordered.of(getattr(self, name)) if found is None else found


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis(Report):
    """The answer, and what only the page draws; ``manifest`` is the recording's ``run.json``."""

    timeline: Timeline
    traces: tuple[ConnectionTrace, ...] = ()
    pictures: Pictures = field(default_factory=Pictures)
    manifest: Manifest


def to_json(analysis: Analysis) -> dict[str, Any]:
    """What is printed of an Analysis, as plain values."""
    return documents.to_json(analysis, Report)
