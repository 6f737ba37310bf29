"""Matching of packets that a director in nat forwards with other addresses, in both directions.

The client's end, the flags and the sequence number stay as they are; what was for the VIP goes to
a real server within a moment, and a moment after the real server's reply the VIP's is sent. So the
two sides of a packet find each other whatever the link says of MACs.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from analyzer.ipvs.addresses import host_port
from analyzer.ipvs.states import Flag, flag_of
from analyzer.parts import IN_MEMORY, Dealt, by_stretches, frames_of, stretches
from analyzer.parts.columns import Numbering, named, narrowed
from analyzer.wire.packets import NO_MAC, UDP
from analyzer.wire.segments import (
    SENT_ON_NS,
)
from analyzer.wire.services import services_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analyzer.arrays import Bools, Ints
    from analyzer.parts import Bucket, Columns, Store
    from analyzer.wire.packets import PacketTable
    from analyzer.wire.segments import Segments


NO_PARTNER = -1
_PORTS = 1 << 16
_FLAGS = 8
_SEQUENCES = 1 << 32
_PROTOCOLS = 256

LEG_COLUMNS = {
    "flow": "int64",
    "at_ns": "int64",
    "to_server": "bool",
    "flag": "int8",
    "sequence": "int64",
    "server": "category",
    "source_mac": "int64",
    "partner": "int64",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewriting:
    """The packets between clients and real servers that are a service's, at other addresses.

    Attributes:
        legs: one row per packet, by flow, then time, with ``LEG_COLUMNS``: ``flow`` as in Segments,
            ``to_server`` or from it, ``server`` as ``address:port``, ``partner`` the row of the
            segment that it is the other side of (NO_PARTNER: it was not sent on, or was not sent
            on as such).
        macs: who sends clients' packets on; NO_MAC left out.
        flows: how many flows were seen at both addresses.
        store: what keeps the legs.
    """

    legs: pd.DataFrame
    macs: frozenset[int]
    flows: int
    store: Store = IN_MEMORY

    def parts(self) -> Iterator[pd.DataFrame]:
        """The legs part by part, of whole flows; at least one part."""
        return frames_of(self.store, self.legs)

    def servers(self) -> list[str]:
        """The flows' latest real servers, each once, in order of their first flows."""
        names: dict[str, None] = {}
        for legs in self.parts():
            matched = legs[legs["partner"] != NO_PARTNER]
            latest = matched.drop_duplicates("flow", keep="last")["server"]
            names |= dict.fromkeys(map(str, latest.unique()))
        return list(names)


NOTHING = Rewriting(
    legs=pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in LEG_COLUMNS.items()}),
    macs=frozenset(),
    flows=0,
)


def rewriting(packets: PacketTable, segments: Segments) -> Rewriting:
    """The packets in a capture that were forwarded to other addresses than the VIP.

    Args:
        packets: all that was captured.
        segments: those of the services.
    """
    if len(segments.flow) == 0:
        return NOTHING
    clients = _client_keys(packets, segments)
    rows, first_flows = _parts_of_clients(segments, clients)
    inside = segments.store.deal(
        len(first_flows), _dealt, _stretches(packets, segments, clients, first_flows)
    )
    tasks = (
        (
            inside.bucket(number),
            segments.part(part),
            _clients_of(segments, part, clients),
            part.start,
        )
        for number, part in enumerate(rows)
    )
    writer, macs, flows = segments.store.columns(), frozenset[int](), 0
    for found in segments.store.map(_rewritten, tasks):
        if found.flows:
            writer.append(found.columns)
            macs, flows = macs | found.macs, flows + found.flows
    if not flows:
        return NOTHING
    legs = _legs(writer.finish(), packets, segments.store)
    return Rewriting(legs=legs, macs=macs, flows=flows, store=segments.store)


def _client_keys(packets: PacketTable, segments: Segments) -> Ints:
    """The key of each flow's client address and port."""
    numbers = {address: index for index, address in enumerate(packets.addresses)}

    def keys(rows: slice) -> Ints:
        flows = segments.flows.iloc[rows]
        protocol = np.where(flows["protocol"] == "UDP", UDP, 6).astype(np.int64)
        address = flows["client_ip"].map(numbers).to_numpy(dtype=np.int64)
        port = flows["client_port"].to_numpy(dtype=np.int64)
        return np.asarray(_end_key(address, protocol, port), dtype=np.int64)

    return by_stretches(segments.store, len(segments.flows), keys)


