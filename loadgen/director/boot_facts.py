"""What is asked of a director once, before anything is sent: who it is, and how it counts time."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analyzer.ipvs.proc.formats import parse_services
from analyzer.ipvs.table_status import entry_bytes_of, parse_table_status, to_manifest
from analyzer.ipvs.timers import TickReading, phase_from_readings
from analyzer.ipvs.versions import law_of
from analyzer.units import NS_PER_S
from loadgen.director.links import conntrack
from loadgen.director.links.client import ASK_TABLE_STATUS
from loadgen.director.links.snapshot import SERVICES_BYTES, netfilter
from loadgen.errors import UsageProblem

if TYPE_CHECKING:
    from analyzer.ipvs.proc.formats import ServiceTable
    from analyzer.ipvs.states import Timeouts
    from analyzer.ipvs.table_status import TableStatus
    from analyzer.ipvs.timers import TimerPhase
    from analyzer.ipvs.versions import Law
    from analyzer.recording.manifest.director import Kind
    from loadgen.director.links.client import DirectorClient
    from loadgen.director.settings import DirectorSettings

ASK_TIMEOUT_S = 15.0
_BETWEEN_BATCHES_S = 0.5

_ENTRY_NEEDS = "connection entry needs"  # ip_vs_conn_init, when the module is loaded

_WHO = "; ".join(
    (
        "echo @kernel; cat /proc/sys/kernel/osrelease 2>/dev/null",
        "echo @macs; ip -o link show 2>/dev/null || cat /sys/class/net/*/address 2>/dev/null",
        f"echo @entry; dmesg 2>/dev/null | grep -m1 '{_ENTRY_NEEDS}'",
        f"echo @table; {ASK_TABLE_STATUS}",
        "echo @ip_vs; cat /proc/net/ip_vs 2>/dev/null",
    )
)
_CONNTRACK = "echo @conntrack; "
_WITHOUT_IPVS = "[ -e /proc/net/ip_vs ] || "  # to ask is to try sudo, and to begin a dump

# Builtins only, so that a reading takes microseconds: uptime, the counter, uptime.
_SCHEDSTAT = (
    "i=0; while [ $i -lt 150 ]; do read -r a r </proc/uptime; "
    "{ read -r r; read -r r n; } </proc/schedstat; read -r b r </proc/uptime; "
    'echo "$a $n $b"; i=$((i+1)); done 2>/dev/null'
)
# For root; "now" is in nanoseconds, and the counter is read within the same read(2).
_TIMER_LIST = (
    "i=0; while [ $i -lt 6 ]; do "
    "{ cat /proc/timer_list 2>/dev/null || sudo -n cat /proc/timer_list 2>/dev/null; } | "
    "sed -n -e 's/^now at //p' -e 's/^jiffies: //p' -e '/^jiffies:/q'; i=$((i+1)); done"
)
_TIMER_LIST_READ_S = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class BootFacts:
    """What a director said of itself; None where it could not be learnt.

    Attributes:
        kind: what keeps its connections.
        timeouts: as the director reported or the operator gave them; of IPVS alone.
        timeouts_source: who said so.
        entry_bytes: of one entry at least, by the kernel's own words at its boot.
        table_status: of its table of entries, since Linux 7.1 and for root.
    """

    kernel: str | None
    macs: tuple[str, ...]
    director_settings: DirectorSettings
    services: ServiceTable
    timeouts: Timeouts | None
    timeouts_source: str | None
    timer_phase: TimerPhase | None
    timer_phase_source: str | None
    entry_bytes: int | None = None
    table_status: TableStatus | None = None
    kind: Kind = "ipvs"

    @property
    def law(self) -> Law:
        """What its kernel goes by."""
        return law_of(self.kernel)

    @property
    def conn_max(self) -> int | None:
        """How many entries its namespace may hold; None where there is no such limit."""
        text = self.director_settings.sysctl.get("conn_max", "")
        return int(text) if self.law.has_conn_max and text.isdecimal() else None


async def learn_boot_facts(client: DirectorClient, given_timeouts: Timeouts | None) -> BootFacts:
    """Ask a director who it is; from then on the client reads what keeps its connections.

    Raises:
        UsageProblem: its kernel has no IPVS, and no connection tracking that we may read.
        LinkLost: it stopped answering.
    """
    wanted = client.link.director_kind
    answer = await client.ask(_who(wanted), timeout_s=ASK_TIMEOUT_S, most_bytes=SERVICES_BYTES)
    sections = _sections(answer.text)
    has_ipvs = "IP Virtual Server" in sections.get("ip_vs", "")
    if wanted == "netfilter" or not has_ipvs:
        way = sections.get("conntrack", "").strip()
        if wanted == "ipvs" or way not in conntrack.COMMANDS:
            raise UsageProblem(f"{client.link.spec}: {_why_unusable(wanted, way)}")
        client.source = netfilter(way)
    is_ipvs = client.source.kind == "ipvs"
    director_settings = await client.director_settings(timeout_s=ASK_TIMEOUT_S)
    phase, phase_source = await _timer_phase(client)
    return BootFacts(
        kernel=sections.get("kernel", "").strip() or None,
        macs=_macs(sections.get("macs", "")),
        director_settings=director_settings,
        services=parse_services(sections.get("ip_vs", "") if is_ipvs else ""),
        timeouts=(given_timeouts or director_settings.timeouts) if is_ipvs else None,
        timeouts_source=_source(given_timeouts, director_settings) if is_ipvs else None,
        timer_phase=phase,
        timer_phase_source=phase_source,
        entry_bytes=_entry_bytes(sections.get("entry", "")),
        table_status=parse_table_status(sections.get("table", "")),
        kind=client.source.kind,
    )


def _who(wanted: Kind | None) -> str:
    """What is asked; of connection tracking only where it may be what is polled."""
    if wanted == "ipvs":
        return _WHO
    only = "" if wanted == "netfilter" else _WITHOUT_IPVS
    return f"{_WHO}; {_CONNTRACK}{only}{conntrack.ASK_WAY}"


def _why_unusable(wanted: Kind | None, way: str) -> str:
    unreadable = (
        f"{conntrack.FILE} cannot be read there, nor conntrack -L be run: it takes root, or sudo -n"
    )
    if wanted == "netfilter":
        nothing = f"no connection tracking in its kernel ({conntrack.COUNT_FILE} is not there)"
        return unreadable if way else nothing
    no_ipvs = "no IPVS in its kernel (/proc/net/ip_vs is not there)"
    return f"{no_ipvs}, and {unreadable}" if way and wanted is None else no_ipvs


def manifest_of(facts: BootFacts, link_spec: str) -> dict[str, Any]:
    """The director's part of ``run.json``."""
    timeouts, phase, director_settings = facts.timeouts, facts.timer_phase, facts.director_settings
    vips = {service.address for service in facts.services.services if service.address}
    knows_vips = facts.kind == "ipvs"  # connection tracking shows a VIP with its first entry
    held = director_settings.vips_held(vips) if knows_vips else None
    return {
        "link": link_spec,
        "kind": facts.kind,
        "kernel": facts.kernel,
        "hz": phase.hz if phase else None,
        "timer_phase_s": phase.phase_s if phase else None,
        "timer_phase_uncertainty_s": phase.uncertainty_s if phase else None,
        "timer_phase_source": facts.timer_phase_source,
        "timeouts": {"tcp": timeouts.tcp_s, "tcpfin": timeouts.tcpfin_s, "udp": timeouts.udp_s}
        if timeouts
        else None,
        "timeouts_source": facts.timeouts_source,
        "conn_tab_size": facts.services.conn_tab_size,
        "entry_bytes": facts.entry_bytes,
        "table_status": to_manifest(facts.table_status),
        "sysctl": _sysctls(facts),
        "insert_failed": director_settings.insert_failed,
        "vips_held": None if held is None else sorted(held),
        "vrrp_state": director_settings.vrrp_state(vips) if knows_vips else None,
        "sync_daemon": director_settings.sync_daemon,
        "macs": list(facts.macs),
        "addresses": sorted(director_settings.addresses or ()),
    }


