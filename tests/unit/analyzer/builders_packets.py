"""What the analyzer's tests are made of: segments, packets, directors and clocks, by hand."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from analyzer.client.failures import TITLES
from analyzer.client.results import RequestErrors
from analyzer.ipvs.addresses import CONNECTION_KEY
from analyzer.ipvs.states import Flag, Timeouts
from analyzer.predicted.replay import DirectorRules
from analyzer.recording.clock import DirectorClock
from analyzer.recording.director import Director
from analyzer.recording.tables import TABLES
from analyzer.wire.segments import Segments, TcpHeaders

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from analyzer.client.failures import FailureKind, Stage
    from analyzer.wire.capture.frames import Frames

NS = 1_000_000_000
BOOT_NS = 1_700_000_000 * NS
VIP, PORT = "192.168.10.2", 80
CLIENT, DIRECTOR, SERVER = "192.168.10.250", "192.168.10.11", "192.168.10.21"
CLIENT6, VIP6 = "fd00:10::fa", "fd00:10::2"
CLIENT_MAC, DIRECTOR_MAC, SERVER_MAC = 0x0200000000FA, 0x020000000011, 0x020000000021
FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10
IPV6 = 0x86DD


@dataclass(frozen=True)
class Seg:
    """One packet: seconds of uptime, the client's port, its flag; a reply if ``reply``.

    ``mac`` is the client's peer on the link: who takes what it sends, or sends what it gets.
    """

    at_s: float
    port: int
    flag: Flag
    reply: bool = False
    sequence: int = 0
    mac: int = DIRECTOR_MAC
    ttl: int = 64
    acknowledgement: int = 0
    payload_bytes: int = 0
    window: int = 8192
    window_scale: int = -1  # none

    @property
    def protocol(self) -> str:
        """UDP if it is a datagram."""
        return "UDP" if self.flag is Flag.DATAGRAM else "TCP"

    @property
    def flow_key(self) -> tuple[int, str]:
        """What tells its flow from others."""
        return self.port, self.protocol


def segments(rows: Iterable[Seg]) -> Segments:
    """In the order that ``Segments`` promises: by flow, then time; flows in order of port."""
    ordered = sorted(rows, key=lambda row: (row.flow_key, row.at_s))
    keys = sorted({row.flow_key for row in ordered})
    return Segments(
        flow=np.array([keys.index(row.flow_key) for row in ordered], dtype=np.int64),
        at_ns=np.array([round(row.at_s * NS) + BOOT_NS for row in ordered], dtype=np.int64),
        to_vip=np.array([not row.reply for row in ordered], dtype=bool),
        flag=np.array([row.flag for row in ordered], dtype=np.int8),
        sequence=np.array([row.sequence for row in ordered], dtype=np.int64),
        ttl=np.array([row.ttl for row in ordered], dtype=np.uint8),
        source_mac=np.array([row.mac if row.reply else CLIENT_MAC for row in ordered]),
        destination_mac=np.array([CLIENT_MAC if row.reply else row.mac for row in ordered]),
        flows=flows(keys),
        tcp=TcpHeaders(
            flags=np.array([tcp_flags(row) for row in ordered], dtype=np.uint8),
            acknowledgement=np.array([row.acknowledgement for row in ordered], dtype=np.int64),
            payload_bytes=np.array([row.payload_bytes for row in ordered], dtype=np.int64),
            window=np.array([row.window for row in ordered], dtype=np.int64),
            window_scale=np.array([row.window_scale for row in ordered], dtype=np.int8),
        ),
    )


def tcp_flags(seg: Seg) -> int:
    """The flag byte as hosts send it: an answer to a SYN acknowledges it, as a FIN does."""
    if seg.flag is Flag.SYN:
        return SYN | ACK if seg.reply else SYN
    return {Flag.FIN: FIN | ACK, Flag.ACK: ACK, Flag.RST: RST}.get(seg.flag, 0)


def flows(keys: Iterable[tuple[int, str]]) -> pd.DataFrame:
    """``Segments.flows`` of client ports and protocols."""
    rows = [(protocol, CLIENT, port, VIP, PORT) for port, protocol in keys]
    kinds = {"protocol": "string", "client_ip": "string", "vip": "string"}
    return pd.DataFrame(rows, columns=list(CONNECTION_KEY)).astype(kinds)


def rules(
    forwarding: str = "dr",
    *,
    timeouts: Timeouts = Timeouts(),  # noqa: B008 - frozen
    hz: int | None = None,
    phase_s: float | None = None,
    mode: int = 1,
    **more: Any,
) -> DirectorRules:
    """What a replay depends on; the kernel's defaults, and no timer wheel."""
    return DirectorRules(
        sees_replies=forwarding == "nat",
        timeouts=timeouts,
        hz=hz,
        phase_s=phase_s,
        conn_reuse_mode=mode,
        **more,
    )