def _parts_of_clients(segments: Segments, clients: Ints) -> tuple[list[slice], Ints]:
    """The rows of each part of whole clients (address and port), and the first flow of each.

    Flows without rows (a masquerading router's) are of the part before them, or of the first.
    """
    starts = [_first_of_client(clients, int(segments.flow[cut.start])) for cut in segments.cuts()]
    first_flows = np.unique(starts)
    first_flows[0] = 0
    bounds = [*np.searchsorted(segments.flow, first_flows).tolist(), len(segments.flow)]
    return [slice(*pair) for pair in pairwise(bounds)], first_flows


def _first_of_client(clients: Ints, flow: int) -> int:
    """The first of the flows of a flow's client, which lie together; any protocol and service."""
    end = _without_protocol(clients[flow])
    while flow and _without_protocol(clients[flow - 1]) == end:
        flow -= 1
    return flow


def _without_protocol(client: Any) -> Any:
    return client // (_PROTOCOLS * _PORTS) * _PORTS + client % _PORTS


def _clients_of(segments: Segments, rows: slice, clients: Ints) -> Ints:
    """The keys of the flows that some rows are of, and of those between them."""
    return clients[segments.flow[rows.start] : segments.flow[rows.stop - 1] + 1]


_READ = (
    *("at_ns", "protocol", "source", "destination", "source_port", "destination_port", "flags"),
    *("sequence", "source_mac", "destination_mac"),
)


def _stretches(
    packets: PacketTable, segments: Segments, clients: Ints, first_flows: Ints
) -> Iterator[tuple[Columns, _Known, Ints]]:
    """What ``_dealt`` takes of some packets at a time."""
    known = _Known.of(packets, segments, clients)
    for rows in stretches(len(packets.at_ns), segments.store.part_rows):
        yield {name: getattr(packets, name)[rows] for name in _READ}, known, first_flows


def _dealt(packets: Columns, known: _Known, first_flows: Ints) -> Dealt:
    """The packets between a service's client and an address that is no service's, by parts."""
    found = _between_clients_and_others(packets, known)
    flow = known.flow_of(found["client"])
    return Dealt(np.searchsorted(first_flows, flow, side="right") - 1, found)


