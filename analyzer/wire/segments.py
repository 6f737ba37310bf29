"""Packets to the segments of virtual services, flow by flow: the order that a replay walks.

A *flow* is what the director hashes an entry by: protocol, client address and port, VIP and port.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.ipvs.states import Flag, flag_of
from analyzer.wire.packets import NO_MAC, TCP, UDP

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    import numpy.typing as npt

    from analyzer.wire.packets import PacketTable

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]

PROTOCOLS = {"TCP": TCP, "UDP": UDP}
_PROTOCOL_NAMES = {number: name for name, number in PROTOCOLS.items()}
_PORTS = 1 << 16
_TCP_ACK = 0x10

FLOW_COLUMNS = ("protocol", "client_ip", "client_port", "vip", "port")


@dataclass(frozen=True, slots=True, order=True)
class VirtualEnd:
    """Where clients send to: one virtual service, or one port of a firewall-mark service."""

    protocol: str
    vip: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Segments:
    """Segments and datagrams of virtual services, ordered by flow, then by time.

    Attributes:
        flow: index into ``flows``; ascending. All arrays have shape (n,).
        at_ns: Unix time, the capturing host's clock.
        to_vip: from the client to the VIP; else a reply.
        flag: what the packet counts as (``Flag``).
        sequence: the TCP sequence number.
        source_mac, destination_mac: as numbers; NO_MAC where the link has none.
        flows: one row per flow, with ``FLOW_COLUMNS``.
    """

    flow: Ints
    at_ns: Ints
    to_vip: Bools
    flag: npt.NDArray[np.int8]
    sequence: Ints
    source_mac: Ints
    destination_mac: Ints
    flows: pd.DataFrame

    def only(self, chosen: Bools) -> Segments:
        """The chosen rows, in the same order; flows keep their numbers."""
        arrays = {
            field.name: getattr(self, field.name)[chosen]
            for field in fields(self)
            if field.name != "flows"
        }
        return replace(self, **arrays)

    def starts(self) -> Ints:
        """The row at which each flow begins; shape (flows that have rows,)."""
        if len(self.flow) == 0:
            return np.zeros(0, dtype=np.int64)
        return np.flatnonzero(np.r_[True, np.diff(self.flow) != 0])


def service_segments(packets: PacketTable, ends: Iterable[VirtualEnd]) -> Segments:
    """The packets between any client and the given virtual services."""
    known = sorted(set(ends))
    keys = np.array([_end_key(packets, end) for end in known], dtype=np.int64)
    order = np.argsort(keys)
    forth = _lookup(keys[order], packets.protocol, packets.destination, packets.destination_port)
    back = _lookup(keys[order], packets.protocol, packets.source, packets.source_port)
    rows = np.flatnonzero((forth >= 0) | (back >= 0))
    to_vip = forth[rows] >= 0
    end = order[np.where(to_vip, forth[rows], back[rows])] if len(known) else rows
    client = np.where(to_vip, packets.source[rows], packets.destination[rows])
    client_port = np.where(to_vip, packets.source_port[rows], packets.destination_port[rows])
    flow_key = (client * _PORTS + client_port) * max(len(known), 1) + end
    by_time = np.argsort(packets.at_ns[rows], kind="stable")
    by_flow = by_time[np.argsort(flow_key[by_time], kind="stable")]
    flow_keys, flow = np.unique(flow_key[by_flow], return_inverse=True)
    rows, to_vip = rows[by_flow], to_vip[by_flow]
    return Segments(
        flow=flow.astype(np.int64),
        at_ns=packets.at_ns[rows],
        to_vip=to_vip,
        flag=np.where(
            packets.protocol[rows] == UDP, np.int8(Flag.DATAGRAM), flag_of(packets.flags[rows])
        ),
        sequence=packets.sequence[rows],
        source_mac=packets.source_mac[rows],
        destination_mac=packets.destination_mac[rows],
        flows=_flow_table(packets, flow_keys, known),
    )


def busiest_end(packets: PacketTable) -> VirtualEnd | None:
    """The TCP end that most SYNs go to: for a capture of which nothing else is known."""
    begins = (packets.protocol == TCP) & (flag_of(packets.flags) == Flag.SYN)
    begins &= (packets.flags & _TCP_ACK) == 0
    if not begins.any():
        return None
    ends = packets.destination[begins] * _PORTS + packets.destination_port[begins]
    values, counts = np.unique(ends, return_counts=True)
    address, port = divmod(int(values[np.argmax(counts)]), _PORTS)
    return VirtualEnd("TCP", packets.addresses[address], port)


def _end_key(packets: PacketTable, end: VirtualEnd) -> int:
    """One number per virtual end; -1 for one that the capture does not hold."""
    if end.vip not in packets.addresses or end.protocol not in PROTOCOLS:
        return -1
    address = packets.addresses.index(end.vip)
    return (address * 256 + PROTOCOLS[end.protocol]) * _PORTS + end.port


def _lookup(keys: Ints, protocol: npt.NDArray[np.uint8], address: Ints, port: Ints) -> Ints:
    """Which of the sorted keys each packet's end is; -1 for none."""
    if len(keys) == 0:
        return np.full(len(port), -1, dtype=np.int64)
    wanted = (address * 256 + protocol) * _PORTS + port
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, at, -1)


