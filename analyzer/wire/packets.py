"""Captures to a table of TCP segments and UDP datagrams, with the hosts on the link.

Nothing loops over packets. What is not understood is counted by kind, not dropped in silence.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from analyzer.parts import IN_MEMORY, Dealt, Rows, over_stretches, stretches
from analyzer.parts.columns import buckets_of
from analyzer.wire.addresses import shared
from analyzer.wire.capture.files import CHUNK_BYTES, chunks_of
from analyzer.wire.capture.links import NO_MAC, THIS_HOST
from analyzer.wire.capture.network import SKIPPED, TCP, UDP
from analyzer.wire.decode import decoded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from analyzer.arrays import Bools, Ints
    from analyzer.parts import Columns, Store
    from analyzer.parts.inputs import Content
    from analyzer.wire.capture.frames import Chunk
    from analyzer.wire.decode import Decoded

    UInt8s = npt.NDArray[np.uint8]
    Indices = npt.NDArray[np.int32]
    Ports = npt.NDArray[np.uint16]

__all__ = [
    "NO_MAC",
    "TCP",
    "THIS_HOST",
    "UDP",
    "CaptureFacts",
    "PacketTable",
    "mac_number",
    "read_packets",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureFacts:
    """What captures say beside each packet.

    Attributes:
        addresses: every address that occurs, as text; IPv4 before IPv6, each in order of number.
        neighbours: MAC to IPv4 address, from ARP senders and VRRP advertisements.
        host_macs: the MACs that THIS_HOST stands for, as far as it sent anything.
        skipped: what else the captures held, by the kinds of ``network.SKIPPED``.
        unread: bytes at the end of files, after the last whole record of each.
    """

    addresses: tuple[str, ...]
    neighbours: Mapping[int, str]
    host_macs: frozenset[int]
    skipped: Mapping[str, int]
    unread: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PacketTable(CaptureFacts):
    """Segments and datagrams in the order of the capture; every array has shape (n,).

    Attributes:
        at_ns: Unix time, the capturing host's clock.
        protocol: TCP or UDP, by their IP protocol numbers.
        source, destination: indices into ``addresses``.
        flags: the TCP flag byte; 0 of a datagram.
        sequence: the TCP number; 0 of a datagram.
        ttl: the time to live (IPv4), or hop limit (IPv6).
        source_mac, destination_mac: as 48-bit numbers, NO_MAC where the link has none; THIS_HOST
            where the link says that the capturing host sent or took it, whatever its interface.
        acknowledgement, payload_bytes, window, window_scale: as in ``segments.TcpHeaders``; None
            where they were not asked for.
    """

    at_ns: Ints
    protocol: UInt8s
    source: Indices
    destination: Indices
    source_port: Ports
    destination_port: Ports
    flags: UInt8s
    sequence: npt.NDArray[np.uint32]
    ttl: UInt8s
    source_mac: Ints
    destination_mac: Ints
    acknowledgement: npt.NDArray[np.uint32] | None = None
    payload_bytes: npt.NDArray[np.uint16] | None = None
    window: npt.NDArray[np.uint16] | None = None
    window_scale: npt.NDArray[np.int8] | None = None

    @property
    def has_tcp(self) -> bool:
        """Whether what only ``segments.TcpHeaders`` has was read."""
        return self.window is not None

    def facts(self) -> CaptureFacts:
        """The rest, without the packets."""
        names = (field.name for field in fields(CaptureFacts))
        return CaptureFacts(**{name: getattr(self, name) for name in names})


def mac_number(mac: str) -> int:
    """``02:00:00:00:00:11`` as in ``PacketTable.source_mac``; ValueError if it is not one."""
    return int(mac.replace(":", ""), 16)


def read_packets(
    *captures: Content,
    chunk_bytes: int = CHUNK_BYTES,
    store: Store = IN_MEMORY,
    tcp: bool = True,
) -> PacketTable:
    """The segments and datagrams of capture files, one after another, as one table.

    Args:
        captures: the files.
        chunk_bytes: how much is decoded at once.
        store: keeps the columns.
        tcp: whether to read what only ``segments.TcpHeaders`` has.

    Raises:
        ParseError: neither pcap nor pcapng.
    """
    writer, chunks = store.columns(), []
    packets, read_bytes, size_bytes = 0, 0, sum(map(len, captures))
    store.reading(0, 0.0)  # from now on: how fast it goes is reckoned from here
    tasks = ((chunk.alone(),) for chunk in _chunks_of(captures, chunk_bytes))
    for chunk in store.fill(writer, partial(decoded, tcp=tcp), tasks):
        chunks.append(chunk)
        packets, read_bytes = packets + chunk.frames, read_bytes + chunk.read_bytes
        store.reading(packets, read_bytes / max(size_bytes, 1))
        store.release()
    columns = writer.finish()
    addresses, numbers = shared([chunk.book for chunk in chunks])
    columns |= _numbered(columns, [chunk.rows for chunk in chunks], numbers, store)
    tunnelled = columns.pop("tunnelled")
    return _once(_table(chunks, columns, addresses), tunnelled, store)


def _chunks_of(captures: Iterable[Content], chunk_bytes: int) -> Iterator[Chunk]:
    for content in captures:
        yield from chunks_of(content, chunk_bytes)


def _numbered(
    columns: Columns, sizes: Sequence[int], numbers: Sequence[Indices], store: Store
) -> Columns:
    """Sources and destinations by the numbers that all chunks have in common.

    Args:
        columns: of all chunks.
        sizes: the rows of each chunk.
        numbers: of each chunk's book.
        store: keeps the columns.
    """
    writer, names = store.columns(), ("source", "destination")
    ends = np.cumsum(sizes).tolist()
    tasks = (
        (number, {name: columns[name][first:last] for name in names})
        for first, last, number in zip([0, *ends[:-1]], ends, numbers, strict=True)
    )
    for _ in store.fill(writer, _renumbered, tasks):
        store.release()
    return writer.finish()


def _renumbered(number: Indices, columns: Columns) -> Rows[None]:
    return Rows({name: number[column] for name, column in columns.items()}, None)


def _table(
    chunks: Sequence[Decoded], columns: Mapping[str, Any], addresses: tuple[str, ...]
) -> PacketTable:
    """The chunks as one table."""
    neighbours: dict[int, str] = {}
    skipped = Counter(dict.fromkeys(SKIPPED, 0))
    for chunk in chunks:
        neighbours |= chunk.neighbours
        skipped.update(chunk.skipped)
    return PacketTable(
        **columns,
        addresses=addresses,
        neighbours=neighbours,
        host_macs=frozenset().union(*(chunk.host_macs for chunk in chunks)),
        skipped=dict(skipped),
        unread=sum(chunk.unread for chunk in chunks),
    )


def _once(table: PacketTable, tunnelled: Bools, store: Store) -> PacketTable:
    """Without what came in a tunnel, where its connection was also seen outside.

    A director that captures sees a packet come, and sees the same one leave in a tunnel.
    """
    if not tunnelled.any():
        return table
    size = len(tunnelled)
    parts = over_stretches(
        store, size, lambda rows: np.unique(_hosts(table, rows)[tunnelled[rows]])
    )
    pairs = np.unique(np.concatenate(list(parts)))
    count = max(-(-size // store.part_rows), 1)
    dealt = over_stretches(
        store, size, lambda rows: _by_direction(table, tunnelled, rows, pairs, count)
    )
    buckets, left, copies = store.keep(count, dealt), np.ones(size, dtype=bool), 0
    for number in range(count):
        if columns := buckets.bucket(number).read():
            direction, is_inside = columns["direction"], columns["tunnelled"]
            again = is_inside & np.isin(direction, direction[~is_inside])
            left[columns["row"][again]] = False
            copies += int(again.sum())
    writer = store.columns()
    for rows in stretches(len(tunnelled), store.part_rows):
        writer.append({name: getattr(table, name)[rows][left[rows]] for name in _columns(table)})
        store.release()
    skipped = {**table.skipped, "copies in a tunnel": copies}
    return replace(table, **cast("dict[str, Any]", writer.finish()), skipped=skipped)


def _by_direction(
    table: PacketTable, tunnelled: Bools, rows: slice, pairs: Ints, count: int
) -> Dealt:
    """Some packets between hosts that a tunnel was seen of, by protocol and ends."""
    direction = _directions(table, rows, pairs)
    near = np.flatnonzero(direction >= 0)
    columns = {
        "row": rows.start + near,
        "direction": direction[near],
        "tunnelled": tunnelled[rows][near],
    }
    return Dealt(buckets_of([columns["direction"]], count), columns)


def _hosts(table: PacketTable, rows: slice) -> Ints:
    """A number for the source and destination of each packet."""
    return table.source[rows].astype(np.int64) * len(table.addresses) + table.destination[rows]


def _directions(table: PacketTable, rows: slice, pairs: Ints) -> Ints:
    """A number for the protocol and both ends of each packet; -1 of hosts not among ``pairs``."""
    hosts = _hosts(table, rows)
    number = np.minimum(np.searchsorted(pairs, hosts), len(pairs) - 1)
    ports = table.source_port[rows].astype(np.int64) << 16 | table.destination_port[rows]
    protocol = table.protocol[rows].astype(np.int64)
    return np.where(pairs[number] == hosts, (number << 40) | (protocol << 32) | ports, -1)


def _columns(table: PacketTable) -> list[str]:
    """The names of the arrays with a value for each packet."""
    names = (column.name for column in fields(PacketTable))
    return [name for name in names if isinstance(getattr(table, name), np.ndarray)]
