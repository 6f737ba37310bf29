"""``analyzer parse``: any text of ipvsadm or ``/proc/net/ip_vs*`` to JSON or to tables."""

from __future__ import annotations

import gc
import re
import sys
from contextlib import contextmanager
from dataclasses import fields, replace
from functools import lru_cache
from itertools import chain, repeat
from operator import attrgetter
from typing import TYPE_CHECKING, TypeVar

import click

from analyzer.ipvs.addresses import bracketed
from loadgen.commands.types import PathType
from loadgen.session.terminal import print_lines, print_pieces

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from analyzer.ipvs.ipvsadm import ParsedText
    from analyzer.ipvs.ipvsadm.model import Connection, Destination, Service

Row = TypeVar("Row")
Values = tuple[object, ...]

MAX_BYTES = 64 * 1024 * 1024
STATS = ("conns", "inpkts", "outpkts", "inbytes", "outbytes")
COUNTERS = (*STATS, "cps", "inpps", "outpps", "inbps", "outbps")
_COUNTED, _UNCOUNTED = attrgetter(*COUNTERS), (None,) * len(COUNTERS)
ENTRY = (
    *("proto", "expire_s", "state", "source", "virtual", "destination"),
    *("origin", "pe_name", "pe_data"),
)
_HEAD_CHARACTERS = 1 << 16
_LINE = re.compile(r"line (\d+): ")
_ROWS_OF = ("services", "connections", "timeouts", "daemons", "total", "rate", "cpus", "error")
_ROWS = 1000
"""Of a table, whose cells are held at a time."""


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

    Exit code 2 if nothing in the text was understood, or no row of it; a tool's error text is
    understood.
    """
    from analyzer.documents import as_pieces
    from analyzer.errors import ParseError
    from analyzer.ipvs import ipvsadm as texts
    from loadgen.importing.sources.kinds import is_capture as is_capture_of
    from loadgen.importing.times.lines import without_times

    with _uncollected():
        data, is_cut = _read(file)
        is_capture = is_capture_of(data)
        text = texts.decode(data)
        del data
        head = text[:_HEAD_CHARACTERS]
        text = without_times(text)
        parsed = texts.parse(text, hz=hz)
        del text
    if is_cut:
        cut = f"only the first {MAX_BYTES // 1024**2} MiB were read"
        parsed = replace(parsed, warnings=(*parsed.warnings, cut))
    if as_json:
        print_pieces(chain(as_pieces(parsed, texts.ParsedDocument), "\n"))
    else:
        _show(parsed)
    why = _why_nothing(parsed, head, is_capture)
    if why is not None:
        name = "standard input" if str(file) == "-" else str(file)
        raise ParseError(f"{name}: {why}")


def _why_nothing(parsed: ParsedText, head: str, is_capture: bool) -> str | None:
    """Why a text has nothing that is printed; None where it has."""
    from loadgen.importing.sources.refusals import ROWS, foreign_line, refusal

    none = "no text of ipvsadm or /proc/net/ip_vs* was found in it"
    if is_capture:
        return f"{none}: it is a capture; expected one by: analyzer report FILE"
    if not parsed.lines_understood:
        expected = f"what ipvsadm prints, such as {ROWS}"
        return f"{none}: {refusal(head.splitlines(), expected)}"
    lost = next((found for found in map(_LINE.match, parsed.warnings) if found), None)
    if lost is None or any(getattr(parsed, name) for name in _ROWS_OF):
        return None
    if foreign_line(head.splitlines()):
        return f"{none}: {refusal(head.splitlines(), '')}"
    return f"line {lost[1]}: no row of it was understood; expected rows such as {ROWS}"


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
        data = _packed(file) if file.is_file() else None
        if data is None:
            with file.open("rb") as stream:
                data = stream.read(MAX_BYTES + 1)
    return data[:MAX_BYTES], len(data) > MAX_BYTES


def _packed(file: Path) -> bytes | None:
    """What is used of a packed file; None of any other."""
    from loadgen.importing.sources.packed import first_bytes, packing_of, refuse_bomb

    if packing_of(file) is None:
        return None
    refuse_bomb(file, "a text")
    return first_bytes(file, MAX_BYTES + 1)


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
        yield from _servers(service.destinations)
    yield from _table(parsed.connections, ENTRY, _entry)
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
    persistent = f"persistent_s {seconds}" if converted else None
    shown = [part for part in (*what, persistent) if part]
    counted = _COUNTED(service)
    if counted != _UNCOUNTED:
        named = zip(COUNTERS, counted, strict=True)
        shown += [f"{name} {value}" for name, value in named if value is not None]
    return " ".join(shown)


def _servers(servers: Sequence[Destination]) -> Iterator[str]:
    if not servers:
        return iter(())
    names = servers[0].__struct_fields__[3:]  # after the end
    rest = _getter(*names)
    return _table(
        servers,
        ("  -> real server", *names),
        lambda server: (f"  -> {_end(server.address, server.port)}", *rest(server)),
    )


def _entry(connection: Connection) -> Values:
    """The values of ``ENTRY``."""
    source, virtual, destination = connection.source, connection.virtual, connection.destination
    return (
        connection.proto,
        connection.expire_s,
        connection.state,
        _end(source.address, source.port),
        _end(virtual.address, virtual.port),
        _end(destination.address, destination.port),
        connection.origin,
        connection.pe_name,
        connection.pe_data,
    )


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


def _table(
    rows: Sequence[Row], names: Sequence[str], values: Callable[[Row], Values]
) -> Iterator[str]:
    """Rows below one another, with the columns that any of them fills.

    The cells of a long table are made twice: all of them would take more memory than its rows.
    """
    blocks = [rows[at : at + _ROWS] for at in range(0, len(rows), _ROWS)]
    widths: dict[str, int] = {}
    cells: dict[str, list[str]] = {}
    for block in blocks:
        cells = _cells(names, map(values, block))
        for name, column in cells.items():
            widths[name] = max(widths.get(name, len(name)), *map(len, column))
    line = _format(*widths.values())
    if rows:
        yield line(*widths).rstrip()
    for block in blocks:
        shown = cells if len(blocks) == 1 else _cells(names, map(values, block))
        columns = [shown.get(name) or repeat("") for name in widths]
        # an endless column is an empty one
        yield from [line(*row).rstrip() for row in zip(*columns, strict=False)]


def _cells(names: Sequence[str], rows: Iterable[Values]) -> dict[str, list[str]]:
    """The columns that any row fills, in the order in which rows first do."""
    columns = list(zip(names, zip(*rows, strict=True), strict=True))
    filled = [(name, column) for name, column in columns if column[0] is not None]
    later = [
        (name, column)
        for name, column in columns
        if column[0] is None and column.count(None) < len(column)
    ]
    filled += sorted(later, key=lambda named: _first(named[1]))
    return {name: _texts(column) for name, column in filled}


def _first(column: Values) -> int:
    """Which row is the first that fills a column."""
    return next(at for at, value in enumerate(column) if value is not None)


def _texts(column: Values) -> list[str]:
    if None in column:
        return ["" if value is None else str(value) for value in column]
    return list(map(str, column))


@lru_cache(maxsize=1024)
def _format(*widths: int) -> Callable[..., str]:
    """What aligns a row's cells."""
    return "  ".join([f"{{:<{width}}}" for width in widths]).format


_getter = lru_cache(maxsize=64)(attrgetter)


def _present(record: object, names: Sequence[str]) -> dict[str, object]:
    """Those of the fields that were in the text; at least two are asked for."""
    values = _getter(*names)(record)
    return {name: value for name, value in zip(names, values, strict=True) if value is not None}
