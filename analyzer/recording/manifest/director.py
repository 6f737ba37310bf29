"""A director, as ``run.json`` has it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from analyzer.ipvs.table_status import TableStatus
from analyzer.recording.manifest.bounds import Count, Instant, Seconds, SecondsEitherWay, Sysctl
from analyzer.recording.manifest.load import Service

_NUMBER = re.compile(r"-?[0-9]{1,10}")

Kind = Literal["ipvs", "netfilter"]
"""What keeps a director's connections: IPVS, or connection tracking, by whose rules nftables or
iptables translate addresses."""

CONNTRACK_SYSCTLS = (
    *(
        f"nf_conntrack_tcp_timeout_{state}"
        for state in (
            *("syn_sent", "syn_recv", "established", "fin_wait", "close_wait", "last_ack"),
            *("time_wait", "close", "max_retrans", "unacknowledged"),
        )
    ),
    *(f"nf_conntrack_tcp_{name}" for name in ("be_liberal", "loose", "max_retrans")),
    *("nf_conntrack_udp_timeout", "nf_conntrack_udp_timeout_stream"),
    *("nf_conntrack_max", "nf_conntrack_buckets"),
)
"""Those below ``net.netfilter`` that a director of kind ``netfilter`` has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeoutsSet:
    """As ``ipvsadm --set`` has them."""

    tcp: Seconds
    tcpfin: Seconds
    udp: Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Sysctls:
    """Those that change what is predicted.

    Below ``net.ipv4.vs`` first, with the kernel's defaults; those of ``CONNTRACK_SYSCTLS`` are None
    where they are not known.
    """

    conn_reuse_mode: Sysctl = 1
    conntrack: Sysctl = 0
    expire_nodest_conn: Sysctl = 0
    expire_quiescent_template: Sysctl = 0
    secure_tcp: Sysctl = 0
    drop_entry: Sysctl = 0
    conn_max: Sysctl = 0
    nf_conntrack_tcp_timeout_syn_sent: Sysctl | None = None
    nf_conntrack_tcp_timeout_syn_recv: Sysctl | None = None
    nf_conntrack_tcp_timeout_established: Sysctl | None = None
    nf_conntrack_tcp_timeout_fin_wait: Sysctl | None = None
    nf_conntrack_tcp_timeout_close_wait: Sysctl | None = None
    nf_conntrack_tcp_timeout_last_ack: Sysctl | None = None
    nf_conntrack_tcp_timeout_time_wait: Sysctl | None = None
    nf_conntrack_tcp_timeout_close: Sysctl | None = None
    nf_conntrack_tcp_timeout_max_retrans: Sysctl | None = None
    nf_conntrack_tcp_timeout_unacknowledged: Sysctl | None = None
    nf_conntrack_tcp_be_liberal: Sysctl | None = None
    nf_conntrack_tcp_loose: Sysctl | None = None
    nf_conntrack_tcp_max_retrans: Sysctl | None = None
    nf_conntrack_udp_timeout: Sysctl | None = None
    nf_conntrack_udp_timeout_stream: Sysctl | None = None
    nf_conntrack_max: Sysctl | None = None
    nf_conntrack_buckets: Sysctl | None = None

    def number(self, name: str) -> int:
        """One of them; the kernel's default where its text is no number."""
        text = str(getattr(self, name))
        default: int = getattr(Sysctls(), name)
        return int(text) if _NUMBER.fullmatch(text) else default

    @property
    def of_conntrack(self) -> Mapping[str, int | None]:
        """Those of ``CONNTRACK_SYSCTLS`` by name; None of one that is not known or no number."""
        texts = ((name, str(getattr(self, name))) for name in CONNTRACK_SYSCTLS)
        return {name: int(text) if _NUMBER.fullmatch(text) else None for name, text in texts}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceFacts(Service):
    """One of several services that load was sent to, as the director had it."""

    has_service: bool | None = None
    real_servers: Count | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PollingWorker:
    """The worker of a cluster that polled a director: its clock less the client's."""

    name: str
    clock_offset_s: SecondsEitherWay = 0
    clock_uncertainty_s: Seconds = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectorFacts:
    """What is written of one director; ``analyzer.recording.director.Director`` explains it."""

    link: str | None = None
    worker: PollingWorker | None = None
    kind: Kind = "ipvs"
    kernel: str | None = None
    hz: Annotated[int, Meta(ge=1, le=100_000)] | None = None
    timer_phase_s: SecondsEitherWay | None = None
    timer_phase_uncertainty_s: Seconds = 0
    timeouts: TimeoutsSet | None = None
    timeouts_source: str | None = None
    conn_tab_size: Count | None = None
    entry_bytes: Annotated[int, Meta(ge=100, le=4096)] | None = None
    table_status: TableStatus | None = None
    table_status_fullest: TableStatus | None = None
    table_status_at_end: TableStatus | None = None
    sysctl: Sysctls = Sysctls()
    insert_failed: Count | None = None
    macs: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    uptime_step_s: Seconds | None = None
    boot_at_ns: Instant | None = None
    clock_uncertainty_ms: Annotated[float, Meta(ge=0, le=1e12)] | None = None
    clock_uncertainty_s: Seconds = 0
    clock_is_known: bool = True
    has_service: bool | None = None
    real_servers: Count | None = None
    services: tuple[ServiceFacts, ...] = ()