@dataclass(frozen=True, slots=True)
class _Known:
    """The ends of a capture's services.

    Attributes:
        clients: their keys, ascending, each once; shape (clients,).
        flows: a flow of each; shape (clients,); None where they have the same numbers.
        vips: the services' keys.
        is_client: of each address.
    """

    clients: Ints
    flows: Ints | None
    vips: Ints
    is_client: Bools

    @classmethod
    def of(cls, packets: PacketTable, segments: Segments, clients: Ints) -> _Known:
        numbers = {address: index for index, address in enumerate(packets.addresses)}
        flows = services_of(segments)
        vips = _end_key(
            flows["vip"].map(numbers).to_numpy(dtype=np.int64),
            np.where(flows["protocol"] == "UDP", UDP, 6).astype(np.int64),
            flows["port"].to_numpy(dtype=np.int64),
        )
        is_client = np.zeros(len(packets.addresses), dtype=bool)
        for rows in stretches(len(clients), segments.store.part_rows):
            is_client[clients[rows] // (_PROTOCOLS * _PORTS)] = True
        if len(vips) == 1:  # a flow for each client, in their order
            return cls(clients, None, vips, is_client)
        distinct, first = np.unique(clients, return_index=True)
        writer = segments.store.columns()  # long ones are handed to other processes by name
        writer.append({"clients": distinct, "flows": first})
        return cls(**writer.finish(), vips=vips, is_client=is_client)

    def holds(self, ends: Ints) -> Bools:
        """Which ends are clients."""
        row = np.minimum(np.searchsorted(self.clients, ends), len(self.clients) - 1)
        return np.asarray(self.clients[row] == ends)

    def flow_of(self, clients: Ints) -> Ints:
        """A flow of each client."""
        row = np.searchsorted(self.clients, clients)
        return np.asarray(row if self.flows is None else self.flows[row])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """The legs of some clients: ``LEG_COLUMNS``, but ``other``, a number, for ``server``."""

    columns: Columns
    macs: frozenset[int]
    flows: int


def _rewritten(bucket: Bucket, segments: Segments, clients: Ints, first_row: int) -> _Part:
    """The legs of a part's clients.

    Args:
        bucket: packets between these clients and others.
        segments: of the part.
        clients: the client's key of each of the part's flows, from its first to its last.
        first_row: where the part begins among the capture's segments.
    """
    columns = bucket.read()
    if not columns:
        return _Part(columns={}, macs=frozenset(), flows=0)
    inside = pd.DataFrame(columns).sort_values("at_ns", kind="stable", ignore_index=True)
    outside = _keyed(segments, clients[segments.flow - segments.flow[0]])
    forth = _partners(inside[inside["to_server"]], outside[outside["to_vip"]], direction="backward")
    back = _partners(inside[~inside["to_server"]], outside[~outside["to_vip"]], direction="forward")
    inside["partner"] = NO_PARTNER
    for partners in (forth, back):
        inside.loc[partners.index, "partner"] = partners
    inside["partner"] = inside["partner"].where(_sent_on(inside, outside), NO_PARTNER)
    return _part(_of_rewritten(inside, outside), first_row)


def _end_key(address: Any, protocol: Any, port: Any) -> Any:
    return (address * _PROTOCOLS + protocol) * _PORTS + port


def _between_clients_and_others(packets: Columns, known: _Known) -> Columns:
    """Of some packets those between a service's client and an address that is no service's."""
    source, destination = packets["source"], packets["destination"]
    near = np.flatnonzero(known.is_client[source] | known.is_client[destination])
    protocol = packets["protocol"][near].astype(np.int64)
    ports = packets["source_port"][near], packets["destination_port"][near]
    from_end = _end_key(source[near].astype(np.int64), protocol, ports[0])
    to_end = _end_key(destination[near].astype(np.int64), protocol, ports[1])
    forth = ~np.isin(to_end, known.vips)
    forth[forth] = known.holds(from_end[forth])
    back = ~forth & ~np.isin(from_end, known.vips)
    back[back] = known.holds(to_end[back])
    both = forth | back
    chosen, forth = near[both], forth[both]
    is_udp = packets["protocol"][chosen] == UDP
    return {
        "at_ns": packets["at_ns"][chosen],
        "to_server": forth,
        "client": np.where(forth, from_end[both], to_end[both]),
        "other": np.where(forth, to_end[both], from_end[both]),
        "flag": np.where(is_udp, np.int8(Flag.DATAGRAM), flag_of(packets["flags"][chosen])),
        "sequence": packets["sequence"][chosen].astype(np.int64),
        "source_mac": packets["source_mac"][chosen],
        "destination_mac": packets["destination_mac"][chosen],
    }


def _keyed(segments: Segments, client: Ints) -> pd.DataFrame:
    """Segments with their rows and what their other sides have in common with them."""
    return pd.DataFrame(
        {
            "at_ns": segments.at_ns,
            "row": np.arange(len(segments.flow)),
            "flow": segments.flow,
            "to_vip": segments.to_vip,
            "client": client,
            "flag": segments.flag,
            "sequence": np.asarray(segments.sequence, dtype=np.int64),
            "source_mac": segments.source_mac,
            "destination_mac": segments.destination_mac,
        }
    )


def _partners(
    inside: pd.DataFrame, outside: pd.DataFrame, *, direction: Literal["backward", "forward"]
) -> pd.Series:
    """The row of each packet's other side at the VIP; NO_PARTNER for none."""
    if inside.empty or outside.empty:
        return pd.Series(NO_PARTNER, index=inside.index, dtype="int64")
    keys = _packet_keys(inside, outside)
    left = inside[["at_ns"]].assign(key=keys[: len(inside)], index=inside.index)
    right = outside[["at_ns", "row"]].assign(key=keys[len(inside) :])
    matches = pd.merge_asof(
        left,
        right.sort_values("at_ns", kind="stable"),
        on="at_ns",
        by="key",
        direction=direction,
        tolerance=SENT_ON_NS,
    ).set_index("index")
    return matches["row"].fillna(NO_PARTNER).astype("int64")


def _packet_keys(inside: pd.DataFrame, outside: pd.DataFrame) -> Ints:
    """The common key of both sides of a packet: client, flag and sequence number."""
    both = pd.concat([inside, outside])
    client, _ = pd.factorize(both["client"])
    kind = both["flag"].to_numpy(dtype=np.int64) * _SEQUENCES + both["sequence"].to_numpy()
    return np.asarray(client.astype(np.int64) * _FLAGS * _SEQUENCES + kind)


def _sent_on(inside: pd.DataFrame, outside: pd.DataFrame) -> Bools:
    """Which matches are real forwarding: the MAC that forwards is the one that received.

    A datagram has no sequence number: without MACs it counts where both directions are seen.
    """
    row = inside["partner"].to_numpy()
    matched = row != NO_PARTNER
    macs = {
        name: outside[name].to_numpy()[np.maximum(row, 0)]
        for name in ("source_mac", "destination_mac")
    }
    first_from = np.where(inside["to_server"], macs["source_mac"], inside["source_mac"])
    first_to = np.where(inside["to_server"], macs["destination_mac"], inside["destination_mac"])
    then_from = np.where(inside["to_server"], inside["source_mac"], macs["source_mac"])
    known = (first_to != NO_MAC) & (then_from != NO_MAC)
    same = ~known | (first_to == then_from)
    again = (first_from != NO_MAC) & (first_from == then_from)
    chosen = matched & same & ~again
    doubtful = chosen & ~known & (inside["flag"] == Flag.DATAGRAM).to_numpy()
    if doubtful.any():
        chosen &= ~doubtful | _both_ways(inside, chosen)
    return np.asarray(chosen)


def _both_ways(inside: pd.DataFrame, chosen: Bools) -> Bools:
    """Which packets are of a pair of ends with both directions chosen."""
    pairs = inside.assign(forth=chosen & inside["to_server"], back=chosen & ~inside["to_server"])
    seen = pairs.groupby(["client", "other"])[["forth", "back"]].transform("any")
    return np.asarray(seen["forth"] & seen["back"])


def _of_rewritten(inside: pd.DataFrame, outside: pd.DataFrame) -> pd.DataFrame:
    """The packets of all matched pairs of ends, each with its flow."""
    matched = inside[inside["partner"] != NO_PARTNER]
    flow = outside["flow"].to_numpy()[matched["partner"].to_numpy()]
    pairs = matched[["client", "other"]].assign(flow=flow)
    pairs = pairs.drop_duplicates(["client", "other"], keep="last")
    return inside.merge(pairs, on=["client", "other"], how="inner")


def _part(rows: pd.DataFrame, first_row: int) -> _Part:
    """The legs in these rows, in their order."""
    legs = rows.sort_values(["flow", "at_ns"], kind="stable", ignore_index=True)
    matched = legs["partner"] != NO_PARTNER
    sent_on = legs[legs["to_server"] & matched]
    partner = np.where(matched, legs["partner"] + first_row, NO_PARTNER)
    columns = {name: legs[name].to_numpy() for name in LEG_COLUMNS if name != "server"}
    return _Part(
        columns=columns | {"partner": partner, "other": legs["other"].to_numpy()},
        macs=frozenset(sent_on["source_mac"].unique().tolist()) - {NO_MAC},
        flows=int(legs.loc[matched, "flow"].nunique()),
    )


def _legs(columns: Columns, packets: PacketTable, store: Store) -> pd.DataFrame:
    """All parts' legs, with the names of the real servers."""
    ends, others = Numbering(), columns.pop("other")
    codes = by_stretches(store, len(others), lambda rows: ends.numbers_of(others[rows]))
    names = [_end_name(int(end), packets.addresses) for end in ends.numbers]
    servers = named(narrowed(codes, len(names), store), names)
    return pd.DataFrame({**columns, "server": servers}, copy=False)[list(LEG_COLUMNS)]


def _end_name(end: int, addresses: tuple[str, ...]) -> str:
    address, port = addresses[end // (_PROTOCOLS * _PORTS)], end % _PORTS
    return host_port(address, port)
