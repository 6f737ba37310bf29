"""A director as the analysis knows it, from the manifest's facts."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from analyzer.conntrack.settings import settings_of
from analyzer.ipvs.states import Timeouts
from analyzer.ipvs.versions import law_of
from analyzer.recording.clock import UPTIME_STEP_S
from analyzer.wire.packets import mac_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from analyzer.conntrack.settings import ConntrackSettings
    from analyzer.ipvs.states import SettableName
    from analyzer.ipvs.table_status import TableStatus
    from analyzer.ipvs.versions import Law
    from analyzer.recording.manifest import Manifest
    from analyzer.recording.manifest.director import DirectorFacts, Kind
    from analyzer.wire.segments import VirtualEnd


@dataclass(frozen=True, slots=True)
class ServiceHeld:
    """A service as a director had it when the run began; see ``Director``."""

    has_service: bool | None
    real_servers: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Director:
    """What was learnt of one director before the run; None where it was not.

    Attributes:
        kind: what keeps its connections: IPVS, or netfilter's connection tracking.
        conntrack_sysctls: of a netfilter director, those below ``net.netfilter`` by name.
        insert_failed: of a netfilter director, packets that it had lost when the run began because
            no entry could be made for them; changes are events.
        hz: jiffies per second.
        timeouts_source: where they are from: ``ipvsadm`` and ``netlink``, asked on the director, or
            another.
        assumed_timeouts: those of ``timeouts`` that nobody gave and no entry shows.
        clock_is_known: its clock is known against the recording's, to what its polls leave open;
            of an imported recording only where somebody has measured it.
        phase_s: by how much its jiffies lag its uptime; see ``analyzer.ipvs.timers``.
        phase_uncertainty_s: half the width of what the readings allowed.
        macs: of its interfaces, as numbers.
        addresses: of its interfaces, those of VIPs that it held included.
        conn_reuse_mode, conntrack, expire_nodest_conn, expire_quiescent_template, secure_tcp,
            drop_entry: the sysctls under
            ``net.ipv4.vs`` of these names; the kernel's defaults where not known.
        conn_tab_size: buckets of its connection table, when the run began.
        conn_max: the most entries that its namespace may hold; None where there is no such limit.
        entry_bytes: of one entry at least, as its kernel said when it loaded IPVS.
        table_status: of its table before the run, as its kernel tells root since Linux 7.1.
        table_status_fullest: the same of the read with the most entries, before or during the run.
        table_status_at_end: the same of the last read.
        kernel: its release.
        uptime_step_s: the resolution of its uptime in the polls.
        has_service: it had the service that load was sent to; None where nobody looked, or where
            a service by firewall mark may take its packets.
        real_servers: how many that service had when the run began.
        services: both, of each service, where load was sent to several.
        clock_uncertainty_s: of the instants of its polls, beyond what they say themselves.
    """

    name: str
    timeouts: Timeouts | None
    hz: int | None
    phase_s: float | None
    phase_uncertainty_s: float
    macs: frozenset[int]
    conn_reuse_mode: int
    conntrack: bool = False
    expire_nodest_conn: bool = False
    expire_quiescent_template: bool = False
    secure_tcp: int = 0
    drop_entry: int = 0
    conn_tab_size: int | None = None
    conn_max: int | None = None
    entry_bytes: int | None = None
    table_status: TableStatus | None = None
    table_status_fullest: TableStatus | None = None
    table_status_at_end: TableStatus | None = None
    kernel: str | None = None
    uptime_step_s: float = UPTIME_STEP_S
    timeouts_source: str | None = None
    assumed_timeouts: frozenset[SettableName] = frozenset()
    clock_is_known: bool = True
    has_service: bool | None = None
    real_servers: int | None = None
    services: Mapping[VirtualEnd, ServiceHeld] = field(default_factory=dict)
    clock_uncertainty_s: float = 0.0
    kind: Kind = "ipvs"
    conntrack_sysctls: Mapping[str, int | None] = field(default_factory=dict)
    insert_failed: int | None = None
    addresses: frozenset[str] = frozenset()

    @property
    def law(self) -> Law:
        """What its kernel goes by."""
        return law_of(self.kernel)

    def held(self, service: VirtualEnd) -> ServiceHeld:
        """One of the services that load was sent to, as the director had it."""
        return self.services.get(service, ServiceHeld(self.has_service, self.real_servers))

    @property
    def conntrack_settings(self) -> ConntrackSettings | None:
        """What its conntrack goes by, as read; None of a director by IPVS."""
        return settings_of(self.conntrack_sysctls) if self.kind == "netfilter" else None


def directors_of(manifest: Manifest) -> tuple[Director, ...]:
    """The directors that a recording's manifest names, in its order."""
    return tuple(_director(name, facts) for name, facts in manifest.directors.items())


def _director(name: str, facts: DirectorFacts) -> Director:
    timeouts, sysctl = facts.timeouts, facts.sysctl
    step_s = facts.uptime_step_s
    return Director(
        name=name,
        kind=facts.kind,
        conntrack_sysctls=sysctl.of_conntrack if facts.kind == "netfilter" else {},
        insert_failed=facts.insert_failed,
        timeouts=Timeouts(tcp_s=timeouts.tcp, tcpfin_s=timeouts.tcpfin, udp_s=timeouts.udp)
        if timeouts
        else None,
        hz=facts.hz,
        phase_s=facts.timer_phase_s,
        phase_uncertainty_s=facts.timer_phase_uncertainty_s,
        macs=frozenset(_macs(facts.macs)),
        addresses=frozenset(facts.addresses),
        conn_reuse_mode=sysctl.number("conn_reuse_mode"),
        conntrack=bool(sysctl.number("conntrack")),
        expire_nodest_conn=bool(sysctl.number("expire_nodest_conn")),
        expire_quiescent_template=bool(sysctl.number("expire_quiescent_template")),
        secure_tcp=sysctl.number("secure_tcp"),
        drop_entry=sysctl.number("drop_entry"),
        conn_tab_size=facts.conn_tab_size or None,
        conn_max=sysctl.number("conn_max") or None,
        entry_bytes=facts.entry_bytes,
        table_status=facts.table_status,
        table_status_fullest=facts.table_status_fullest,
        table_status_at_end=facts.table_status_at_end,
        uptime_step_s=UPTIME_STEP_S if step_s is None else step_s,
        clock_uncertainty_s=facts.clock_uncertainty_s,
        timeouts_source=facts.timeouts_source or None,
        clock_is_known=facts.clock_is_known,
        kernel=facts.kernel or None,
        has_service=facts.has_service,
        real_servers=facts.real_servers,
        services={
            each.end: ServiceHeld(each.has_service, each.real_servers) for each in facts.services
        },
    )


def _macs(texts: Iterable[str]) -> Iterator[int]:
    """Of interfaces that have an Ethernet address, which is not all zeros."""
    for text in texts:
        with suppress(ValueError):
            if mac := mac_number(text):
                yield mac