def _flow_table(packets: PacketTable, flow_keys: Ints, ends: list[VirtualEnd]) -> pd.DataFrame:
    client, end = np.divmod(flow_keys, max(len(ends), 1))
    address, port = np.divmod(client, _PORTS)
    columns = {
        "protocol": pd.Series([ends[index].protocol for index in end.tolist()], dtype="string"),
        "client_ip": pd.Series(
            np.array([*packets.addresses, ""], dtype=object)[address], dtype="string"
        ),
        "client_port": port,
        "vip": pd.Series([ends[index].vip for index in end.tolist()], dtype="string"),
        "port": np.array([ends[index].port for index in end.tolist()], dtype=np.int64),
    }
    return pd.DataFrame(columns)


def forwarders(segments: Segments) -> frozenset[int]:
    """MACs that must be directors', from the wire alone; empty where it cannot be told.

    A MAC that both takes and sends segments to the VIP forwards them. Without one, the capture
    stands at one side: if replies come from somewhere else than where the segments to the VIP go,
    the director is where they go (the client's side, dr or tun); if they come from there but go
    elsewhere than where the segments come from, it is where those come from (a server's side).
    """
    known = (segments.source_mac != NO_MAC) & (segments.destination_mac != NO_MAC)
    forth, back = known & segments.to_vip, known & ~segments.to_vip
    takers = set(np.unique(segments.destination_mac[forth]).tolist())
    senders = set(np.unique(segments.source_mac[forth]).tolist())
    if takers & senders:
        return frozenset(takers & senders)
    repliers = set(np.unique(segments.source_mac[back]).tolist())
    replied_to = set(np.unique(segments.destination_mac[back]).tolist())
    if repliers and not repliers & takers:
        return frozenset(takers)
    if repliers and replied_to and not replied_to & senders:
        return frozenset(senders)
    return frozenset()


def translators(packets: PacketTable, segments: Segments) -> frozenset[int]:
    """MACs that send clients' packets on to another address than the VIP: directors in nat.

    A capture on a director's link shows both; the client's ends stay as they are.
    """
    takers = np.unique(segments.destination_mac[segments.to_vip])
    ends = segments.flows[["client_ip", "client_port"]].drop_duplicates()
    numbers = {address: index for index, address in enumerate(packets.addresses)}
    clients = ends["client_ip"].map(numbers).to_numpy(dtype=np.int64) * _PORTS
    from_client = np.isin(
        packets.source * _PORTS + packets.source_port, clients + ends["client_port"].to_numpy()
    )
    vips = [numbers[vip] for vip in segments.flows["vip"].unique()]
    elsewhere = from_client & ~np.isin(packets.destination, vips)
    found = np.unique(packets.source_mac[elsewhere & np.isin(packets.source_mac, takers)])
    return frozenset(found[found != NO_MAC].tolist())


def passed(segments: Segments, macs: Collection[int]) -> Bools:
    """Which segments passed the director that has these MACs, each once.

    Segments to the VIP count as they arrive at it; where the capture has none of those, as they
    leave it (a server's side). Replies count as they leave it, with the VIP as their source.
    """
    mine = list(macs)
    arriving = segments.to_vip & np.isin(segments.destination_mac, mine)
    leaving = segments.to_vip & np.isin(segments.source_mac, mine)
    replies = ~segments.to_vip & np.isin(segments.source_mac, mine)
    return (arriving if arriving.any() else leaving) | replies


def without_copies(segments: Segments, macs: Collection[int]) -> Bools:
    """Each segment once: not the copy that a director with one of these MACs sends on."""
    sent_on = segments.to_vip & np.isin(segments.source_mac, list(macs))
    arrives = segments.to_vip & np.isin(segments.destination_mac, list(macs))
    return ~sent_on if arrives.any() else np.ones(len(segments.flow), dtype=bool)
