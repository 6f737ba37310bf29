"""The Analysis: everything that a report may say about a run, as frozen values.

``to_json`` gives the document that ``--json`` prints; its keys are a contract. What only the page
draws (curves, marks, the table at the peak) travels beside it in ``Analysis.timeline`` and
``Analysis.pictures``.
Times inside ``timeline`` are seconds since the run's start, on the client's clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass
from typing import TYPE_CHECKING, Any, Literal

from analyzer.charts.pictures import Pictures

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt

    from analyzer.charts.curves import Curve, SocketCurve, WhatIf
    from analyzer.client.failures import FailureKind, Stage
    from analyzer.estimate.counted.results import CountedService
    from analyzer.failover.results import Failover
    from analyzer.ipvs.table_status import TableStatus
    from analyzer.predicted.forwarding import Forwarding
    from analyzer.recording.ending import Ending
    from analyzer.recording.log_clock import LogClock
    from analyzer.recording.manifest import Manifest
    from analyzer.traces.model import ConnectionTrace

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

SCHEMA_VERSION = 1

Severity = Literal["info", "warning", "problem"]
Counted = Literal["active", "inactive"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Percentiles of one latency, milliseconds; over the requests that got that far."""

    p50: float
    p90: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestErrors:
    """Requests that failed for the same reason; see ``analyzer.client.failures`` for the kinds.

    ``first_s`` and ``last_s`` are when the first and the last of them were begun, seconds since
    the run's start.
    """

    kind: FailureKind
    stage: Stage  # how far they came: connect, tls, answer, close
    status: int | None  # HTTP's, where that is the reason
    n: int
    what: str  # the kind in words
    first_s: float | None
    last_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """What the client sent and got.

    A request is one of the plan's: the redirects that it was led through are connections of its
    own in ``requests/``, but no requests here. Connect and first byte are those of its last
    connection; the total is from the first send to the last answer.
    """

    sent: int
    succeeded: int
    failed: int
    late: int  # answered more than 0.5 s after it was due
    duration_s: float | None
    rate_per_s: float | None
    connect_ms: Latency | None
    first_byte_ms: Latency | None
    total_ms: Latency | None
    total_from_due_ms: Latency | None = None  # from when it was due: what waited is not left out
    lateness_ms: Latency | None = None  # begun after it was due
    errors: tuple[RequestErrors, ...] = ()  # why requests failed, the commonest reason first


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """The highest ActiveConn and InActConn polled, each by itself; director None is the sum."""

    director: str | None
    active: int
    inactive: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A measured quantity in seconds; ``uncertainty`` bounds every single value of it."""

    mean: float
    min: float
    max: float
    uncertainty: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """One value in seconds that is known to within ± ``uncertainty``."""

    value: float
    uncertainty: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorSpread:
    """Predicted minus observed, seconds: the mean with its sign, the largest without."""

    mean: float
    max: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetime:
    """Entries of one director that ended in the same state, under the same timeout."""

    director: str
    state: str
    counted: Counted
    timeout_name: Literal["tcp", "tcpfin", "udp", "fixed"]
    timeout_s: float | None  # in force, as read, told or shown by entries; None where not known
    n: int  # entries, expired or not
    n_expired: int  # those seen to go
    lifetime_s: Spread | None  # from the last packet to the disappearance
    timeout_measured_s: Estimate | None  # lifetime less the timer's known lateness
    granule_s: float | None
    prediction_error_s: ErrorSpread | None
    # who says timeout_s: kernel (a fixed one), entries (their expire column), or who read or told
    # it (ipvsadm, netlink, --timeouts, meta.json, ...); None where it is not known or nobody said
    timeout_source: str | None = None
    timeout_told_s: float | None = None  # what somebody told instead, where entries contradict
    timeout_low_s: float | None = None  # what entries leave open; null where timeout_s is exact
    timeout_high_s: float | None = None
    service: str | None = None  # TCP 192.0.2.80:80, where a row is one service's: counters alone
    protocol: str | None = None  # TCP, UDP, SCTP; FWM of a firewall mark's service
    forwarding: str | None = None  # of its real servers: dr, nat, tun, local
    timeout_at_least_s: float | None = None  # by the expire column, where nothing bounds it above
    timeout_assumed_s: float | None = None  # the kernel's default, if lifetime_s is reckoned by it


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedEarly:
    """Entries that went before their time; they are in no Lifetime."""

    director: str
    state: str
    cause: str
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Predicted against observed on one director.

    Samples within 30 ms of a packet (or what the clocks leave open, if that is more) are left out
    of ``state_samples``; polls within 0.2 s of a change of either curve are left out of the two
    ``max_error``. ``disagreement_polls`` leaves nothing out: the longest run of polls in which
    InActConn differed by more than 2; ``unexplained_polls`` is the longest of those that no shift
    by what clocks, timer and a poll's width leave open accounts for.
    ``residuals`` counts what the difference of each expiry is put down to: ``poll`` (it lies
    between the two looks), ``clock``, ``timer`` (its phase is not known), ``poll_width`` (beside
    the two looks by less than lies between them, at most 1 s), ``outage`` (some of its packets
    came as the director was cut off), ``unseen_packets`` (the capture dropped some),
    ``unexplained``; ``unexplained_s`` is the largest of those, null without any.
    """

    director: str
    entries_observed: int
    entries_predicted: int
    state_matches: int
    state_samples: int
    active_max_error: int | None
    inactive_max_error: int | None
    worst_expiry_error_s: float | None
    disagreement_polls: int
    residuals: Mapping[str, int]
    unexplained_polls: int = 0
    unexplained_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing learnt: what it is, the numbers that show it, what to do."""

    id: str  # a stable word, such as tcpfin-governs
    severity: Severity
    title: str
    evidence: str
    advice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotMeasured:
    """A quantity that this run does not know, and the reason."""

    what: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainState:
    """The entries of a draining real server in one state."""

    state: str  # as in ip_vs_conn; a persistence template is told as TEMPLATE
    n: int
    renewed: int  # whose timers traffic restarted since the weight became 0
    gone_by: str | None  # as in Drain: the last of them, if no packet comes
    uncertainty_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """A real server of weight 0: when its last entry goes ("when may I reboot it?").

    Instants are ISO 8601: UTC with a Z; of a log whose zone is not known its local time, without;
    of one that names no day, a time alone. ``gone_by`` ± ``uncertainty_s`` is predicted from the
    entries' timers, also where the last entry was then seen to go (``gone``, in the poll of that
    instant). While traffic renews entries there is no such instant: ``gone_by`` is None, and they
    are not gone ``not_before`` the one that would hold if it ceased; were there none from the last
    poll on, the last one would be gone by ``gone_by_if_quiet`` ± ``uncertainty_if_quiet_s``.
    ``renewals`` counts those that polls show: between two of them there may have been more.
    """

    director: str
    service: str
    real_server: str
    weight_zero_since: str  # the first poll that had it so
    entries: int  # left at the last look; templates included where entries were read
    states: tuple[DrainState, ...]
    gone_by: str | None
    uncertainty_s: float | None
    not_before: str | None
    gone: str | None
    why: str | None  # why there is no gone_by
    zone: str | None = "UTC"  # of the instants; as an imported log names it, null where it does not
    renewals: int = 0  # of entries and templates, since the weight became 0
    last_renewal: str | None = None  # the poll that showed it
    gone_by_if_quiet: str | None = None
    uncertainty_if_quiet_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketState:
    """One TCP state of a host's own sockets, which no director knows of."""

    host: str
    state: str
    peak: int
    last: int  # at the last count
    held_s: Estimate | None  # how long a burst's sockets stayed; None if not all were seen to go


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened, from ``events/``."""

    t_s: float
    host: str
    kind: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RealServerRow:
    """One ``->`` row of the table at the peak."""

    real_server: str
    real_port: int
    forwarding: str
    weight: int
    active: int
    inactive: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceTable:
    """What ``ipvsadm -Ln`` would have printed for the service at the director's own peak."""

    director: str
    t_s: float
    protocol: str
    vip: str
    port: int
    scheduler: str
    rows: tuple[RealServerRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """What the page draws, on one axis: seconds since the run's start (``zero_ns``, Unix time)."""

    zero_ns: int
    end_s: float
    request_ended_s: Floats  # (sent,), NaN where a request never ended
    request_failed: npt.NDArray[np.bool_]  # (sent,)
    connect_ms: Floats  # (sent,), NaN where not reached; so the next two
    first_byte_ms: Floats
    total_ms: Floats
    marks: Mapping[str, Floats]  # "SYN", "FIN", "RST": instants on the wire, client to VIP
    observed: tuple[Curve, ...]
    predicted: tuple[Curve, ...]
    events: tuple[Event, ...]
    peaks: tuple[ServiceTable, ...]
    sockets: tuple[SocketCurve, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelLaw:
    """Which law one director was predicted by (``analyzer.ipvs.versions``).

    Attributes:
        kernel: its release as it said; None where that is not known.
        law: major and minor number of the release whose law was used.
        assumed: whether that was assumed, for want of a known kernel.
        since: what this kernel has that earlier ones have not, each with its release.
        uncertain: what its version does not have but its distributor may have carried back.
    """

    director: str
    kernel: str | None
    law: str
    assumed: bool
    since: tuple[str, ...]
    uncertain: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectorTable:
    """One director's table of entries; null for what it did not tell.

    Attributes:
        buckets: when the run began (``size=`` of ``/proc/net/ip_vs``).
        most_buckets: the most that a poll saw.
        resizes: it grows and shrinks by itself (since Linux 7.1).
        conn_max: the most entries that it may hold (since 7.2).
        entry_bytes: of one entry at least, by the kernel's own words when it loaded IPVS.
        before: by ``/proc/net/ip_vs_status`` (since 7.1, for root), before the run.
        fullest: the same, of the look with the most entries.
        at_end: the same, of the last look.
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
class Analysis:
    """The answer; ``manifest`` is the recording's own ``run.json``."""

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
    log_clock: LogClock | None = None  # of an imported log
    laws: tuple[KernelLaw, ...] = ()
    tables: tuple[DirectorTable, ...] = ()
    forwarding: Forwarding | None = None  # how directors forward, and what says so
    counted: tuple[CountedService, ...] = ()  # of directors that only counters are known of
    timeline: Timeline
    traces: tuple[ConnectionTrace, ...] = ()
    pictures: Pictures = field(default_factory=Pictures)
    manifest: Manifest
    ending: Ending | None = None  # null only where no recording was read


PAGE_ONLY = ("timeline", "traces", "pictures", "manifest")
JSON_KEYS = tuple(one.name for one in fields(Analysis) if one.name not in PAGE_ONLY)


def to_json(analysis: Analysis) -> dict[str, Any]:
    """The Analysis as the plain document of the contract: dicts, lists, numbers, strings, None."""
    document: dict[str, Any] = {"schema_version": SCHEMA_VERSION}
    return document | {key: _plain(getattr(analysis, key)) for key in JSON_KEYS}


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {
            one.name: _plain(getattr(value, one.name))
            for one in fields(value)
            if one.type != "Curve"
        }
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if hasattr(value, "items"):
        return {key: _plain(item) for key, item in value.items()}
    return value
