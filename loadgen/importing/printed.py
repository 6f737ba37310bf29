"""What ipvsadm printed, as the records that the poller makes of the kernel's own texts."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from analyzer.ipvs.ipvsadm import parse
from analyzer.ipvs.proc.formats import (
    FORWARDING,
    MAX_PROTOCOL,
    Destination,
    Entry,
    EntryTable,
    Service,
)
from analyzer.ipvs.states import Timeouts
from loadgen.director.counters import counters_of, rates_of
from loadgen.importing.wrapped import unwrapped

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analyzer.ipvs.ipvsadm.model import Connection, ParsedText
    from analyzer.ipvs.ipvsadm.model import Destination as PrintedDestination
    from analyzer.ipvs.ipvsadm.model import Service as PrintedService
    from loadgen.director.counters import Counters, ServerKey

_TITLE = re.compile(r"^.*(?:IPVS +connection +entries|pro +expire +state )", re.MULTILINE)
"""Above a table of entries, which may be empty."""

SHORT, MOST_KNOWN = 4096, 8
"""Characters of a print that is worth keeping, and how many are kept."""

_HEADING = re.compile(r"Virtual\s+Server|Timeout\s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
    """What one poll has printed.

    Attributes:
        services: with the real servers whose ActiveConn and InActConn were printed.
        table: the entries; None if no table of them was printed.
        counters: of real servers, as ``--stats`` prints them (rounded without ``--exact``).
        rates: CPS of real servers, as ``--rate`` prints it.
        timeouts: the last of ``ipvsadm -L --timeout``; None if it was not printed.
        size: buckets of the table of entries; None if that was not printed.
        is_error: a tool's error was printed, and nothing else.
        warnings: the parser's doubts.
    """

    services: tuple[Service, ...] = ()
    table: EntryTable | None = None
    counters: Mapping[ServerKey, Counters] = field(default_factory=dict)
    rates: Mapping[ServerKey, int] = field(default_factory=dict)
    timeouts: Timeouts | None = None
    size: int | None = None
    is_error: bool = False
    warnings: tuple[str, ...] = ()


def from_printed(text: str) -> Printed:
    """Read what a poll has printed; polls of a quiet director print the same again and again."""
    return _known(text) if len(text) <= SHORT else _read(text)


def _read(text: str) -> Printed:
    parsed = parse(unwrapped(text))
    timeouts = parsed.timeouts
    return Printed(
        services=tuple(_service(service) for service in parsed.services),
        table=_table(parsed, text),
        counters=counters_of(parsed),
        rates=rates_of(parsed),
        timeouts=Timeouts(
            tcp_s=float(timeouts.tcp), tcpfin_s=float(timeouts.tcpfin), udp_s=float(timeouts.udp)
        )
        if timeouts
        else None,
        size=parsed.header.size if parsed.header else None,
        is_error=parsed.error is not None and parsed.header is None,
        warnings=tuple(parsed.warnings),
    )


_known = lru_cache(maxsize=MOST_KNOWN)(_read)


def heading_of(text: str) -> Printed:
    """The size of the table of entries and the timeouts that a poll has printed, and no more."""
    if not _HEADING.search(text):
        return Printed()
    return from_printed("\n".join(line for line in text.split("\n") if _HEADING.search(line)))


def _table(parsed: ParsedText, text: str) -> EntryTable | None:
    if not parsed.connections and not _TITLE.search(text):
        return None
    entries = [_entry(connection) for connection in parsed.connections]
    known = tuple(entry for entry in entries if entry)
    return EntryTable(entries=known, lines=len(entries), warnings=())


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


_IN_SERVICE = 1
"""Of a real server whose weight is not printed (``--thresholds``): nothing says that it drains."""


def _destination(server: PrintedDestination) -> Destination | None:
    if server.active is None or server.inactive is None:
        return None
    return Destination(
        address=server.address,
        port=server.port or 0,
        forwarding=FORWARDING.get(server.forward or "", server.forward or ""),
        weight=_IN_SERVICE if server.weight is None else server.weight,
        active=server.active,
        inactive=server.inactive,
    )


def _entry(connection: Connection) -> Entry | None:
    client, service, server = connection.source, connection.virtual, connection.destination
    if client.port is None or service.port is None or server.port is None:
        return None
    if len(connection.proto) > MAX_PROTOCOL:
        return None
    return Entry(
        protocol=connection.proto,
        client_ip=client.address,
        client_port=client.port,
        vip=service.address,
        port=service.port,
        real_server=server.address,
        real_port=server.port,
        state=connection.state,
        expires_s=connection.expire_s,
    )
