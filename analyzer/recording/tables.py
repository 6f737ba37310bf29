"""The tables of a recording: their columns, types and units, stated once.

Every instant (``at`` and the like) is Unix time in nanoseconds on the client's clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Mapping

_AT = pa.timestamp("ns", tz="UTC")
_NAME = pa.string()
_INT = pa.int64()
_FLOAT = pa.float64()


def _schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema(list(columns.items()))


TABLES: Mapping[str, pa.Schema] = {
    # One row is one request; an instant that was not reached is null.
    "requests": _schema(
        id=_INT,
        kind=_NAME,  # the request method, or the script that an engine played
        host=_NAME,
        protocol=_NAME,  # TCP, UDP
        vip=_NAME,
        port=_INT,
        scheduled=_AT,  # when it was due
        started=_AT,
        connected=_AT,
        first_byte=_AT,
        ended=_AT,
        source_ip=_NAME,
        source_port=_INT,
        status=_INT,  # HTTP status
        bytes=_INT,  # of the response's body
        error=_NAME,  # null if it succeeded
        failure=_NAME,  # its kind; one of analyzer.client.failures.KINDS
        followed=_INT,  # 1: a redirect that was followed; the next row of the id goes on
        reused=_INT,  # 1: on the connection of the id before it, so it has no connected
        closer=_NAME,  # who closed first: client, server, reset, none
        close=_NAME,  # how it was to end; one of analyzer.forecast.lifetimes.CLOSES
        closed=_AT,  # when we closed our side or left it
        retransmits=_INT,  # of segments, by our kernel (TCP_INFO)
        rtt_us=_INT,  # smoothed round trip (TCP_INFO)
    ),
    # One row is one real server in one poll.
    "services": _schema(
        at=_AT,
        director=_NAME,
        protocol=_NAME,
        vip=_NAME,
        port=_INT,
        fwmark=_INT,
        scheduler=_NAME,
        real_server=_NAME,
        real_port=_INT,
        forwarding=_NAME,  # dr, nat, tun, local
        weight=_INT,
        active=_INT,
        inactive=_INT,
        conns=_INT,
        in_packets=_INT,
        out_packets=_INT,
        in_bytes=_INT,
        out_bytes=_INT,
        cps=_INT,  # of --rate: the kernel's running mean of connections a second
    ),
    # One row is one change of an entry; gone stands at the first poll that missed it.
    "entries": _schema(
        at=_AT,
        director=_NAME,
        change=_NAME,  # appeared, state, gone
        protocol=_NAME,
        state=_NAME,
        expires_s=_INT,
        origin=_NAME,  # LOCAL, SYNC
        client_ip=_NAME,
        client_port=_INT,
        vip=_NAME,
        port=_INT,
        real_server=_NAME,
        real_port=_INT,
    ),
    # One row is an entry of a netfilter director that hides its client, as first read; one that a
    # read missed may have two.
    "masquerades": _schema(
        at=_AT,
        director=_NAME,
        protocol=_NAME,
        client_ip=_NAME,
        client_port=_INT,
        vip=_NAME,
        port=_INT,
        real_server=_NAME,
        real_port=_INT,
        source_ip=_NAME,  # what real servers take for the client
        source_port=_INT,
    ),
    # One row is one poll; with it the table at any poll of entries can be rebuilt.
    "polls": _schema(
        at=_AT,
        director=_NAME,
        what=_NAME,  # services; entries (with services); resizing: of no worth, the table resized
        took_ms=_FLOAT,  # from asked to answered
        entries=_INT,  # lines read; null where entries were not asked for
        offset_ms=_FLOAT,  # this poll's own reading of the boot instant, less boot_at
        uncertainty_ms=_FLOAT,  # of at, by all readings of this boot so far
        asked=_AT,
        director_uptime_s=_FLOAT,
        buckets=_INT,  # of the table of entries: size= of /proc/net/ip_vs
        table_entries=_INT,  # of a netfilter director: nf_conntrack_count
    ),
    "sockets": _schema(at=_AT, host=_NAME, state=_NAME, count=_INT),
    # One row is one datagram of a proof of capacity; one that no real server got is null there.
    "datagrams": _schema(
        due=_AT,
        sent=_AT,
        received=_AT,
        vip=_NAME,
        source_port=_INT,
        real_server=_NAME,
    ),
    # One row is one read of the counters of a lab host's port: what went towards it, and came.
    "links": _schema(at=_AT, host=_NAME, in_bytes=_INT, in_packets=_INT, out_bytes=_INT),
    # One row is something that happened; since: not before this, where at is when it was noticed
    # or over, else null.
    "events": _schema(at=_AT, host=_NAME, kind=_NAME, detail=_NAME, since=_AT),
    # One row is something that happened to a connection that a fail-over holds open.
    "in_flight": _schema(
        at=_AT,
        connection=_INT,
        kind=_NAME,  # download, dialogue, idle
        change=_NAME,  # opened, progress, reset, closed
        bytes=_INT,  # received with it
        source_ip=_NAME,
        source_port=_INT,
    ),
}


def table_of(name: str, columns: Mapping[str, Any] | pa.Table) -> pa.Table:
    """A table of ``TABLES`` from columns, without a Python object per row.

    Args:
        name: the table's.
        columns: by name, arrays of one length (NumPy, masked too, Arrow, or lists); a text or a
            number stands for every row, None and a column that is not named for nulls. At least
            one is an array.

    Raises:
        ValueError: a column that the table has not, arrays of different lengths, values that are
            none of the column's type.
    """
    schema = TABLES[name]
    given = {column: columns[column] for column in _names(columns)}
    unknown = given.keys() - set(schema.names)
    if unknown:
        raise ValueError(f"{name}: there is no column {', '.join(sorted(unknown))}")
    rows = next(len(values) for values in given.values() if not _is_scalar(values))
    return pa.Table.from_arrays(
        [_column(given.get(column.name), column.type, rows) for column in schema], schema=schema
    )


def _names(columns: Mapping[str, Any] | pa.Table) -> list[str]:
    return columns.column_names if isinstance(columns, pa.Table) else list(columns)


def _is_scalar(values: Any) -> bool:
    return values is None or isinstance(values, str | int | float | np.generic)


def _column(values: Any, kind: pa.DataType, rows: int) -> pa.Array | pa.ChunkedArray:
    if values is None:
        return pa.nulls(rows, kind)
    if _is_scalar(values):
        return pa.repeat(pa.scalar(values, kind), rows)
    array = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values)
    return array if array.type == kind else array.cast(kind)


def in_full(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """A stored part with a schema's columns and types; those it was written without are null.

    Raises:
        ValueError: it has none of the columns, or values of another type.
    """
    if not set(schema.names) & set(table.column_names):
        raise ValueError("none of the table's columns")
    held = set(table.column_names)
    columns = [
        _column(table[column.name] if column.name in held else None, column.type, len(table))
        for column in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)
