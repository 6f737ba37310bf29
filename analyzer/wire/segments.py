"""Packets to the segments of virtual services, flow by flow: the order that a replay walks.

A *flow* is what the director hashes an entry by: protocol, client address and port, VIP and port.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analyzer.arrays import is_one_of
from analyzer.ipvs.addresses import CONNECTION_KEY
from analyzer.ipvs.states import Flag, flag_of
from analyzer.parts import IN_MEMORY, Dealt, Rows, cuts, rows_of_flows, stretches
from analyzer.parts.columns import code_type, distinct, named, places
from analyzer.wire.packets import NO_MAC, TCP, UDP

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    import numpy.typing as npt

    from analyzer.arrays import Bools, Ints
    from analyzer.parts import Bucket, Buckets, Columns, Store
    from analyzer.wire.packets import PacketTable


PROTOCOLS = {"TCP": TCP, "UDP": UDP}
_PROTOCOL_NAMES = {number: name for name, number in PROTOCOLS.items()}
_PORTS = 1 << 16

SENT_ON_NS = 50_000_000
"""A host sends a packet on within this time, or not at all; a SYN is repeated after 1 s at the
soonest, a FIN after 0.2 s."""


@dataclass(frozen=True, slots=True, order=True)
class VirtualEnd:
    """The address that clients send to: a virtual service, or a port of a firewall-mark service."""

    protocol: str
    vip: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpHeaders:
    """What else TCP's headers say, which conntrack goes by; every array has shape (n,).

    Attributes:
        flags: the flag byte; 0 of a datagram, as all of these.
        acknowledgement: the number; meaningless without the flag ACK.
        payload_bytes: of data.
        window: not scaled.
        window_scale: of a SYN, by how many bits its sender scales later windows; else, and where
            the options do not say, below 0 (``conntrack.windows``).
    """

    flags: npt.NDArray[np.uint8]
    acknowledgement: npt.NDArray[np.uint32] | Ints
    payload_bytes: npt.NDArray[np.uint16] | Ints
    window: npt.NDArray[np.uint16] | Ints
    window_scale: npt.NDArray[np.int8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Segments:
    """Segments and datagrams of virtual services, ordered by flow, then by time.

    Attributes:
        flow: index into ``flows``; ascending. All arrays have shape (n,).
        at_ns: Unix time, the capturing host's clock.
        to_vip: from the client to the VIP; else a reply.
        flag: what the packet counts as (``Flag``).
        sequence: the TCP sequence number.
        ttl, source_mac, destination_mac: as in PacketTable.
        flows: one row per flow, with ``CONNECTION_KEY``.
        tcp: the rest of their headers; None where nobody goes by it.
        store: what keeps the arrays, and those of what is chosen of them.
    """

    flow: Ints
    at_ns: Ints
    to_vip: Bools
    flag: npt.NDArray[np.int8]
    sequence: npt.NDArray[np.uint32] | Ints
    ttl: npt.NDArray[np.uint8]
    source_mac: Ints
    destination_mac: Ints
    flows: pd.DataFrame
    tcp: TcpHeaders | None = None
    store: Store = IN_MEMORY

    def only(self, chosen: Bools | slice) -> Segments:
        """The chosen rows, in the same order; flows keep their numbers."""
        if isinstance(chosen, slice):
            return self._with({name: array[chosen] for name, array in self._columns().items()})
        if self._all(chosen):
            return self
        writer, columns = self.store.columns(), self._columns()
        tasks = (
            ({name: array[rows] for name, array in columns.items()}, chosen[rows])
            for rows in self.cuts()
        )
        for _ in self.store.fill(writer, _chosen, tasks):
            self.store.release()
        return self._with(writer.finish())

    def cuts(self) -> list[slice]:
        """The rows of each part: of whole flows; at least one where there are rows."""
        return cuts(self.flow, self.store.part_rows)

    def parts(self) -> Iterator[Segments]:
        """The segments part by part, without the table of flows; at least one part."""
        for rows in self.cuts() or [slice(0, 0)]:
            yield self.part(rows)
            self.store.release()

    def part(self, rows: slice) -> Segments:
        """Some rows, without the table of flows."""
        return replace(self.only(rows), flows=NO_FLOWS, store=IN_MEMORY)

    def where(self, test: Callable[[Segments], Bools]) -> Bools:
        """Which rows pass a test that goes by each row alone; shape (n,)."""
        writer = self.store.columns()
        for part in self.parts():
            writer.append({"passes": test(part)})
        return writer.finish()["passes"]

    def rows(self, test: Callable[[Segments], Bools]) -> Ints:
        """The rows that pass such a test, ascending: few of them."""
        parts = zip(self.cuts(), self.parts(), strict=False)
        found = [rows.start + np.flatnonzero(test(part)) for rows, part in parts]
        return np.concatenate([np.zeros(0, dtype=np.int64), *found])

    def of_flows(self, flows: Ints) -> Segments:
        """The rows of some flows, in memory."""
        rows = rows_of_flows(self.flow, flows)
        own = {name: array[rows] for name, array in self._columns().items()}
        return replace(self._with(own), store=IN_MEMORY)

    def any(self, test: Callable[[Segments], Bools]) -> bool:
        """Whether some row passes such a test."""
        return any(bool(test(part).any()) for part in self.parts())

    def span_ns(self) -> tuple[int, int] | None:
        """The first and the last instant; None without rows."""
        if not len(self.at_ns):
            return None
        ends = [(int(part.at_ns.min()), int(part.at_ns.max())) for part in self.parts()]
        return min(first for first, _ in ends), max(last for _, last in ends)

    def starts(self) -> Ints:
        """The row at which each flow begins; shape (flows that have rows,)."""
        if len(self.flow) == 0:
            return np.zeros(0, dtype=np.int64)
        return np.flatnonzero(np.r_[True, self.flow[1:] != self.flow[:-1]])

    def _all(self, chosen: Bools) -> bool:
        rows = stretches(len(chosen), self.store.part_rows)
        return all(bool(chosen[each].all()) for each in rows)

    def _columns(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays with a value for each row, by name; TCP's with their room's name before."""
        own = {name: getattr(self, name) for name in _OWN}
        tcp = {f"tcp.{name}": getattr(self.tcp, name) for name in _OF_TCP} if self.tcp else {}
        return own | tcp

    def _with(self, columns: Mapping[str, npt.NDArray[Any]]) -> Segments:
        own: dict[str, Any] = {name: columns[name] for name in _OWN}
        return replace(self, **own, tcp=_tcp_of(columns))


