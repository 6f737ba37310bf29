"""What a director showed, and what a check of it comes to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from analyzer.ipvs.addresses import host_port
from analyzer.ipvs.versions import law_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analyzer.ipvs.proc.formats import Entry, Service
    from analyzer.ipvs.states import Timeouts
    from analyzer.ipvs.table_status import TableStatus
    from analyzer.ipvs.versions import Law

Outcome = Literal["passed", "failed", "not measured", "skipped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What a director showed; None where it did not.

    Attributes:
        director: its name.
        link: how it was reached, as the operator wrote it; None where that is not known.
        conn_tab_bits: of its table's size; where the table resizes itself, of the present one.
        per_s: new connections a second of each service, by its ``name_of``.
        entries: its connection table; None where it was not given.
        sample_of: how many there are, where ``entries`` are only a fair sample of them.
        vrrp_state: MASTER, BACKUP, or None without keepalived.
        sync_daemon: as ``ipvsadm -L --daemon`` tells: master, backup, master+backup, none.
        conn_max: the most entries that it may hold; None where there is no limit (before 7.2).
        entry_bytes: of one entry at least, as its kernel said when it loaded IPVS.
        table_status: of its table, as its kernel tells root since Linux 7.1.
        why_no_rate: why there is no ``per_s``, where that is known.
    """

    director: str
    kernel: str | None
    hz: int | None
    timeouts: Timeouts | None
    services: tuple[Service, ...]
    conn_tab_bits: int
    per_s: Mapping[str, float] | None
    entries: tuple[Entry, ...] | None
    sample_of: int | None
    memory_available_bytes: int | None
    vrrp_state: str | None
    sync_daemon: str | None
    link: str | None = None
    conn_max: int | None = None
    entry_bytes: int | None = None
    table_status: TableStatus | None = None
    why_no_rate: str | None = None

    @property
    def law(self) -> Law:
        """What its kernel goes by."""
        return law_of(self.kernel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at, on one director, or on all (None)."""

    what: str
    director: str | None
    outcome: Outcome
    detail: str


def made(what: str, director: str | None, outcome: Outcome | bool, detail: str) -> Check:
    """A check; a truth value is passed or failed."""
    if isinstance(outcome, bool):
        outcome = "passed" if outcome else "failed"
    return Check(what=what, director=director, outcome=outcome, detail=detail)


def name_of(service: Service) -> str:
    """``TCP 192.168.10.2:80``, or the firewall mark; the same mark may be of IPv6 beside IPv4."""
    if service.address is None:
        is_ipv6 = any(":" in server.address for server in service.destinations)
        return f"fwmark {service.fwmark}{' (IPv6)' * is_ipv6}"
    return f"{service.protocol} {host_port(service.address, service.port or 0)}"
