"""A parsed text of ipvsadm or ``/proc/net/ip_vs*`` as tables, all numbers in one notation.

Texts have half a million rows, so the work goes by columns, a thousand rows at a time: a loop over
a column costs little per row, and no more cells than a block's are held.
"""

from __future__ import annotations

from dataclasses import fields
from functools import lru_cache
from itertools import accumulate, chain, pairwise, repeat
from operator import attrgetter
from typing import TYPE_CHECKING, TypeVar

from analyzer.ipvs.addresses import bracketed
from analyzer.ipvs.ipvsadm.model import Destination

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from analyzer.ipvs.ipvsadm import ParsedText
    from analyzer.ipvs.ipvsadm.model import Connection, End, Service

    Column = Sequence[object]

Row = TypeVar("Row")

STATS = ("conns", "inpkts", "outpkts", "inbytes", "outbytes")
COUNTERS = (*STATS, "cps", "inpps", "outpps", "inbps", "outbps")
ENTRY = (
    *("proto", "expire_s", "state", "source", "virtual", "destination"),
    *("origin", "pe_name", "pe_data"),
)
_VALUES = Destination.__struct_fields__[3:]  # after the end
SERVER = ("  -> real server", *_VALUES)
_ROWS = 1000
"""Of a table, whose cells are held at a time."""


def lines_of(parsed: ParsedText) -> Iterator[str]:
    """The lines, without newlines; as untrusted as the text was."""
    return chain.from_iterable(_blocks(parsed))


def _blocks(parsed: ParsedText) -> Iterator[Iterable[str]]:
    if parsed.header:
        size = "" if parsed.header.size is None else f", {parsed.header.size} buckets"
        yield [f"IPVS {parsed.header.version}{size}"]
    for services in _groups(parsed.services):
        yield from _services(services)
    yield from _table(parsed.connections, ENTRY, _entry_columns)
    yield _single_values(parsed)
    if parsed.error:
        yield [f"error: {parsed.error}"]


def _groups(services: Sequence[Service]) -> Iterator[Sequence[Service]]:
    """Services that have about a thousand real servers; one of very many stands alone."""
    start = rows = 0
    for at, service in enumerate(services):
        size = 1 + len(service.destinations)
        if rows and rows + size > _ROWS:
            yield services[start:at]
            start, rows = at, 0
        rows += size
    yield services[start:]


def _services(services: Sequence[Service]) -> Iterator[Iterable[str]]:
    """Each service's line, and the table of its real servers below it."""
    heads = _heads(services)
    servers = list(chain.from_iterable(service.destinations for service in services))
    if not servers:
        yield heads
        return
    sizes = [len(service.destinations) for service in services]
    alike = _alike_columns(servers) if len(servers) <= _ROWS else None
    if alike:
        yield _beside_one_another(heads, sizes, alike)
        return
    for head, service in zip(heads, services, strict=True):
        yield [head]
        yield from _table(service.destinations, SERVER, _server_columns)


def _beside_one_another(
    heads: Iterable[str], sizes: Sequence[int], columns: dict[str, list[str]]
) -> Iterator[str]:
    """The tables of several services whose rows all fill the same columns, made at once.

    Args:
        heads: the services' lines.
        sizes: how many rows each table has.
        columns: the cells of all tables, one below the other.
    """
    bounds = list(pairwise(accumulate(sizes, initial=0)))
    widths: list[list[int]] = []
    padded: list[Iterable[str]] = []
    for name, column in columns.items():
        lengths = list(map(len, column))
        of_tables = [max(lengths[start:end], default=0) for start, end in bounds]
        widths.append([max(len(name), width) for width in of_tables])
        of_rows = chain.from_iterable(map(repeat, widths[-1], sizes))
        padded.append(map(str.ljust, column, of_rows))
    rows = _joined(padded)
    titles = map(_title, repeat(tuple(columns)), zip(*widths, strict=True))
    for head, title, (start, end) in zip(heads, titles, bounds, strict=True):
        yield head
        if start < end:
            yield title
            yield from rows[start:end]


def _heads(services: Sequence[Service]) -> list[str]:
    """Each service in one line, its counters behind it."""
    columns: list[Sequence[str | None]] = [
        [service.protocol for service in services],
        [service.match for service in services],
        [None if service.fwmark is None else _mark(service) for service in services],
        [
            f"{service.address}:{service.port}"
            if service.address and ":" not in service.address and service.port is not None
            else _address(service)
            for service in services
        ],
        [service.scheduler for service in services],
        [service.flags for service in services],
        [None if service.persistent_s is None else _persistence(service) for service in services],
    ]
    for name in COUNTERS:
        values = list(map(_getter(name), services))
        if values.count(None) < len(values):
            columns.append([None if each is None else f"{name} {each}" for each in values])
    filled = [column for column in columns if any(column)]
    if all(map(all, filled)):
        return list(map(" ".join, zip(*filled, strict=True)))
    return [" ".join(filter(None, row)) for row in zip(*filled, strict=True)]


