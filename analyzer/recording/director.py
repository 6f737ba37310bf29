"""A director's facts as the manifest has them, checked on the way in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analyzer.errors import RecordingError
from analyzer.ipvs.states import Timeouts
from analyzer.ipvs.table_status import entry_bytes_of, status_of
from analyzer.ipvs.versions import law_of
from analyzer.recording.clock import UPTIME_STEP_S
from analyzer.wire.packets import mac_number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analyzer.ipvs.states import SettableName
    from analyzer.ipvs.table_status import TableStatus
    from analyzer.ipvs.versions import Law


@dataclass(frozen=True, slots=True, kw_only=True)
class Director:
    """What was learnt of one director before the run; None where it was not.

    Attributes:
        hz: jiffies per second.
        timeouts_source: who told them: ``ipvsadm`` and ``netlink``, asked on the director, or
            another.
        assumed_timeouts: those of ``timeouts`` that nobody told and no entry shows.
        clock_is_known: its clock is known against the recording's, to what its polls leave open;
            of an imported recording only where somebody has measured it.
        phase_s: by how much its jiffies lag its uptime; see ``analyzer.ipvs.timers``.
        phase_uncertainty_s: half the width of what the readings allowed.
        macs: of its interfaces, as numbers.
        conn_reuse_mode, conntrack, expire_nodest_conn, expire_quiescent_template, secure_tcp,
            drop_entry: the sysctls under
            ``net.ipv4.vs`` of these names; the kernel's defaults where not known.
        conn_tab_size: buckets of its connection table, when the run began.
        conn_max: the most entries that its namespace may hold; None where there is no such limit.
        entry_bytes: of one entry at least, as its kernel said when it loaded IPVS.
        table_status: of its table before the run, as its kernel tells root since Linux 7.1.
        table_status_fullest: the same of the look with the most entries, before or during the run.
        table_status_at_end: the same of the last look.
        kernel: its release.
        uptime_step_s: the resolution of its uptime in the polls.
        has_service: it had the service that load was sent to; None where nobody looked, or where
            a service by firewall mark may take its packets.
        real_servers: how many that service had when the run began.
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
    clock_uncertainty_s: float = 0.0

    @property
    def law(self) -> Law:
        """What its kernel goes by."""
        return law_of(self.kernel)


def directors_of(manifest: Mapping[str, Any]) -> tuple[Director, ...]:
    """The directors that a recording's manifest names, in its order.

    Raises:
        RecordingError: what it says of them is not what a recorder writes.
    """
    facts = manifest.get("directors") or {}
    try:
        return tuple(_director(name, values) for name, values in facts.items())
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RecordingError(f"run.json: directors: {type(error).__name__}: {error}") from error


def _director(name: str, facts: Mapping[str, Any]) -> Director:
    timeouts = facts.get("timeouts")
    sysctl = facts.get("sysctl") or {}
    return Director(
        name=name,
        timeouts=Timeouts(
            tcp_s=float(timeouts["tcp"]),
            tcpfin_s=float(timeouts["tcpfin"]),
            udp_s=float(timeouts["udp"]),
        )
        if timeouts
        else None,
        hz=_hz(facts.get("hz")),
        phase_s=None if facts.get("timer_phase_s") is None else float(facts["timer_phase_s"]),
        phase_uncertainty_s=float(facts.get("timer_phase_uncertainty_s") or 0.0),
        macs=frozenset(_macs(facts.get("macs") or [])),
        conn_reuse_mode=_small_number(sysctl.get("conn_reuse_mode"), otherwise=1),
        conntrack=bool(_small_number(sysctl.get("conntrack"), otherwise=0)),
        expire_nodest_conn=bool(_small_number(sysctl.get("expire_nodest_conn"), otherwise=0)),
        expire_quiescent_template=bool(
            _small_number(sysctl.get("expire_quiescent_template"), otherwise=0)
        ),
        secure_tcp=_small_number(sysctl.get("secure_tcp"), otherwise=0),
        drop_entry=_small_number(sysctl.get("drop_entry"), otherwise=0),
        conn_tab_size=_small_number(facts.get("conn_tab_size"), otherwise=0) or None,
        conn_max=_small_number(sysctl.get("conn_max"), otherwise=0) or None,
        entry_bytes=entry_bytes_of(facts.get("entry_bytes")),
        table_status=status_of(facts.get("table_status")),
        table_status_fullest=status_of(facts.get("table_status_fullest")),
        table_status_at_end=status_of(facts.get("table_status_at_end")),
        uptime_step_s=float(facts.get("uptime_step_s", UPTIME_STEP_S)),
        clock_uncertainty_s=float(facts.get("clock_uncertainty_s") or 0.0),
        timeouts_source=str(facts["timeouts_source"]) if facts.get("timeouts_source") else None,
        clock_is_known=bool(facts.get("clock_is_known", True)),
        kernel=str(facts["kernel"]) if facts.get("kernel") else None,
        has_service=value if isinstance(value := facts.get("has_service"), bool) else None,
        real_servers=count if type(count := facts.get("real_servers")) is int else None,
    )


def _hz(value: Any) -> int | None:
    if value is None:
        return None
    if type(value) is not int or value <= 0:
        raise ValueError(f"hz {value!r}, expected a number of jiffies per second")
    return value


def _macs(texts: list[str]) -> list[int]:
    known = []
    for text in texts:
        try:
            known.append(mac_number(text))
        except ValueError:
            continue  # an interface without an Ethernet address
    return [mac for mac in known if mac]


def _small_number(text: Any, *, otherwise: int) -> int:
    try:
        return int(text)
    except (TypeError, ValueError):
        return otherwise
