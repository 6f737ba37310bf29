"""What ipvsadm printed, as the records that the poller makes of the kernel's own texts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from analyzer.ipvs.formats import FORWARDING, Destination, Entry, EntryTable, Service
from analyzer.ipvs.texts import parse

if TYPE_CHECKING:
    from analyzer.ipvs.texts.model import Connection
    from analyzer.ipvs.texts.model import Destination as PrintedDestination
    from analyzer.ipvs.texts.model import Service as PrintedService

_TITLE = re.compile(r"^.*(?:IPVS +connection +entries|pro +expire +state )", re.MULTILINE)
"""Above a table of entries, which may be empty."""


def from_printed(
    text: str,
) -> tuple[tuple[Service, ...], EntryTable | None, tuple[str, ...]]:
    """Services, entries (None if no table of them was printed), and the parser's doubts."""
    parsed = parse(text)
    services = tuple(_service(service) for service in parsed.services)
    warnings = tuple(parsed.warnings)
    if not parsed.connections and not _TITLE.search(text):
        return services, None, warnings
    entries = [_entry(one) for one in parsed.connections]
    known = tuple(entry for entry in entries if entry)
    return services, EntryTable(entries=known, lines=len(entries), warnings=()), warnings


def _service(service: PrintedService) -> Service:
    return Service(
        protocol=service.protocol,
        address=service.address,
        port=service.port,
        fwmark=service.fwmark,
        scheduler=service.scheduler or "",
        destinations=tuple(
            made for server in service.destinations if (made := _destination(server))
        ),
    )


def _destination(server: PrintedDestination) -> Destination | None:
    if server.active is None or server.inactive is None:
        return None
    return Destination(
        address=server.address,
        port=server.port or 0,
        forwarding=FORWARDING.get(server.forward or "", server.forward or ""),
        weight=server.weight or 0,
        active=server.active,
        inactive=server.inactive,
    )


def _entry(one: Connection) -> Entry | None:
    ends = (one.source, one.virtual, one.destination)
    if any(end.port is None for end in ends):
        return None
    return Entry(
        protocol=one.proto,
        client_ip=one.source.address,
        client_port=one.source.port or 0,
        vip=one.virtual.address,
        port=one.virtual.port or 0,
        real_server=one.destination.address,
        real_port=one.destination.port or 0,
        state=one.state,
        expires_s=one.expire_s,
    )
