"""What the analyzer's tests are made of: segments, packets, directors and clocks, by hand."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

import numpy as np

from analyzer.clock import DirectorClock
from analyzer.director import Director
from analyzer.ipvs.states import Flag, Timeouts
from analyzer.wire.connections import Segments

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NS = 1_000_000_000
BOOT_NS = 1_700_000_000 * NS
VIP, PORT = "192.168.10.2", 80
CLIENT, DIRECTOR, SERVER = "192.168.10.250", "192.168.10.11", "192.168.10.21"
CLIENT_MAC, DIRECTOR_MAC, SERVER_MAC = 0x0200000000FA, 0x020000000011, 0x020000000021
FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10


def client(port: int, address: str = CLIENT) -> int:
    """A client's end as ``Segments.client`` has it."""
    return int(IPv4Address(address)) << 16 | port


@dataclass(frozen=True)
class Seg:
    """One segment: seconds of uptime, the client's port, its flag; a reply if ``reply``."""

    at_s: float
    port: int
    flag: Flag
    reply: bool = False
    sequence: int = 0
    mac: int = DIRECTOR_MAC


def segments(rows: Iterable[Seg]) -> Segments:
    """In the order that ``Segments`` promises: by 4-tuple, then time."""
    ordered = sorted(rows, key=lambda row: (row.port, row.at_s))
    return Segments(
        at_ns=np.array([round(row.at_s * NS) + BOOT_NS for row in ordered], dtype=np.int64),
        client=np.array([client(row.port) for row in ordered], dtype=np.int64),
        to_vip=np.array([not row.reply for row in ordered], dtype=bool),
        flag=np.array([row.flag for row in ordered], dtype=np.int8),
        sequence=np.array([row.sequence for row in ordered], dtype=np.int64),
        peer_mac=np.array([row.mac for row in ordered], dtype=np.int64),
    )


def clock(boot_ns: int = BOOT_NS, uncertainty_s: float = 0.0) -> DirectorClock:
    """A director whose uptime 0 was at ``boot_ns``."""
    return DirectorClock(
        at_ns=np.array([boot_ns], dtype=np.int64),
        boot_ns=np.array([boot_ns], dtype=np.int64),
        uncertainty_s=uncertainty_s,
    )


def director(
    *,
    timeouts: Timeouts | None = Timeouts(tcpfin_s=20),  # noqa: B008 - frozen
    hz: int | None = 100,
    phase_s: float | None = 0.0,
    phase_uncertainty_s: float = 0.0,
    macs: Sequence[int] = (DIRECTOR_MAC,),
    conn_reuse_mode: int = 1,
    name: str = "bal01",
) -> Director:
    """bal01, as the lab has it."""
    return Director(
        name=name,
        timeouts=timeouts,
        hz=hz,
        phase_s=phase_s,
        phase_uncertainty_s=phase_uncertainty_s,
        macs=frozenset(macs),
        conn_reuse_mode=conn_reuse_mode,
    )


# A capture, byte by byte -------------------------------------------------------------------------

MAGIC_BYTES = {
    "microseconds, big-endian": (">", 0xA1B2C3D4, 1000),
    "microseconds, little-endian": ("<", 0xA1B2C3D4, 1000),
    "nanoseconds, big-endian": (">", 0xA1B23C4D, 1),
    "nanoseconds, little-endian": ("<", 0xA1B23C4D, 1),
}


def pcap(
    packets: Iterable[tuple[int, bytes]],
    kind: str = "nanoseconds, little-endian",
    *,
    snap: int = 160,
    link: int = 1,
) -> bytes:
    """A pcap file of frames, each with its instant in Unix ns."""
    order, magic, unit_ns = MAGIC_BYTES[kind]
    parts = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snap, link)]
    for at_ns, frame in packets:
        kept = frame[:snap]
        stamp = (at_ns // NS, at_ns % NS // unit_ns)
        parts += [struct.pack(order + "IIII", *stamp, len(kept), len(frame)), kept]
    return b"".join(parts)


def mac_bytes(mac: int) -> bytes:
    """Six bytes, as on the wire."""
    return mac.to_bytes(6, "big")


def ethernet(
    payload: bytes,
    *,
    source: int = CLIENT_MAC,
    destination: int = DIRECTOR_MAC,
    ethertype: int = 0x0800,
    vlan: int | None = None,
) -> bytes:
    """A frame; with ``vlan`` tagged."""
    tag = b"" if vlan is None else struct.pack(">HH", 0x8100, vlan)
    return mac_bytes(destination) + mac_bytes(source) + tag + struct.pack(">H", ethertype) + payload


def ipv4(
    payload: bytes,
    *,
    source: str = CLIENT,
    destination: str = VIP,
    protocol: int = 6,
    options: bytes = b"",
    fragment_offset: int = 0,
) -> bytes:
    """An IPv4 packet."""
    words = 5 + len(options) // 4
    size = words * 4 + len(payload)
    head = struct.pack(">BBHHHBBH", 0x40 | words, 0, size, 1, fragment_offset, 64, protocol, 0)
    ends = IPv4Address(source).packed + IPv4Address(destination).packed
    return head + ends + options + payload


def tcp(
    flags: int,
    *,
    source_port: int = 40000,
    destination_port: int = PORT,
    sequence: int = 1,
    payload: bytes = b"",
) -> bytes:
    """A TCP segment without options."""
    return (
        struct.pack(
            ">HHIIBBHHH", source_port, destination_port, sequence, 0, 0x50, flags, 8192, 0, 0
        )
        + payload
    )


def request(flags: int, *, port: int = 40000, sequence: int = 1, payload: bytes = b"") -> bytes:
    """A frame from the client to the VIP, by way of the director."""
    return ethernet(ipv4(tcp(flags, source_port=port, sequence=sequence, payload=payload)))


def reply(flags: int, *, port: int = 40000, sequence: int = 9, mac: int = SERVER_MAC) -> bytes:
    """A frame from the VIP to the client; in dr the real server sends it."""
    segment = tcp(flags, source_port=PORT, destination_port=port, sequence=sequence)
    packet = ipv4(segment, source=VIP, destination=CLIENT)
    return ethernet(packet, source=mac, destination=CLIENT_MAC)


def arp(sender_mac: int, sender: str, *, ethernet_source: int | None = None) -> bytes:
    """An ARP request from ``sender``."""
    body = struct.pack(">HHBBH", 1, 0x0800, 6, 4, 1)
    body += mac_bytes(sender_mac) + IPv4Address(sender).packed
    body += bytes(6) + IPv4Address(VIP).packed
    source = sender_mac if ethernet_source is None else ethernet_source
    return ethernet(body, source=source, destination=0xFFFFFFFFFFFF, ethertype=0x0806)


def vrrp(sender_mac: int, sender: str) -> bytes:
    """A VRRP advertisement's shell; what it says is not read."""
    packet = ipv4(bytes(8), source=sender, destination="224.0.0.18", protocol=112)
    return ethernet(packet, source=sender_mac, destination=0x01005E000012)
