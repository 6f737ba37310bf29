"""``analyzer parse``: any text of ipvsadm or ``/proc/net/ip_vs*`` to JSON or to tables."""

from __future__ import annotations

import gc
import sys
from contextlib import contextmanager
from dataclasses import fields, replace
from functools import lru_cache
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, TypeVar

import click

from analyzer.ipvs.addresses import bracketed
from loadgen.commands.types import PathType
from loadgen.session.terminal import print_lines, print_pieces

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from analyzer.ipvs.ipvsadm import ParsedText
    from analyzer.ipvs.ipvsadm.model import Connection, Destination, Service

Row = TypeVar("Row")

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
    from analyzer.documents import as_pieces
    from analyzer.errors import ParseError
    from analyzer.ipvs import ipvsadm as texts

    with _uncollected():
        data, is_cut = _read(file)
        text = texts.decode(data)
        del data
        parsed = texts.parse(text, hz=hz)
        del text
    if is_cut:
        cut = f"only the first {MAX_BYTES // 1024**2} MiB were read"
        parsed = replace(parsed, warnings=(*parsed.warnings, cut))
    if as_json:
        print_pieces(chain(as_pieces(parsed, texts.ParsedDocument), "\n"))
    else:
        _show(parsed)
    if not parsed.lines_understood:
        name = "standard input" if str(file) == "-" else str(file)
        raise ParseError(f"{name}: no text of ipvsadm or /proc/net/ip_vs* was found in it")


@contextmanager
def _uncollected() -> Iterator[None]:
    """A million values, no cycle among them, would be searched for some again and again."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _read(file: Path) -> tuple[bytes, bool]:
    """What is used of it, and whether that is not all."""
    if str(file) == "-":
        data = sys.stdin.buffer.read(MAX_BYTES + 1)
    else:
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    return data[:MAX_BYTES], len(data) > MAX_BYTES


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
        yield from _table(service.destinations, _destination)
    yield from _table(parsed.connections, _entry)
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


def _destination(server: Destination) -> Mapping[str, object]:
    return {
        "  -> real server": f"  -> {_end(server.address, server.port)}",
        **_present(server, server.__struct_fields__[3:]),  # after the end
    }


def _entry(connection: Connection) -> Mapping[str, object]:
    source, virtual, destination = connection.source, connection.virtual, connection.destination
    cells: dict[str, object] = {
        "proto": connection.proto,
        "expire_s": connection.expire_s,
        "state": connection.state,
        "source": _end(source.address, source.port),
        "virtual": _end(virtual.address, virtual.port),
        "destination": _end(destination.address, destination.port),
    }
    if connection.origin or connection.pe_name or connection.pe_data:
        cells |= _present(connection, ("origin", "pe_name", "pe_data"))
    return cells


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


def _table(rows: Sequence[Row], cells: Callable[[Row], Mapping[str, object]]) -> Iterator[str]:
    """Rows below one another, with the columns that any of them fills.

    Their cells are made twice: those of a long table would take more memory than its rows.
    """
    widths: dict[str, int] = {}
    for row in rows:
        for name, value in cells(row).items():
            width = len(str(value))
            if width > widths.get(name, -1):
                widths[name] = max(width, len(name))
    if rows:
        yield _aligned(dict(zip(widths, widths, strict=True)), widths)
    for row in rows:
        yield _aligned(cells(row), widths)


def _aligned(cells: Mapping[str, object], widths: Mapping[str, int]) -> str:
    return "  ".join(
        [str(cells.get(name, "")).ljust(width) for name, width in widths.items()]
    ).rstrip()


_getter = lru_cache(maxsize=64)(attrgetter)


def _present(record: object, names: Sequence[str]) -> dict[str, object]:
    """Those of the fields that were in the text; at least two are asked for."""
    values = _getter(*names)(record)
    return {name: value for name, value in zip(names, values, strict=True) if value is not None}
