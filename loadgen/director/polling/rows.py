"""What a director showed, as rows of the recording."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loadgen.director.counters import Counters, server_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from analyzer.ipvs.proc.formats import Service
    from loadgen.director.counters import ServerKey
    from loadgen.director.links.snapshot import Snapshot
    from loadgen.director.polling.timekeeper import Noted


RESIZING = "resizing"
"""What a poll is called whose read of the entries came while the table was being resized."""


def service_rows(
    service: Service,
    counters: Mapping[ServerKey, Counters] | None = None,
    rates: Mapping[ServerKey, int] | None = None,
) -> list[dict[str, Any]]:
    """A service's rows of ``services/``, but for the poll's instant and director.

    Args:
        service: as it was polled.
        counters: of the same poll; None where they were not asked for or not given.
        rates: CPS of the same poll, likewise.
    """
    known, cps = counters or {}, rates or {}
    columns = service_columns([service])
    keys = [server_key(service, server) for server in service.destinations]
    return [
        dict(zip(columns, values, strict=True)) | _counted(known.get(key), cps.get(key))
        for key, *values in zip(keys, *columns.values(), strict=True)
    ]


def service_columns(
    services: Iterable[Service], counters: Mapping[ServerKey, Counters] | None = None
) -> dict[str, list[Any]]:
    """Services' rows of ``services/`` as columns, but for the poll's instant and director.

    Args:
        services: as they were polled.
        counters: of the same poll; None where they were not asked for or not given.
    """
    pairs = [(service, server) for service in services for server in service.destinations]
    columns: dict[str, list[Any]] = {
        "protocol": [service.protocol for service, _ in pairs],
        "vip": [service.address for service, _ in pairs],
        "port": [service.port for service, _ in pairs],
        "fwmark": [service.fwmark for service, _ in pairs],
        "scheduler": [service.scheduler for service, _ in pairs],
        "real_server": [server.address for _, server in pairs],
        "real_port": [server.port for _, server in pairs],
        "forwarding": [server.forwarding for _, server in pairs],
        "weight": [server.weight for _, server in pairs],
        "active": [server.active for _, server in pairs],
        "inactive": [server.inactive for _, server in pairs],
    }
    if not counters:
        return columns
    none = (None,) * len(Counters._fields)
    known = [counters.get(server_key(*pair), none) for pair in pairs]
    return columns | {
        name: [row[number] for row in known] for number, name in enumerate(Counters._fields)
    }


def counters_alone(
    counters: Mapping[ServerKey, Counters],
    rates: Mapping[ServerKey, int],
    listed: Iterable[Service],
) -> list[dict[str, Any]]:
    """Rows of ``services/`` for real servers of which a snapshot had counters or rates alone.

    Args:
        counters: of one poll, as ``ipvsadm --stats`` prints them.
        rates: CPS of the same poll, as ``ipvsadm --rate`` prints it.
        listed: the services of the same poll with ActiveConn and InActConn; may be none.
    """
    known = {server_key(service, one) for service in listed for one in service.destinations}
    names = ("protocol", "vip", "port", "fwmark", "real_server", "real_port")
    return [
        dict(zip(names, key, strict=True)) | _counted(counters.get(key), rates.get(key))
        for key in {**counters, **rates}
        if key not in known
    ]


def _counted(counters: Counters | None, cps: int | None) -> dict[str, int]:
    return (counters._asdict() if counters else {}) | ({} if cps is None else {"cps": cps})


def poll_row(noted: Noted, snapshot: Snapshot, lines: int | None) -> dict[str, Any]:
    """A poll's row of ``polls/``, but for the director; ``lines`` None without the entries."""
    return {
        "at": noted.at_ns,
        "what": "services" if lines is None else "entries",
        "took_ms": snapshot.took_s * 1e3,
        "entries": lines,
        "offset_ms": noted.offset_ms,
        "uncertainty_ms": noted.uncertainty_ms,
        "asked": snapshot.asked_ns,
        "director_uptime_s": snapshot.uptime_s,
        "buckets": snapshot.services.conn_tab_size,
        "table_entries": snapshot.counted,
    }
