"""What was read from a director, and the result of a check of it."""

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
    """What was read from a director; None where that failed.

    Attributes:
        director: its name.
        link: how it was reached, as the operator wrote it; None where not known.
        conn_tab_bits: log2 of its table's buckets; at present, if the table resizes itself.
        per_s: new connections a second of each service, by its ``name_of``.
        entries: its connection table; None where it could not be read.
        sample_of: how many there are, where ``entries`` is only a fair sample of them.
        vrrp_state: MASTER, BACKUP, or None without keepalived.
        sync_daemon: as in ``ipvsadm -L --daemon``: master, backup, master+backup, none.
        conn_max: the most entries that it may hold; None without a limit (before 7.2).
        entry_bytes: the least size of one entry, as its kernel logged when it loaded IPVS.
        table_status: of its table, which the kernel shows to root since Linux 7.1.
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
        """The IPVS behaviour of its kernel version."""
        return law_of(self.kernel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """The result of a check of one director, or of all (None)."""

    what: str
    director: str | None
    outcome: Outcome
    detail: str


def check(what: str, director: str | None, outcome: Outcome | bool, detail: str) -> Check:
    """A check's result; a truth value means passed or failed."""
    if isinstance(outcome, bool):
        outcome = "passed" if outcome else "failed"
    return Check(what=what, director=director, outcome=outcome, detail=detail)


def name_of(service: Service) -> str:
    """``TCP 192.168.10.2:80``, or the firewall mark; IPv4 and IPv6 may share a mark."""
    if service.address is None:
        is_ipv6 = any(":" in server.address for server in service.destinations)
        return f"fwmark {service.fwmark}{' (IPv6)' * is_ipv6}"
    return f"{service.protocol} {host_port(service.address, service.port or 0)}"
