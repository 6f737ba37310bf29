"""Values that several rooms share, as ``analyzer report --json`` prints them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Severity = Literal["info", "warning", "problem"]
Counted = Literal["active", "inactive"]
TimeoutName = Literal[
    "tcp",
    "tcpfin",
    "udp",
    "fixed",
    "nf_conntrack_tcp_timeout_syn_sent",
    "nf_conntrack_tcp_timeout_syn_recv",
    "nf_conntrack_tcp_timeout_established",
    "nf_conntrack_tcp_timeout_fin_wait",
    "nf_conntrack_tcp_timeout_close_wait",
    "nf_conntrack_tcp_timeout_last_ack",
    "nf_conntrack_tcp_timeout_time_wait",
    "nf_conntrack_tcp_timeout_close",
    "nf_conntrack_tcp_timeout_max_retrans",
    "nf_conntrack_tcp_timeout_unacknowledged",
    "nf_conntrack_udp_timeout",
    "nf_conntrack_udp_timeout_stream",
]
"""What sets a timeout: a number of ``ipvsadm --set``, nobody, or (of a netfilter director) a sysctl
below net.netfilter."""


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
    counted: Counted | None  # None of a netfilter director, which counts neither
    timeout_name: TimeoutName
    timeout_s: float | None  # in force, as read, given or shown by entries; None where not known
    n: int  # entries, expired or not
    n_expired: int  # those seen to go
    lifetime_s: Spread | None  # from the last packet to the disappearance
    timeout_measured_s: Estimate | None  # lifetime less the timer's known lateness
    granule_s: float | None
    prediction_error_s: ErrorSpread | None
    # who says timeout_s: kernel (a fixed one), entries (their expire column), or who read or gave
    # it (ipvsadm, netlink, sysctl, --timeouts, ...); None where it is not known or nobody said
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
    between the two polls), ``clock``, ``timer`` (its phase is not known), ``poll_width`` (beside
    the two polls by less than lies between them, at most 1 s), ``outage`` (some of its packets
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

    state: str  # as in ip_vs_conn; a persistence template is called TEMPLATE
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
    entries: int  # left at the last poll; templates included where entries were read
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
class SafeToReboot:
    """When a real server that was drained holds no entry on any director any more.

    For each address that had weight 0 at some poll, or was removed for good: over all its services,
    ports and directors. ``safe_after`` is the latest instant that the prediction allows, if no
    packet arrives; the last entry is gone by ``gone_by`` ± ``uncertainty_s``, both null where none
    is left. Instants are as in Drain.
    """

    real_server: str
    answer: Literal["safe", "not-safe", "not-known"]  # safe: from safe_after on
    safe_after: str | None  # null unless safe
    gone_by: str | None
    uncertainty_s: float | None
    entries: int | None  # left at the last polls; null where some director's were not read
    why: tuple[str, ...]  # what stands against it, or was not measured
    directors: tuple[str, ...]  # for which this holds: those of the run
    all_services: bool  # false: only some services were recorded, others may use it as well
    zone: str | None = "UTC"


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
class WhatIfGroup:
    """Entries that would have ended in one state, under one timeout."""

    state: str
    timeout_s: float
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """What a director would have held, had some things been otherwise."""

    director: str
    assumptions: tuple[str, ...]  # such as tcpfin=30
    peak_active: int
    peak_inactive: int
    forgotten_after_s: float | None  # from the last packet of all to the last entry's end
    groups: tuple[WhatIfGroup, ...]
    doubt: str | None  # what the capture cannot tell
