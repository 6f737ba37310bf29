"""What a director showed, as rows of the recording."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from analyzer.ipvs.proc.formats import Destination, Service
    from loadgen.director.links.eye import Look
    from loadgen.director.polling.counters import Counters, ServerKey
    from loadgen.director.polling.timekeeper import Noted


RESIZING = "resizing"
"""What a poll is called whose read of the entries came while the table was being resized."""


def server_key(service: Service, server: Destination) -> ServerKey:
    """What makes two rows the same real server of the same service."""
    virtual = (service.protocol, service.address, service.port, service.fwmark)
    return (*virtual, server.address, server.port)


def service_rows(
    service: Service, counters: Mapping[ServerKey, Counters] | None = None
) -> list[dict[str, Any]]:
    """A service's rows of ``services/``, but for the poll's instant and director.

    Args:
        service: as it was polled.
        counters: of the same poll; None where they were not asked for or not given.
    """
    known = counters or {}
    return [
        {
            "protocol": service.protocol,
            "vip": service.address,
            "port": service.port,
            "fwmark": service.fwmark,
            "scheduler": service.scheduler,
            "real_server": server.address,
            "real_port": server.port,
            "forwarding": server.forwarding,
            "weight": server.weight,
            "active": server.active,
            "inactive": server.inactive,
        }
        | _counted(known.get(server_key(service, server)))
        for server in service.destinations
    ]


def counters_alone(
    counters: Mapping[ServerKey, Counters], listed: Iterable[Service]
) -> list[dict[str, Any]]:
    """Rows of ``services/`` for real servers of which a look had the counters and nothing else.

    Args:
        counters: of one look, as ``ipvsadm --stats`` prints them.
        listed: the services of the same look with ActiveConn and InActConn; may be none.
    """
    known = {server_key(service, one) for service in listed for one in service.destinations}
    names = ("protocol", "vip", "port", "fwmark", "real_server", "real_port")
    return [
        dict(zip(names, key, strict=True)) | _counted(counters[key])
        for key in counters
        if key not in known
    ]


def _counted(counters: Counters | None) -> dict[str, int]:
    return counters._asdict() if counters else {}


def poll_row(noted: Noted, look: Look, lines: int | None) -> dict[str, Any]:
    """A poll's row of ``polls/``, but for the director; ``lines`` None without the entries."""
    return {
        "at": noted.at_ns,
        "what": "services" if lines is None else "entries",
        "took_ms": look.took_s * 1e3,
        "entries": lines,
        "offset_ms": noted.offset_ms,
        "uncertainty_ms": noted.uncertainty_ms,
        "asked": look.asked_ns,
        "director_uptime_s": look.uptime_s,
        "buckets": look.services.conn_tab_size,
    }
