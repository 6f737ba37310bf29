"""The services of a capture: those that its flows belong to, and the busiest end."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.ipvs.states import Flag, flag_of
from analyzer.parts import IN_MEMORY, Dealt, over_stretches, stretches
from analyzer.parts.columns import buckets_of, columns_of
from analyzer.wire.packets import TCP, UDP
from analyzer.wire.segments import VirtualEnd, by_time

if TYPE_CHECKING:
    from collections.abc import Iterable

    from analyzer.arrays import Bools, Ints
    from analyzer.parts import Bucket, Columns, Store
    from analyzer.wire.packets import PacketTable
    from analyzer.wire.segments import Segments

_PORTS = 1 << 16
_TCP_ACK = 0x10
_BYTES = np.arange(256, dtype=np.uint8)
_IS_OPENING = (flag_of(_BYTES) == Flag.SYN) & (_BYTES & _TCP_ACK == 0)
"""Whether a packet with each flag byte is a SYN that acknowledges nothing."""
_BROADCAST = "255.255.255.255"

SERVICE = ["protocol", "vip", "port"]


def services_of(segments: Segments) -> pd.DataFrame:
    """The services that flows belong to, each once, in order of their first flow."""
    parts = [
        segments.flows[SERVICE].iloc[rows].drop_duplicates()
        for rows in stretches(len(segments.flows), segments.store.part_rows)
    ]
    return pd.concat(parts or [segments.flows[SERVICE]]).drop_duplicates()


def service_numbers(flows: pd.DataFrame, services: pd.DataFrame) -> Ints:
    """The place in ``services_of`` of the service of each of some flows."""
    number = np.zeros(len(flows), dtype=np.int64)
    for place, service in enumerate(services.itertuples(index=False, name=None)):
        values = zip(SERVICE, service, strict=True)
        alike = [(flows[name] == value).to_numpy(dtype=bool) for name, value in values]
        number[np.logical_and.reduce(alike)] = place
    return number


_ENDS = ("source", "destination", "source_port", "destination_port")
_READ = ("at_ns", "protocol", "flags", *_ENDS)


def _some(packets: PacketTable, rows: slice) -> Columns:
    return {name: getattr(packets, name)[rows] for name in _READ}


def busiest_end(packets: PacketTable, store: Store = IN_MEMORY) -> VirtualEnd | None:
    """The TCP end that most SYNs go to: for a capture of which nothing else is known.

    Among equals it is the one whose first SYN came first: a director in nat sends each SYN on, so
    before one real server the VIP and it get as many.

    Args:
        packets: all that was captured.
        store: keeps them.
    """
    size, count = len(packets.at_ns), _buckets(packets, store)
    opened = over_stretches(store, size, lambda rows: _opened(_some(packets, rows), rows))
    return _busiest_of(store, count, (_by_end(ends, count) for ends in opened), packets, "TCP")


def _buckets(packets: PacketTable, store: Store) -> int:
    return max(-(-len(packets.at_ns) // store.part_rows), 1)


def _by_end(ends: pd.DataFrame, count: int) -> Dealt:
    columns = columns_of(ends)
    return Dealt(buckets_of([columns["end"]], count), columns)


def _busiest_of(
    store: Store, count: int, dealt: Iterable[Dealt], packets: PacketTable, protocol: str
) -> VirtualEnd | None:
    """The end with the highest number, the first one among equals.

    Args:
        store: keeps the ends meanwhile.
        count: of buckets.
        dealt: ends, each perhaps several times: ``end, n`` and ``_ORDER``, by which the first is.
        packets: whose addresses the ends have.
        protocol: of all ends.
    """
    ends = store.keep(count, dealt)
    best = max(_busiest(ends.bucket(number)) for number in range(count))
    if best == _NO_END:
        return None
    address, port = divmod(best[-1], _PORTS)
    return VirtualEnd(protocol, packets.addresses[address], port)


def _opened(packets: Columns, at: slice) -> pd.DataFrame:
    """The TCP ends that SYNs of some packets go to: how many, and the first, in order of time."""
    rows = np.flatnonzero(_IS_OPENING[packets["flags"]])
    rows = rows[packets["protocol"][rows] == TCP]
    rows = rows[by_time(packets["at_ns"][rows])]
    code, ends = pd.factorize(_end_of(packets, "destination", rows))
    first = rows[np.unique(code, return_index=True)[1]]
    return pd.DataFrame(
        {
            "end": ends,
            "n": np.bincount(code),
            "at_ns": packets["at_ns"][first],
            "row": at.start + first,
            "side": 0,
        }
    )


def _end_of(packets: Columns, side: str, rows: Ints) -> Ints:
    """The address and port at one side of some packets, as one number."""
    return np.asarray(packets[side][rows].astype(np.int64) * _PORTS + packets[f"{side}_port"][rows])


def busiest_datagram_end(packets: PacketTable, store: Store = IN_MEMORY) -> VirtualEnd | None:
    """The UDP end with the most conversations: for a capture of which nothing else is known.

    A conversation is two ends and all that goes between them; multicast and broadcast are none. A
    server has one with each client's port, a client few. Among equals it is the end that the first
    datagram was sent to.

    Args:
        packets: all that was captured.
        store: keeps them.
    """
    is_group = np.array([_is_group(address) for address in packets.addresses], dtype=bool)
    size, count = len(packets.at_ns), _buckets(packets, store)
    found = over_stretches(store, size, lambda rows: _talks(_some(packets, rows), rows, is_group))
    talks = store.keep(count, (_by_pair(part, count) for part in found))
    ends = (_ends(talks.bucket(number)) for number in range(count))
    return _busiest_of(store, count, (_by_end(part, count) for part in ends), packets, "UDP")


_NO_END = (0, 0, 0, 0, 0)
"""How many, and where the first stands, less for later: instant, row, side; and the end."""


def _by_pair(talks: pd.DataFrame, count: int) -> Dealt:
    columns = columns_of(talks)
    return Dealt(buckets_of([columns["low"], columns["high"]], count), columns)


def _talks(packets: Columns, at: slice, is_group: Bools) -> pd.DataFrame:
    """The conversations that some packets are of, by UDP; with the first datagram of each."""
    rows = np.flatnonzero(packets["protocol"] == UDP)
    rows = rows[~is_group[packets["destination"][rows]]]
    rows = rows[by_time(packets["at_ns"][rows])]
    source, target = (_end_of(packets, side, rows) for side in ("source", "destination"))
    talks = pd.DataFrame(
        {
            "low": np.minimum(source, target),
            "high": np.maximum(source, target),
            "source": source,
            "target": target,
            "at_ns": packets["at_ns"][rows],
            "row": at.start + rows,
        }
    )
    return talks.drop_duplicates(["low", "high"])


_TALK = ("low", "high", "source", "target", "at_ns", "row")
_ORDER = ["at_ns", "row", "side"]


def _ends(talks: Bucket) -> pd.DataFrame:
    """The ends of a bucket's conversations: how many each has, and where it first stood."""
    rows = pd.DataFrame(talks.read() or {name: np.zeros(0, np.int64) for name in _TALK})
    rows = rows.sort_values(["at_ns", "row"]).drop_duplicates(["low", "high"])
    both = pd.DataFrame(  # to whom the first datagram was sent is the first of a conversation
        {
            "end": rows[["target", "source"]].to_numpy().ravel(),
            "side": np.tile(np.arange(2), len(rows)),
            "at_ns": np.repeat(rows["at_ns"].to_numpy(), 2),
            "row": np.repeat(rows["row"].to_numpy(), 2),
            "n": 1,
        }
    )
    return _counted(both)


def _counted(rows: pd.DataFrame) -> pd.DataFrame:
    """Each end once, as it first stood, with the conversations of all its rows; in that order."""
    code, _ = pd.factorize(rows["end"].to_numpy())
    counts = np.zeros(int(code.max(initial=-1)) + 1, dtype=np.int64)
    np.add.at(counts, code, rows["n"].to_numpy())
    return rows.drop_duplicates("end").assign(n=counts)


def _busiest(ends: Bucket) -> tuple[int, int, int, int, int]:
    """The end of a bucket that has the most conversations, the earliest among equals."""
    columns = ends.read()
    if not columns:
        return _NO_END
    counted = _counted(pd.DataFrame(columns).sort_values(_ORDER))
    best = counted.iloc[int(counted["n"].to_numpy().argmax())]
    at_ns, row, side = (int(best[name]) for name in _ORDER)
    return int(best["n"]), -at_ns, -row, -side, int(best["end"])


def _is_group(address: str) -> bool:
    read = ip_address(address)
    return read.is_multicast or address == _BROADCAST