def _sysctls(facts: BootFacts) -> dict[str, str | int]:
    """As their files have them; connection tracking's are numbers."""
    texts = facts.director_settings.sysctl
    if facts.kind == "ipvs":
        return dict(texts)
    return {name: int(text) for name, text in texts.items() if re.fullmatch("[0-9]{1,10}", text)}


def _sections(text: str) -> dict[str, str]:
    parts = re.split(r"^@(kernel|macs|entry|table|ip_vs|conntrack)$\n?", text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _entry_bytes(line: str) -> int | None:
    """Bytes of an entry, from "IPVS: Each connection entry needs 288 bytes at least"."""
    match = re.search(rf"{_ENTRY_NEEDS} (\d{{1,6}}) bytes", line)
    return entry_bytes_of(int(match[1])) if match else None


def _macs(text: str) -> tuple[str, ...]:
    """Interfaces' Ethernet addresses; loopback has none, written as zeros."""
    macs = re.findall(r"(?:^| link/ether )([0-9a-f]{2}(?::[0-9a-f]{2}){5})\b", text, re.M)
    return tuple(mac for mac in macs if mac.strip("0:"))


def _source(given: Timeouts | None, director_settings: DirectorSettings) -> str | None:
    if given is not None:
        return "--timeouts"
    return director_settings.timeouts_source


async def _timer_phase(client: DirectorClient) -> tuple[TimerPhase | None, str | None]:
    """By ``/proc/schedstat``, which anyone may read, else by ``/proc/timer_list``."""
    sources = (
        ("/proc/schedstat", _SCHEDSTAT, _schedstat_readings),
        ("/proc/timer_list", _TIMER_LIST, _timer_list_readings),
    )
    for source, script, readings_of in sources:
        readings = readings_of((await client.ask(script, timeout_s=ASK_TIMEOUT_S)).text)
        if not readings:
            continue
        await asyncio.sleep(_BETWEEN_BATCHES_S)  # ticks enough to tell HZ
        readings += readings_of((await client.ask(script, timeout_s=ASK_TIMEOUT_S)).text)
        phase = phase_from_readings(readings)
        if phase:
            return phase, source
    return None, None


def _schedstat_readings(text: str) -> list[TickReading]:
    rows = re.findall(r"^(\d{1,12}\.\d\d) (\d{1,20}) (\d{1,12}\.\d\d)$", text, re.M)
    return [
        TickReading(before_s=float(before), jiffies=int(count), after_s=float(after) + 0.01)
        for before, count, after in rows
    ]


def _timer_list_readings(text: str) -> list[TickReading]:
    rows = re.findall(r"^(\d{1,20}) nsecs\n(\d{1,20})$", text, re.M)
    return [
        TickReading(
            before_s=int(now_ns) / NS_PER_S,
            jiffies=int(count),
            after_s=int(now_ns) / NS_PER_S + _TIMER_LIST_READ_S,
        )
        for now_ns, count in rows
    ]
