"""A director, as ``run.json`` has it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from analyzer.ipvs.table_status import TableStatus
from analyzer.recording.manifest.bounds import Count, Instant, Seconds, SecondsEitherWay, Sysctl

_NUMBER = re.compile(r"-?[0-9]{1,10}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeoutsSet:
    """As ``ipvsadm --set`` has them."""

    tcp: Seconds
    tcpfin: Seconds
    udp: Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Sysctls:
    """Those below ``net.ipv4.vs`` that change what is predicted; the kernel's defaults."""

    conn_reuse_mode: Sysctl = 1
    conntrack: Sysctl = 0
    expire_nodest_conn: Sysctl = 0
    expire_quiescent_template: Sysctl = 0
    secure_tcp: Sysctl = 0
    drop_entry: Sysctl = 0
    conn_max: Sysctl = 0

    def number(self, name: str) -> int:
        """One of them; the kernel's default where its text is no number."""
        text = str(getattr(self, name))
        default: int = getattr(Sysctls(), name)
        return int(text) if _NUMBER.fullmatch(text) else default


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectorFacts:
    """What is written of one director; ``analyzer.recording.director.Director`` explains it."""

    link: str | None = None
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
    macs: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    uptime_step_s: Seconds | None = None
    boot_at_ns: Instant | None = None
    clock_uncertainty_ms: Annotated[float, Meta(ge=0, le=1e12)] | None = None
    clock_uncertainty_s: Seconds = 0
    clock_is_known: bool = True
    has_service: bool | None = None
    real_servers: Count | None = None
