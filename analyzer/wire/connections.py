"""Segments to connections of one service: who closed first, who answered, what passed where.

Rows are kept in the order (client address, client port, time): the segments of one 4-tuple lie
side by side, which is how both this module and the replay walk them.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.ipvs.states import Flag, flag_of
from analyzer.wire.pcap import address_number

if TYPE_CHECKING:
    import numpy.typing as npt

    from analyzer.wire.pcap import PacketTable

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Segments:
    """One service's segments, ordered by 4-tuple, then by time; every array has shape (n,).

    Attributes:
        client: client address << 16 | client port, which is the 4-tuple for a given service.
        to_vip: from the client to the VIP; else a reply.
        peer_mac: the other end of the frame on the client's link: for a segment to the VIP who
            takes it (the director), for a reply who sent it (in dr the real server).
    """

    at_ns: Ints
    client: Ints
    to_vip: Bools
    flag: npt.NDArray[np.int8]
    sequence: Ints
    peer_mac: Ints

    def only(self, chosen: Bools) -> Segments:
        """The chosen rows, in the same order."""
        return Segments(
            at_ns=self.at_ns[chosen],
            client=self.client[chosen],
            to_vip=self.to_vip[chosen],
            flag=self.flag[chosen],
            sequence=self.sequence[chosen],
            peer_mac=self.peer_mac[chosen],
        )

    def starts(self) -> Ints:
        """The row at which each 4-tuple begins."""
        changed: Bools = np.diff(self.client) != 0
        return np.flatnonzero(np.r_[True, changed]) if len(self.client) else _no_rows()


def _no_rows() -> Ints:
    return np.zeros(0, dtype=np.int64)


def service_segments(
    packets: PacketTable, vip: str, port: int, forwarders: frozenset[int] = frozenset()
) -> Segments:
    """The segments between any client and one virtual service, captured on the client's link.

    Args:
        packets: the capture.
        vip: of the service, IPv4.
        port: of the service.
        forwarders: MACs of the directors; what they pass on to a real server is a segment's
            second sight, on a link that shows it (a bridge floods for a MAC that it has forgotten).
    """
    number = address_number(vip)
    to_vip = (packets.destination == number) & (packets.destination_port == port)
    to_vip &= ~np.isin(packets.source_mac, list(forwarders))
    from_vip = (packets.source == number) & (packets.source_port == port)
    rows = np.flatnonzero(to_vip | from_vip)
    forth = to_vip[rows]
    address = np.where(forth, packets.source[rows], packets.destination[rows])
    client_port = np.where(forth, packets.source_port[rows], packets.destination_port[rows])
    client = address << 16 | client_port
    order = np.lexsort((packets.at_ns[rows], client))
    rows, forth = rows[order], forth[order]
    return Segments(
        at_ns=packets.at_ns[rows],
        client=client[order],
        to_vip=forth,
        flag=flag_of(packets.flags[rows]),
        sequence=packets.sequence[rows],
        peer_mac=np.where(forth, packets.destination_mac[rows], packets.source_mac[rows]),
    )


def client_end(client: int) -> tuple[str, int]:
    """``Segments.client`` as address and port."""
    return str(IPv4Address(client >> 16)), client & 0xFFFF


def connections(segments: Segments) -> pd.DataFrame:
    """One row per connection: a new one begins with each SYN of a new sequence number.

    Returns:
        DataFrame with ``client`` (as in Segments), ``first_ns, last_ns`` (Unix ns), ``segments``,
        ``syns`` (sent by the client: more than one means the SYN was repeated), ``closer``
        (client, server, reset or none), ``holds_time_wait`` (client, server or none: the closer
        of a connection that both sides closed), ``replied_by`` (MAC of the first reply, <NA>
        without one), ``director_mac`` (who took the first segment).
    """
    frame = pd.DataFrame(
        {
            "client": segments.client,
            "at_ns": segments.at_ns,
            "to_vip": segments.to_vip,
            "syn": (segments.flag == Flag.SYN) & segments.to_vip,
            "fin_client": (segments.flag == Flag.FIN) & segments.to_vip,
            "fin_server": (segments.flag == Flag.FIN) & ~segments.to_vip,
            "reset": segments.flag == Flag.RST,
            "peer_mac": segments.peer_mac,
        }
    )
    frame["connection"] = _connection_numbers(segments)
    grouped = frame.groupby("connection", sort=True)
    rows = grouped.agg(
        client=("client", "first"),
        first_ns=("at_ns", "first"),
        last_ns=("at_ns", "last"),
        segments=("at_ns", "size"),
        syns=("syn", "sum"),
    )
    rows["director_mac"] = _first(frame[frame["to_vip"]], "peer_mac")
    rows["replied_by"] = _first(frame[~frame["to_vip"]], "peer_mac")
    closed_ns = {
        name: _first(frame[frame[name]], "at_ns").reindex(rows.index)
        for name in ("fin_client", "fin_server", "reset")
    }
    rows["closer"] = _closer(pd.DataFrame(closed_ns))
    both_closed = closed_ns["fin_client"].notna() & closed_ns["fin_server"].notna()
    fins_only = both_closed & rows["closer"].isin(["client", "server"])
    rows["holds_time_wait"] = rows["closer"].where(fins_only, "none")
    return rows


def _connection_numbers(segments: Segments) -> Ints:
    """Count up at each new 4-tuple, and at a SYN whose sequence number is not the last SYN's."""
    is_syn = (segments.flag == Flag.SYN) & segments.to_vip
    begins = np.zeros(len(segments.client), dtype=bool)
    begins[segments.starts()] = True
    syns = np.flatnonzero(is_syn)
    fresh = np.diff(segments.sequence[syns]) != 0
    begins[syns[1:][fresh]] = True
    return np.asarray(np.cumsum(begins), dtype=np.int64)


def _first(frame: pd.DataFrame, column: str) -> pd.Series:
    return frame.groupby("connection")[column].first().astype("Int64")


def _closer(closed_ns: pd.DataFrame) -> pd.Series:
    """The side whose FIN came first; ``reset`` if a reset came before any FIN."""
    names = {"fin_client": "client", "fin_server": "server", "reset": "reset"}
    never = np.iinfo(np.int64).max
    order = closed_ns.fillna(never).astype("int64")
    first = order.idxmin(axis=1).map(names)
    return first.where(order.min(axis=1) < never, "none")