def _tcp_of(columns: Mapping[str, npt.NDArray[Any]]) -> TcpHeaders | None:
    """The rest of the headers, where the columns have it."""
    values = {name: columns[f"tcp.{name}"] for name in _OF_TCP if f"tcp.{name}" in columns}
    return TcpHeaders(**values) if values else None


def _chosen(columns: Columns, chosen: Bools) -> Rows[None]:
    return Rows({name: array[chosen] for name, array in columns.items()}, None)


_OF_TCP = tuple(field.name for field in fields(TcpHeaders))
_OWN = tuple(
    field.name for field in fields(Segments) if field.name not in ("flows", "tcp", "store")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePackets:
    """Packets of services, in parts of whole flows that are not in order yet.

    Attributes:
        count: of packets.
    """

    count: int
    _buckets: Buckets
    _parts: int
    _names: _FlowNames
    _nothing: Columns
    _store: Store

    def segments(self) -> Segments:
        """The packets in order; only once."""
        store, names = self._store, self._names
        writer, of_flows = store.columns(), store.columns()
        parts = ((self._buckets.bucket(number),) for number in range(self._parts))
        for keys in store.fill(writer, _in_order, parts):
            of_flows.append(names.columns(keys))
        columns = writer.finish() or {"flow": self._nothing["key"], **self._nothing}
        return Segments(
            **{name: columns[name] for name in _OWN},
            flows=names.table(of_flows.finish()),
            tcp=_tcp_of(columns),
            store=store,
        )


def dealt_out(
    packets: PacketTable, ends: Iterable[VirtualEnd], store: Store = IN_MEMORY
) -> ServicePackets:
    """The packets between any client and the given virtual services.

    Args:
        packets: all that was captured; they are not needed any more after it.
        ends: the services.
        store: keeps them.
    """
    known = sorted(set(ends))
    numbers, size = _numbers_of(packets, known), len(packets.at_ns)
    bounds = _bounds(packets, numbers, -(-size // store.part_rows))
    stretch = ((_rows(packets, rows), numbers, bounds) for rows in stretches(size, store.part_rows))
    buckets = store.deal(len(bounds) + 1, _dealt, stretch)
    return ServicePackets(
        count=buckets.rows(),
        _buckets=buckets,
        _parts=len(bounds) + 1,
        _names=_FlowNames(packets.addresses, known),
        _nothing=_of_services(_rows(packets, slice(0, 0)), numbers),
        _store=store,
    )


@dataclass(frozen=True, slots=True)
class _EndNumbers:
    """The services by the numbers that packets have for their addresses.

    Attributes:
        count: of services.
        is_vip: whether an address is one of theirs; shape (addresses,).
        keys: ``_end_key`` and index of those that the capture has.
    """

    count: int
    is_vip: Bools
    keys: tuple[tuple[int, int], ...]


def _numbers_of(packets: PacketTable, known: list[VirtualEnd]) -> _EndNumbers:
    vips = {end.vip for end in known} & set(packets.addresses)
    numbers = {vip: packets.addresses.index(vip) for vip in vips}
    is_vip = np.zeros(len(packets.addresses), dtype=bool)
    is_vip[list(numbers.values())] = True
    keys = tuple(
        (int(_end_key(numbers[end.vip], PROTOCOLS[end.protocol], end.port)), index)
        for index, end in enumerate(known)
        if end.vip in numbers and end.protocol in PROTOCOLS
    )
    return _EndNumbers(len(known), is_vip, keys)


_READ = (
    *("at_ns", "protocol", "source", "destination", "source_port", "destination_port", "flags"),
    *("sequence", "ttl", "source_mac", "destination_mac"),
)
_TCP_READ = tuple(name for name in _OF_TCP if name not in _READ)


def _rows(packets: PacketTable, rows: slice) -> Columns:
    """Some packets, without what they have in common."""
    names = (*_READ, *(_TCP_READ if packets.has_tcp else ()))
    return {name: getattr(packets, name)[rows] for name in names}


def _dealt(packets: Columns, ends: _EndNumbers, bounds: Ints) -> Dealt:
    """Packets of services, each with its part: the keys between two bounds."""
    found = _of_services(packets, ends)
    return Dealt(np.searchsorted(bounds, found["key"], side="right"), found)


def _of_services(packets: Columns, ends: _EndNumbers) -> Columns:
    """Columns of ``Segments`` of those of some packets that are a service's; ``key`` their flow's.

    Flows are in the order of their keys: by client, then by service.
    """
    forth = _ends_at(packets, ends, "destination")
    back = _ends_at(packets, ends, "source")
    chosen = (forth >= 0) | (back >= 0)
    if chosen.all():  # as in most captures: nothing is copied
        here = packets
    else:
        here = {name: column[chosen] for name, column in packets.items()}
        forth, back = forth[chosen], back[chosen]
    to_vip = forth >= 0
    end = np.where(to_vip, forth, back)
    client = np.where(to_vip, here["source"], here["destination"]).astype(np.int64)
    port = np.where(to_vip, here["source_port"], here["destination_port"])
    is_udp, has_tcp = here["protocol"] == UDP, set(_TCP_READ) <= set(here)
    return {
        "key": (client * _PORTS + port) * max(ends.count, 1) + end,
        "at_ns": here["at_ns"],
        "to_vip": to_vip,
        "flag": np.where(is_udp, np.int8(Flag.DATAGRAM), flag_of(here["flags"])),
        "sequence": here["sequence"],
        "ttl": here["ttl"],
        "source_mac": here["source_mac"],
        "destination_mac": here["destination_mac"],
        **({f"tcp.{name}": here[name] for name in _OF_TCP} if has_tcp else {}),
    }


_SAMPLES, _SAMPLED_ROWS = 64, 1024


def _bounds(packets: PacketTable, ends: _EndNumbers, parts: int) -> Ints:
    """The first key of each part but the first, so that they are about equal; ascending.

    A sample shows where they lie; no result depends on it.
    """
    if parts <= 1:
        return np.zeros(0, dtype=np.int64)
    starts = np.linspace(0, max(len(packets.at_ns) - _SAMPLED_ROWS, 0), _SAMPLES).astype(np.int64)
    sampled = [
        _of_services(_rows(packets, slice(start, start + _SAMPLED_ROWS)), ends)["key"]
        for start in np.unique(starts).tolist()
    ]
    keys = np.sort(np.concatenate(sampled))
    if not len(keys):
        return keys
    return np.unique(keys[len(keys) * np.arange(1, parts) // parts])


def _in_order(bucket: Bucket) -> Rows[Ints]:
    """A part's columns by flow, then time, with the flows' numbers; and the flows' keys."""
    columns = bucket.read()
    if not columns:
        return Rows({}, np.zeros(0, dtype=np.int64))
    in_time = by_time(columns["at_ns"])
    flow, flow_keys = _numbered(columns.pop("key")[in_time])
    by_flow = _by_number(flow, len(flow_keys))
    order = in_time[by_flow]
    ordered = {name: column[order] for name, column in columns.items()}
    return Rows({"flow": flow[by_flow]} | ordered, flow_keys, "flow", len(flow_keys))


def _ends_at(packets: Columns, ends: _EndNumbers, side: str) -> npt.NDArray[np.int32]:
    """The index of the virtual end at one side of each of some packets; -1 for none.

    Args:
        packets: columns of them.
        ends: the virtual ones.
        side: "source" or "destination".
    """
    address, port, protocol = packets[side], packets[f"{side}_port"], packets["protocol"]
    found = np.full(len(port), -1, dtype=np.int32)
    rows = np.flatnonzero(ends.is_vip[address])
    wanted = _end_key(address[rows].astype(np.int64), protocol[rows], port[rows])
    for key, index in ends.keys:
        found[rows[wanted == key]] = index
    return found


def _end_key(address: Any, protocol: Any, port: Any) -> Any:
    return (address * 256 + protocol) * _PORTS + port


def by_time(at_ns: Ints) -> Ints:
    """The order of time; most captures are in it already."""
    if (at_ns[1:] >= at_ns[:-1]).all():
        return np.arange(len(at_ns))
    return np.argsort(at_ns, kind="stable")


def _numbered(keys: Ints) -> tuple[Ints, Ints]:
    """Each key's number, and the distinct keys, ascending."""
    code, distinct = pd.factorize(keys)
    order = np.argsort(distinct)
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return rank[code], distinct[order]


def _by_number(numbers: Ints, count: int) -> Ints:
    """The stable order of numbers below ``count``: numpy sorts 16 bits at a time by counting."""
    order = np.argsort((numbers & (_PORTS - 1)).astype(np.uint16), kind="stable")
    if count <= _PORTS:
        return order
    if count > _PORTS**2:
        return np.argsort(numbers, kind="stable")
    return order[np.argsort((numbers[order] >> 16).astype(np.uint16), kind="stable")]


@dataclass(frozen=True, slots=True)
class _FlowNames:
    """The texts of ``Segments.flows``, each once."""

    addresses: tuple[str, ...]
    ends: list[VirtualEnd]

    def columns(self, flow_keys: Ints) -> Columns:
        """Some flows; texts as numbers, as narrow as can be."""
        client, end = np.divmod(flow_keys, max(len(self.ends), 1))
        address, port = np.divmod(client, _PORTS)
        of_end = {
            "protocol": places([each.protocol for each in self.ends]),
            "vip": places([each.vip for each in self.ends]),
            "port": np.array([each.port for each in self.ends], dtype=np.int32),
        }
        return {
            "client_ip": address.astype(code_type(len(self.addresses))),
            "client_port": port.astype(np.int32),
            **{name: values[end] for name, values in of_end.items()},
        }

    def table(self, columns: Columns) -> pd.DataFrame:
        """``Segments.flows``."""
        names = {
            "protocol": distinct([each.protocol for each in self.ends]),
            "client_ip": self.addresses,
            "vip": distinct([each.vip for each in self.ends]),
        }
        texts = {name: named(columns[name], each) for name, each in names.items()}
        return pd.DataFrame({**columns, **texts}, copy=False)[list(CONNECTION_KEY)]


NO_FLOWS = _FlowNames((), []).table(_FlowNames((), []).columns(np.zeros(0, dtype=np.int64)))
"""``Segments.flows`` of a part, whose rows keep the numbers of the whole."""


@dataclass(frozen=True, slots=True)
class Sides:
    """The MACs that send and receive packets of the VIP; ``a | b`` of two parts of a capture.

    Attributes:
        senders, takers: of segments to the VIP.
        repliers: of replies but resets: those a director sends itself, where it has no entry.
        resetters: of resets to the client.
        replied_to: who takes any of both.
    """

    senders: frozenset[int] = frozenset()
    takers: frozenset[int] = frozenset()
    repliers: frozenset[int] = frozenset()
    resetters: frozenset[int] = frozenset()
    replied_to: frozenset[int] = frozenset()

    def __or__(self, other: Sides) -> Sides:
        return Sides(
            self.senders | other.senders,
            self.takers | other.takers,
            self.repliers | other.repliers,
            self.resetters | other.resetters,
            self.replied_to | other.replied_to,
        )

    def forwarders(self) -> frozenset[int]:
        """MACs that must be directors', from the packets alone; empty where not known.

        A MAC that both takes and sends segments to the VIP forwards them. Without one, the capture
        stands at one side: if replies come from somewhere else than where the segments to the VIP
        go, the director is where they go (the client's side, dr or tun); if they come from there
        but go elsewhere than where the segments come from, it is where those come from (a server's
        side). Neither holds where a pair of routers shares a virtual MAC: frames go to that one,
        and come from the MAC of whichever router is active.
        """
        if self.takers & self.senders:
            return self.takers & self.senders
        if any(map(is_virtual_router, self.takers | self.replied_to)):
            return frozenset()
        repliers = self.repliers or self.resetters
        if repliers and not repliers & self.takers:
            return self.takers
        if repliers and self.replied_to and not self.replied_to & self.senders:
            return self.senders
        return frozenset()


_VIRTUAL_ROUTERS = (
    (0x00005E0001, 8),  # VRRP for IPv4 (RFC 9568), also keepalived's use_vmac
    (0x00005E0002, 8),  # VRRP for IPv6
    (0x00000C07AC, 8),  # HSRP
    (0x00000C9FF, 12),  # HSRP version 2
    (0x000573A00, 12),  # HSRP for IPv6
    (0x0007B4, 24),  # GLBP
)
"""Leading digits of the MACs that routers share, and how many bits follow."""


def is_virtual_router(mac: int) -> bool:
    """Whether a MAC is one that a pair of routers shares."""
    return any(mac >> bits == leading for leading, bits in _VIRTUAL_ROUTERS)


def sides(segments: Segments) -> Sides:
    """The MACs that send and receive these segments, as far as the link shows them."""
    found = segments.store.map(_sides, ((part,) for part in segments.parts()))
    return reduce(or_, found)


def _sides(segments: Segments) -> Sides:
    forth, back = segments.to_vip, ~segments.to_vip
    is_reset = segments.flag == Flag.RST
    return Sides(
        senders=_distinct(segments.source_mac[forth]),
        takers=_distinct(segments.destination_mac[forth]),
        repliers=_distinct(segments.source_mac[back & ~is_reset]),
        resetters=_distinct(segments.source_mac[back & is_reset]),
        replied_to=_distinct(segments.destination_mac[back]),
    )


def forwarders(segments: Segments) -> frozenset[int]:
    """``Sides.forwarders`` of a whole capture."""
    return sides(segments).forwarders()


def _distinct(macs: Ints) -> frozenset[int]:
    return frozenset(pd.unique(macs).tolist()) - {NO_MAC}


def passed(segments: Segments, macs: Collection[int]) -> Bools:
    """Which segments passed the director that has these MACs, each once.

    Segments to the VIP count as they arrive at it; where the capture has none of those, as they
    leave it (a server's side). Replies count as they leave it, with the VIP as their source.
    """
    known, arrive = list(macs), arrives(segments, macs)

    def test(part: Segments) -> Bools:
        sent = is_one_of(part.source_mac, known)
        return (
            np.where(part.to_vip, is_one_of(part.destination_mac, known), sent) if arrive else sent
        )

    return segments.where(test)


def arrives(segments: Segments, macs: Collection[int]) -> bool:
    """Whether the capture shows segments as they arrive at one of these MACs."""
    known = list(macs)
    return segments.any(lambda part: part.to_vip & is_one_of(part.destination_mac, known))


def without_copies(segments: Segments, macs: Collection[int]) -> Bools:
    """Each segment once: not the copy that a director with one of these MACs sends on.

    Args:
        segments: a capture's.
        macs: the directors'.
    """
    if not arrives(segments, macs):
        return np.ones(len(segments.flow), dtype=bool)
    known = list(macs)
    return segments.where(lambda part: ~(part.to_vip & is_one_of(part.source_mac, known)))