def table(name: str, rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows as a recording gives them back."""
    made = pa.Table.from_pylist(list(rows), schema=TABLES[name])
    frame: pd.DataFrame = made.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    return frame


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
    **more: Any,
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
        **more,
    )


def request_errors(
    kind: FailureKind, n: int, stage: Stage = "connect", status: int | None = None
) -> RequestErrors:
    """Failed requests of one kind, begun in the run's first second."""
    return RequestErrors(
        kind=kind, stage=stage, status=status, n=n, what=TITLES[kind], first_s=0.1, last_s=0.9
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
    ttl: int = 64,
) -> bytes:
    """An IPv4 packet."""
    words = 5 + len(options) // 4
    size = words * 4 + len(payload)
    head = struct.pack(">BBHHHBBH", 0x40 | words, 0, size, 1, fragment_offset, ttl, protocol, 0)
    ends = IPv4Address(source).packed + IPv4Address(destination).packed
    return head + ends + options + payload


def ipv6(
    payload: bytes,
    *,
    source: str = CLIENT6,
    destination: str = VIP6,
    next_header: int = 6,
    ttl: int = 64,
) -> bytes:
    """An IPv6 packet; extension headers are the caller's."""
    head = struct.pack(">IHBB", 6 << 28, len(payload), next_header, ttl)
    return head + IPv6Address(source).packed + IPv6Address(destination).packed + payload


def udp(*, source_port: int = 40000, destination_port: int = 53, payload: bytes = b"") -> bytes:
    """A datagram."""
    return struct.pack(">HHHH", source_port, destination_port, 8 + len(payload), 0) + payload


def tcp(
    flags: int,
    *,
    source_port: int = 40000,
    destination_port: int = PORT,
    sequence: int = 1,
    payload: bytes = b"",
    acknowledgement: int = 0,
    window: int = 8192,
) -> bytes:
    """A TCP segment without options."""
    numbers = (sequence, acknowledgement, 0x50, flags, window, 0, 0)
    return struct.pack(">HHIIBBHHH", source_port, destination_port, *numbers) + payload


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


# pcapng, block by block ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Interface:
    """An interface description block; ``resolution`` is if_tsresol, ``offset_s`` if_tsoffset."""

    link: int = 1
    resolution: int | None = None
    offset_s: int | None = None

    def units(self, at_ns: int) -> int:
        """An instant as this interface counts."""
        power = 6 if self.resolution is None else self.resolution
        per_s = 2 ** (power & 0x7F) if power & 0x80 else 10 ** min(power, 18)
        return int(at_ns * per_s // NS)

    def body(self, order: str) -> bytes:
        """Its content."""
        options = b""
        if self.resolution is not None:
            options += struct.pack(order + "HHB3x", 9, 1, self.resolution)
        options += struct.pack(order + "HH4s", 2, 4, b"eth0")
        if self.offset_s is not None:
            options += struct.pack(order + "HHq", 14, 8, self.offset_s)
        return struct.pack(order + "HHI", self.link, 0, 0) + options + bytes(4)


@dataclass(frozen=True)
class Block:
    """An enhanced packet block (6), one of before them (2), or another kind with its content."""

    at_ns: int
    frame: bytes
    interface: int = 0
    kind: int = 6

    def body(self, order: str, interfaces: Sequence[Interface]) -> bytes:
        """Its content, its instant in the units of its interface."""
        known = interfaces[self.interface] if self.interface < len(interfaces) else Interface()
        units = known.units(self.at_ns) & 0xFFFF_FFFF_FFFF_FFFF
        sizes = (units >> 32, units & 0xFFFFFFFF, len(self.frame), len(self.frame))
        padding = bytes(-len(self.frame) % 4)
        head = struct.pack(order + "I", self.interface)
        if self.kind == 2:
            drops = 7
            head = struct.pack(order + "HH", self.interface, drops)
        return head + struct.pack(order + "4I", *sizes) + self.frame + padding


def pcapng(blocks: Sequence[Interface | Block], order: str = "<") -> bytes:
    """One section of a pcapng file."""
    interfaces: list[Interface] = []
    parts = [_block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)]
    for block in blocks:
        if isinstance(block, Interface):
            interfaces.append(block)
            parts.append(_block(1, block.body(order), order))
        else:
            parts.append(_block(block.kind, block.body(order, interfaces), order))
    return b"".join(parts)


def pcapng_of(packets: Iterable[tuple[int, bytes]], order: str = "<") -> bytes:
    """A pcapng file of frames, each with its instant in Unix ns."""
    return pcapng([Interface(resolution=9), *(Block(*packet) for packet in packets)], order)


def frame_bytes(frames: Frames) -> list[bytes]:
    """The bytes of each frame."""
    places = zip(frames.start.tolist(), frames.length.tolist(), strict=True)
    return [frames.file.bytes(start, length) for start, length in places]


def _block(kind: int, body: bytes, order: str) -> bytes:
    size = len(body) + 12
    return struct.pack(order + "II", kind, size) + body + struct.pack(order + "I", size)
