"""``analyzer parse``: any text of ipvsadm or ``/proc/net/ip_vs*`` to JSON or to tables."""

from __future__ import annotations

import sys
from dataclasses import fields, replace
from typing import TYPE_CHECKING

import click

from analyzer.ipvs.addresses import bracketed
from loadgen.commands.types import PathType
from loadgen.session.terminal import print_document, print_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from analyzer.ipvs.ipvsadm import ParsedText
    from analyzer.ipvs.ipvsadm.model import Connection, Destination, Service

MAX_BYTES = 64 * 1024 * 1024
STATS = ("conns", "inpkts", "outpkts", "inbytes", "outbytes")
COUNTERS = (*STATS, "cps", "inpps", "outpps", "inbps", "outbps")


@click.command()
@click.argument(
    "file",
    type=PathType(exists=True, dir_okay=False, allow_dash=True),
    default="-",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option(
    "--hz",
    type=click.IntRange(1, 10_000),
    help="HZ of the director, to convert the kernel's persistence from jiffies to seconds.",
)
def parse(file: Path, as_json: bool, hz: int | None) -> None:
    """Parse output of ipvsadm or /proc/net/ip_vs*, from FILE or standard input.

    Exit code 2 if nothing in the text was understood; a tool's error text is understood.
    """
    from analyzer.documents import to_json
    from analyzer.errors import ParseError
    from analyzer.ipvs import ipvsadm as texts

    data = _read(file)
    parsed = texts.parse(texts.decode(data[:MAX_BYTES]), hz=hz)
    if len(data) > MAX_BYTES:
        cut = f"only the first {MAX_BYTES // 1024**2} MiB were read"
        parsed = replace(parsed, warnings=(*parsed.warnings, cut))
    if as_json:
        print_document(to_json(parsed, texts.ParsedDocument))
    else:
        _show(parsed)
    if not parsed.lines_understood:
        name = "standard input" if str(file) == "-" else str(file)
        raise ParseError(f"{name}: no text of ipvsadm or /proc/net/ip_vs* was found in it")


def _read(file: Path) -> bytes:
    """One byte more than is used, to know of it."""
    if str(file) == "-":
        return sys.stdin.buffer.read(MAX_BYTES + 1)
    with file.open("rb") as stream:
        return stream.read(MAX_BYTES + 1)


def _show(parsed: ParsedText) -> None:
    """What was understood, for people, on standard output; the doubts on standard error."""
    print_lines(_lines(parsed))
    print_lines((f"warning: {warning}" for warning in parsed.warnings), err=True)


def _lines(parsed: ParsedText) -> Iterator[str]:
    """The text said again, every number in the same notation."""
    if parsed.header:
        size = "" if parsed.header.size is None else f", {parsed.header.size} buckets"
        yield f"IPVS {parsed.header.version}{size}"
    for service in parsed.services:
        yield _service(service)
        yield from _table([_destination(line_of_server) for line_of_server in service.destinations])
    yield from _table([_entry(line_of_server) for line_of_server in parsed.connections])
    yield from _single_values(parsed)
    if parsed.error:
        yield f"error: {parsed.error}"


def _service(service: Service) -> str:
    """A service in one line, its counters behind it."""
    mark = None if service.fwmark is None else f"{service.fwmark} {service.family or ''}".strip()
    end = None if service.address is None else _end(service.address, service.port)
    what = (service.protocol, service.match, mark, end, service.scheduler, service.flags)
    seconds = service.persistent_s
    converted = seconds is not None and f"persistent {seconds}" not in (service.flags or "")
    names = ("persistent_s", *COUNTERS) if converted else COUNTERS
    values = (f"{name} {value}" for name, value in _present(service, names).items())
    return " ".join((*filter(None, what), *values))


def _destination(server: Destination) -> dict[str, object]:
    values = [field.name for field in fields(server)][3:]  # after the end
    return {
        "  -> real server": f"  -> {_end(server.address, server.port)}",
        **_present(server, values),
    }


def _entry(connection: Connection) -> dict[str, object]:
    ends = {
        "source": connection.source,
        "virtual": connection.virtual,
        "destination": connection.destination,
    }
    return {
        **_present(connection, ("proto", "expire_s", "state")),
        **{name: _end(end.address, end.port) for name, end in ends.items()},
        **_present(connection, ("origin", "pe_name", "pe_data")),
    }


def _end(address: str, port: int | None) -> str:
    return f"{bracketed(address)}:{'?' if port is None else port}"


def _single_values(parsed: ParsedText) -> Iterator[str]:
    """What stands alone: timeouts, daemons, counters."""
    alone = (("timeouts, s", parsed.timeouts), ("total", parsed.total), ("per s", parsed.rate))
    cpus = ((f"cpu {number}", counters) for number, counters in (parsed.cpus or {}).items())
    daemons = (("sync daemon", daemon) for daemon in parsed.daemons)
    for title, record in (*alone, *cpus, *daemons):
        if record is not None:
            values = _present(record, [field.name for field in fields(record)])
            yield f"{title}: {', '.join(f'{name} {value}' for name, value in values.items())}"


def _table(rows: Sequence[dict[str, object]]) -> Iterator[str]:
    """Rows below one another, with the columns that any of them fills."""
    names = [*dict.fromkeys(name for row in rows for name in row)]
    cells = [names, *([str(row.get(name, "")) for name in names] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells if rows else ():
        yield "  ".join(map(str.ljust, row, widths)).rstrip()


def _present(record: object, names: Sequence[str]) -> dict[str, object]:
    """Those of the fields that were in the text."""
    values = ((name, getattr(record, name)) for name in names)
    return {name: value for name, value in values if value is not None}
