"""A chunk of a capture to columns of segments and datagrams.

Nothing loops over packets. Most frames of most captures are *plain*: TCP in IPv4 without options,
in Ethernet without tags, not fragmented. Of those all headers are taken at once, as one record, for
every field lies at the same place. All others are read layer by layer, each field of all frames
where it is in each. A plain frame gives the same values either way.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any

import numpy as np

from analyzer.parts import Rows
from analyzer.wire.addresses import ends_of, ends_v4
from analyzer.wire.capture.ethertypes import ARP, IPV4, IPV6
from analyzer.wire.capture.links import ETHERNET, NO_MAC, THIS_HOST, link_layer
from analyzer.wire.capture.network import TCP, VRRP, network_layer
from analyzer.wire.capture.options import SYN, window_scales

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from analyzer.arrays import Bools, Ints
    from analyzer.parts import Columns
    from analyzer.wire.addresses import UInts
    from analyzer.wire.capture.frames import Bytes, Chunk, Frames
    from analyzer.wire.capture.links import Link
    from analyzer.wire.capture.network import Network

    Array = npt.NDArray[Any]

_ARP_LENGTH = 28
_MOST_BYTES = 65_535  # of an IP packet, by its length field

_FIELDS: Mapping[str, tuple[int, str]] = {  # of a plain frame: where, and what
    "destination_mac": (0, ">u8"),  # and two bytes of the source's
    "source_mac": (4, ">u8"),  # and two bytes of the destination's before
    "ethertype": (12, ">u2"),
    "version": (14, "u1"),  # and the header's length in words
    "total_bytes": (16, ">u2"),
    "fragment": (20, ">u2"),
    "ttl": (22, "u1"),
    "protocol": (23, "u1"),
    "source": (26, ">u4"),
    "destination": (30, ">u4"),
    "source_port": (34, ">u2"),
    "destination_port": (36, ">u2"),
    "sequence": (38, ">u4"),
    "acknowledgement": (42, ">u4"),
    "words": (46, "u1"),  # of TCP's header, in the upper half
    "flags": (47, "u1"),
    "window": (48, ">u2"),
}
_NETWORK, _TRANSPORT, _PLAIN_BYTES = 14, 34, 54
_PLAIN = np.dtype(
    {
        "names": list(_FIELDS),
        "formats": [kind for _, kind in _FIELDS.values()],
        "offsets": [at for at, _ in _FIELDS.values()],
        "itemsize": _PLAIN_BYTES,
    }
)
_NO_OPTIONS, _LATER_FRAGMENT = 0x45, 0x1FFF
_MAC = (1 << 48) - 1
_AS_THEY_ARE = ("ttl", "source_port", "destination_port", "flags", "sequence")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """What is known of a chunk beside its packets.

    Attributes:
        rows: how many packets it has.
        frames: that were decoded.
        read_bytes: of the file, about.
        book: the chunk's addresses as numbers; one may be there twice.
        neighbours, host_macs, skipped, unread: as in ``packets.CaptureFacts``.
    """

    rows: int
    frames: int
    read_bytes: int
    book: UInts
    neighbours: Mapping[int, str]
    host_macs: frozenset[int]
    skipped: Mapping[str, int]
    unread: int


def decoded(part: Chunk, *, tcp: bool) -> Rows[Decoded]:
    """The arrays of ``PacketTable``, and ``tunnelled`` (it came in a tunnel).

    ``source`` and ``destination`` are rows of the chunk's book.

    Args:
        part: the chunk.
        tcp: whether to read what only ``segments.TcpHeaders`` has.
    """
    frames = part.frames()
    headers = frames.file.records(frames.start, _PLAIN)
    is_plain = _is_plain(frames, headers)
    if not is_plain.any():
        made = _layered(frames, ~is_plain, tcp=tcp)
    else:
        made = _plain(frames, headers, is_plain, tcp=tcp)
        if not is_plain.all():
            made = _both(made, _layered(frames, ~is_plain, tcp=tcp))
    start = frames.start
    chunk = Decoded(
        rows=len(made.rows),
        frames=len(start),
        read_bytes=int(start[-1] - start[0]) if len(start) else 0,
        book=made.book,
        neighbours=made.neighbours,
        host_macs=made.host_macs,
        skipped=made.skipped | {"untimed": frames.untimed},
        unread=frames.unread,
    )
    return Rows(made.columns, chunk)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Packets:
    """The packets of some frames of a chunk.

    Attributes:
        rows: which frames they are, ascending; shape (n,).
        columns: of shape (n,).
        book, neighbours, host_macs, skipped: as in Decoded, of these frames.
    """

    rows: Ints
    columns: Columns
    book: UInts
    neighbours: Mapping[int, str]
    host_macs: frozenset[int]
    skipped: dict[str, int]


def _both(plain: _Packets, others: _Packets) -> _Packets:
    """All packets of a chunk, in the order of its frames."""
    order = np.argsort(np.concatenate([plain.rows, others.rows]), kind="stable")
    first = len(plain.book)
    moved = {name: others.columns[name] + np.int32(first) for name in ("source", "destination")}
    pairs = {name: (plain.columns[name], others.columns[name]) for name in plain.columns}
    pairs |= {name: (plain.columns[name], moved[name]) for name in moved}
    return _Packets(
        rows=order,
        columns={name: np.concatenate(pair)[order] for name, pair in pairs.items()},
        book=np.concatenate([plain.book, others.book]),
        neighbours=others.neighbours,
        host_macs=others.host_macs,
        skipped=others.skipped,
    )


def _is_plain(frames: Frames, headers: Array) -> Bools:
    plain = (frames.link_type == ETHERNET) & (frames.length >= _PLAIN_BYTES)
    plain &= headers["ethertype"] == IPV4
    plain &= headers["version"] == _NO_OPTIONS
    plain &= headers["protocol"] == TCP
    plain &= headers["fragment"] & _LATER_FRAGMENT == 0
    return np.asarray(plain)


def _plain(frames: Frames, headers: Array, chosen: Bools, *, tcp: bool) -> _Packets:
    rows = np.flatnonzero(chosen)
    if len(rows) < len(chosen):
        headers = headers[rows]
    ends = ends_v4(headers["source"].astype(np.int64), headers["destination"].astype(np.int64))
    columns: Columns = {
        "at_ns": frames.at_ns[rows],
        "protocol": np.full(len(rows), TCP, dtype=np.uint8),
        "source": ends.source.astype(np.int32),
        "destination": ends.destination.astype(np.int32),
        **{name: _native(headers[name]) for name in _AS_THEY_ARE},
        "source_mac": headers["source_mac"].astype(np.int64) & _MAC,
        "destination_mac": (headers["destination_mac"] >> 16).astype(np.int64),
        "tunnelled": np.zeros(len(rows), dtype=bool),
    }
    if tcp:
        header_bytes = 20 + 4 * (headers["words"] >> 4).astype(np.int64)
        is_syn = headers["flags"] & SYN != 0
        columns |= {
            "acknowledgement": _native(headers["acknowledgement"]),
            "payload_bytes": _payload(headers["total_bytes"] - header_bytes),
            "window": _native(headers["window"]),
            "window_scale": window_scales(frames, rows, frames.start[rows] + _TRANSPORT, is_syn),
        }
    return _Packets(
        rows=rows,
        columns=columns,
        book=ends.book,
        neighbours={},
        host_macs=frozenset(),
        skipped={},
    )


def _native(field: Array) -> Array:
    return field.astype(field.dtype.newbyteorder("="))


def _layered(frames: Frames, chosen: Bools, *, tcp: bool) -> _Packets:
    frames = frames.only(chosen)
    link = link_layer(frames)
    network = network_layer(frames, link)
    whole = np.flatnonzero(network.whole)
    transport = network.transport[whole]
    is_tcp = network.protocol[whole] == TCP
    file = frames.file
    is_v6 = link.ethertype[whole] == IPV6
    ttl_at = link.network[whole] + np.where(is_v6, 7, 8)
    ends = ends_of(file, link.network[whole], is_v6)
    flags = np.where(is_tcp, file.unsigned(transport + 13, 1), 0)
    columns: Columns = {
        "at_ns": frames.at_ns[whole],
        "protocol": network.protocol[whole].astype(np.uint8),
        "source": ends.source.astype(np.int32),
        "destination": ends.destination.astype(np.int32),
        "source_port": file.unsigned(transport, 2),
        "destination_port": file.unsigned(transport + 2, 2),
        "flags": flags,
        "sequence": np.where(is_tcp, file.unsigned(transport + 4, 4), 0),
        "ttl": file.unsigned(ttl_at, 1),
        "source_mac": np.where(link.went_out, THIS_HOST, link.source_mac)[whole],
        "destination_mac": np.where(link.came_in, THIS_HOST, link.destination_mac)[whole],
        "tunnelled": link.tunnelled[whole],
    }
    if tcp:
        payload = _payload_bytes(file, link.network[whole], transport, is_v6)
        columns |= {
            "acknowledgement": np.where(is_tcp, file.unsigned(transport + 8, 4), 0),
            "payload_bytes": np.where(is_tcp, payload, 0),
            "window": np.where(is_tcp, file.unsigned(transport + 14, 2), 0),
            "window_scale": window_scales(frames, whole, transport, flags & SYN != 0),
        }
    return _Packets(
        rows=np.flatnonzero(chosen)[whole],
        columns=columns,
        book=ends.book,
        neighbours=_arp_senders(frames, link) | _vrrp_senders(frames, link, network),
        host_macs=frozenset(np.unique(link.source_mac[link.went_out]).tolist()) - {NO_MAC},
        skipped=dict(network.skipped),
    )


def _payload_bytes(
    file: Bytes, network: Ints, transport: Ints, is_v6: Bools
) -> npt.NDArray[np.uint16]:
    """The bytes of each segment's data, which the capture need not hold."""
    ends = network + np.where(
        is_v6, 40 + file.numbers(network + 4, 2), file.numbers(network + 2, 2)
    )
    return _payload(ends - transport - 4 * (file.numbers(transport + 12, 1) >> 4))


def _payload(size_bytes: Ints) -> npt.NDArray[np.uint16]:
    """Headers may contradict each other: no less than nothing, no more than a packet holds."""
    return np.clip(size_bytes, 0, _MOST_BYTES).astype(np.uint16)


def _arp_senders(frames: Frames, link: Link) -> dict[int, str]:
    is_arp = link.ethertype == ARP
    if not is_arp.any():
        return {}
    at = link.network[is_arp & frames.holds(link.network + _ARP_LENGTH)]
    return _pairs(frames.file.numbers(at + 8, 6), frames.file.numbers(at + 14, 4))


def _vrrp_senders(frames: Frames, link: Link, network: Network) -> dict[int, str]:
    at = np.flatnonzero((network.protocol == VRRP) & (link.ethertype == IPV4))
    return _pairs(link.source_mac[at], frames.file.numbers(link.network[at] + 12, 4))


def _pairs(macs: Ints, addresses: Ints) -> dict[int, str]:
    """Each MAC's last address."""
    distinct, from_end = np.unique(macs[::-1], return_index=True)
    last = addresses[::-1][from_end]
    known = zip(distinct.tolist(), last.tolist(), strict=True)
    return {mac: str(IPv4Address(address)) for mac, address in known if address and mac}