def _mark(service: Service) -> str:
    return f"{service.fwmark} {service.family or ''}".strip()


def _address(service: Service) -> str | None:
    return None if service.address is None else _end(service.address, service.port)


def _persistence(service: Service) -> str | None:
    """The seconds, where the flags do not say them."""
    seconds = service.persistent_s
    if seconds is None or f"persistent {seconds}" in (service.flags or ""):
        return None
    return f"persistent_s {seconds}"


def _server_columns(servers: Sequence[Destination]) -> list[Column]:
    """The values of ``SERVER``."""
    ends = [
        f"  -> {server.address}:{server.port}"
        if server.port is not None and ":" not in server.address
        else f"  -> {_end(server.address, server.port)}"
        for server in servers
    ]
    return [ends, *zip(*map(_getter(*_VALUES), servers), strict=True)]


def _alike_columns(servers: Sequence[Destination]) -> dict[str, list[str]] | None:
    """The cells, if each column is filled by all rows or by none."""
    columns = dict(zip(SERVER, _server_columns(servers), strict=True))
    empty = {name: column.count(None) for name, column in columns.items()}
    if not {0, len(servers)}.issuperset(empty.values()):
        return None
    return {name: list(map(str, columns[name])) for name, none in empty.items() if not none}


def _entry_columns(entries: Sequence[Connection]) -> list[Column]:
    """The values of ``ENTRY``."""
    return [
        [entry.proto for entry in entries],
        [entry.expire_s for entry in entries],
        [entry.state for entry in entries],
        _ends([entry.source for entry in entries]),
        _ends([entry.virtual for entry in entries]),
        _ends([entry.destination for entry in entries]),
        [entry.origin for entry in entries],
        [entry.pe_name for entry in entries],
        [entry.pe_data for entry in entries],
    ]


def _ends(ends: Iterable[End]) -> list[str]:
    return [
        f"{end.address}:{end.port}"
        if end.port is not None and ":" not in end.address
        else _end(end.address, end.port)
        for end in ends
    ]


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
    rows: Sequence[Row], names: Sequence[str], columns: Callable[[Sequence[Row]], Sequence[Column]]
) -> Iterator[Iterable[str]]:
    """Rows below one another, with the columns that any of them fills.

    The cells of a long table are made twice: all of them would take more memory than its rows.
    """
    if not rows:
        return
    blocks = [rows[at : at + _ROWS] for at in range(0, len(rows), _ROWS)]
    widths: dict[str, int] = {}
    cells: dict[str, list[str]] = {}
    for block in blocks:
        cells = _cells(names, columns(block))
        for name, column in cells.items():
            widths[name] = max(widths.get(name, len(name)), max(map(len, column)))
    yield [_title(tuple(widths), tuple(widths.values()))]
    for block in blocks:
        shown = cells if len(blocks) == 1 else _cells(names, columns(block))
        empty = [""] * len(block)
        padded = (
            map(str.ljust, shown.get(name, empty), repeat(width)) for name, width in widths.items()
        )
        yield _joined(padded)


def _joined(columns: Iterable[Iterable[str]]) -> list[str]:
    """The lines of columns whose cells are as wide as one another."""
    return list(map(str.rstrip, map("  ".join, zip(*columns, strict=True))))


@lru_cache(maxsize=1024)
def _title(names: tuple[str, ...], widths: tuple[int, ...]) -> str:
    return "  ".join(map(str.ljust, names, widths)).rstrip()


def _cells(names: Sequence[str], columns: Sequence[Column]) -> dict[str, list[str]]:
    """The columns that any row fills, in the order in which rows first do."""
    named = list(zip(names, columns, strict=True))
    filled = [(name, column) for name, column in named if column[0] is not None]
    later = [
        (name, column)
        for name, column in named
        if column[0] is None and column.count(None) < len(column)
    ]
    filled += sorted(later, key=lambda each: _first(each[1]))
    return {name: _texts(column) for name, column in filled}


def _first(column: Column) -> int:
    """Which row is the first that fills a column."""
    return next(at for at, value in enumerate(column) if value is not None)


def _texts(column: Column) -> list[str]:
    if None in column:
        return ["" if value is None else str(value) for value in column]
    return list(map(str, column))


_getter = lru_cache(maxsize=64)(attrgetter)


def _present(record: object, names: Sequence[str]) -> dict[str, object]:
    """Those of the fields that were in the text; at least two are asked for."""
    values = _getter(*names)(record)
    return {name: value for name, value in zip(names, values, strict=True) if value is not None}
