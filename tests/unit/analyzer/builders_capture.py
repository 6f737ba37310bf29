"""Connections through a director as a capture has them, by where and on which link it was taken.

A packet makes *hops*: from the client (or its router) to the director, from the director to a real
server, and back, in dr past the director. A capture has the hops that its place sees.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from analyzer.analysis import analyse
from analyzer.recording.directory import Recording
from tests.importing import import_folder
from tests.unit.analyzer.builders_packets import (
    ACK,
    BOOT_NS,
    FIN,
    IPV6,
    NS,
    PSH,
    RST,
    SYN,
    ethernet,
    ipv4,
    ipv6,
    mac_bytes,
    pcap,
    tcp,
    udp,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from analyzer.report import Analysis
    from analyzer.results import Finding

Way = Literal["dr", "nat", "dr-gateway"]
Place = Literal["client", "director", "server", "outside", "inside", "vip-on-director"]
Link = Literal["ethernet", "sll", "sll2", "raw"]

CLIENT, VIP, SERVERS, RPORT = "198.51.100.9", "192.0.2.80", ("10.9.0.21", "10.9.0.22"), 8080
CLIENT6, VIP6, SERVERS6 = "2001:db8:9::9", "2001:db8::80", ("2001:db8:1::21", "2001:db8:1::22")
CLIENT_MAC, ROUTER_MAC, DIRECTOR_MAC = 0x020000000001, 0x0200000000FE, 0x02000000000D
SERVER_MACS = (0x020000000011, 0x020000000012)
HOP_S = 20e-6
DATAGRAM = -1
LINK_TYPES = {"ethernet": 1, "sll": 113, "sll2": 276, "raw": 101}

Step = tuple[float, Literal[">", "<"], int]  # seconds, from the client or to it, flags
CLOSED: tuple[Step, ...] = (
    (0.000, ">", SYN),
    (0.001, "<", SYN | ACK),
    (0.002, ">", ACK),
    (0.003, ">", PSH | ACK),
    (0.004, "<", PSH | ACK),
    (0.005, ">", FIN | ACK),
    (0.006, "<", FIN | ACK),
    (0.007, ">", ACK),
)


@dataclass(frozen=True)
class Hop:
    """A packet on one link: from a MAC to a MAC, between two ends."""

    at_s: float
    flags: int
    sequence: int
    source: tuple[str, int]
    target: tuple[str, int]
    by: int
    to: int
    ttl: int = 64


@dataclass(frozen=True, kw_only=True)
class Net:
    """How packets travel: the way of forwarding, the addresses, who is on the client's link."""

    way: Way = "dr"
    client: str = CLIENT
    vip: str = VIP
    servers: tuple[str, str] = SERVERS
    vport: int = 80
    rport: int | None = None  # nat: the real servers' port
    near_mac: int = CLIENT_MAC  # the client, or the router before it
    director_mac: int = DIRECTOR_MAC
    back_mac: int | None = None  # who takes replies to the client, if not ``near_mac``
    back_by: int | None = None  # who brings replies to the client, if not the director

    def connection(self, port: int, began_s: float, steps: Sequence[Step] = CLOSED) -> list[Hop]:
        """The hops of one connection; a real server by its port, as rr would."""
        number = port % len(self.servers)
        hops: list[Hop] = []
        for index, (at_s, way, flags) in enumerate(steps):
            sequence = (port * 7919 + (1 if way == ">" else 5) * 100_003) % 2**32
            if flags & SYN == 0 or flags == DATAGRAM:
                sequence += 1 + index
            hop = Hop(began_s + at_s, flags, sequence, ("", 0), ("", 0), 0, 0)
            hops += self.forth(hop, port, number) if way == ">" else self.back(hop, port, number)
        return hops

    def forth(self, hop: Hop, port: int, number: int) -> list[Hop]:
        """From the client to the director, and on to the real server."""
        client, vip = (self.client, port), (self.vip, self.vport)
        on = vip if self.way != "nat" else self._server(number)
        return [
            replace(hop, source=client, target=vip, by=self.near_mac, to=self.director_mac),
            replace(
                hop,
                at_s=hop.at_s + HOP_S,
                source=client,
                target=on,
                by=self.director_mac,
                to=SERVER_MACS[number],
            ),
        ]

    def back(self, hop: Hop, port: int, number: int) -> list[Hop]:
        """From the real server, in dr to the client, else by way of the director."""
        client, vip = (self.client, port), (self.vip, self.vport)
        near = self.back_mac or self.near_mac
        if self.way == "dr":
            return [replace(hop, source=vip, target=client, by=SERVER_MACS[number], to=near)]
        of = vip if self.way == "dr-gateway" else self._server(number)
        return [
            replace(hop, source=of, target=client, by=SERVER_MACS[number], to=self.director_mac),
            replace(
                hop,
                at_s=hop.at_s + HOP_S,
                source=vip,
                target=client,
                by=self.back_by or self.director_mac,
                to=near,
                ttl=hop.ttl - (1 if self.back_by is None else 2),
            ),
        ]

    def alone(self, hop: Hop, way: str, port: int, number: int) -> Hop:
        """A packet that the director does not send on, or makes itself."""
        if way == ">":
            return self.forth(hop, port, number)[0]
        return replace(self.back(hop, port, number)[-1], by=self.director_mac)

    def _server(self, number: int) -> tuple[str, int]:
        return self.servers[number], self.rport or self.vport


def seen(hops: Iterable[Hop], place: Place, net: Net) -> list[Hop]:
    """The hops that a capture has, in order of time."""
    vips = {(net.vip, net.vport)}
    sees: dict[Place, Callable[[Hop], bool]] = {
        "client": lambda hop: net.near_mac in (hop.by, hop.to) or net.back_mac == hop.to,
        "director": lambda hop: net.director_mac in (hop.by, hop.to),
        "server": lambda hop: bool({hop.by, hop.to} & set(SERVER_MACS)),
        "outside": lambda hop: (
            net.director_mac in (hop.by, hop.to) and not {hop.by, hop.to} & set(SERVER_MACS)
        ),
        "inside": lambda hop: (
            net.director_mac in (hop.by, hop.to) and bool({hop.by, hop.to} & set(SERVER_MACS))
        ),
        "vip-on-director": lambda hop: (
            net.director_mac in (hop.by, hop.to) and bool({hop.source, hop.target} & vips)
        ),
    }
    return sorted(filter(sees[place], hops), key=lambda hop: hop.at_s)


def host_macs(place: Place, net: Net) -> tuple[int, ...]:
    """The MACs of the host that captures there."""
    if place == "client":
        return (net.near_mac,)
    return SERVER_MACS if place == "server" else (net.director_mac,)


def frame(hop: Hop, link: Link, mine: Sequence[int]) -> bytes:
    """A hop's bytes on a link, captured by the host that has these MACs."""
    (source, sport), (target, dport) = hop.source, hop.target
    if hop.flags == DATAGRAM:
        number, payload = 17, udp(source_port=sport, destination_port=dport, payload=b"q")
    else:
        segment = tcp(hop.flags, source_port=sport, destination_port=dport, sequence=hop.sequence)
        number, payload = 6, segment
    if ":" in source:
        ethertype = IPV6
        packet = ipv6(payload, source=source, destination=target, next_header=number, ttl=hop.ttl)
    else:
        ethertype = 0x0800
        packet = ipv4(payload, source=source, destination=target, protocol=number, ttl=hop.ttl)
    if link == "raw":
        return packet
    if link == "ethernet":
        return ethernet(packet, source=hop.by, destination=hop.to, ethertype=ethertype)
    packet_type = 4 if hop.by in mine else 0 if hop.to in mine else 3
    mac = mac_bytes(hop.by) + bytes(2)
    if link == "sll":
        return struct.pack(">HHH", packet_type, 1, 6) + mac + struct.pack(">H", ethertype) + packet
    head = struct.pack(">HHIHBB", ethertype, 0, 2, 1, packet_type, 6)
    return head + mac + packet


def capture(hops: Iterable[Hop], place: Place, link: Link, net: Net) -> bytes:
    """A capture file of what a place sees; hops begin at second 1000."""
    mine = host_macs(place, net)
    return pcap(
        (
            (BOOT_NS + round((1000 + hop.at_s) * NS), frame(hop, link, mine))
            for hop in seen(hops, place, net)
        ),
        link=LINK_TYPES[link],
    )


def imported(path: Path, content: bytes, *more: tuple[str, str]) -> Analysis:
    """A capture alone, or beside other files (name, text), imported and analysed."""
    path.mkdir(exist_ok=True)
    (path / "some.pcap").write_bytes(content)
    for name, text in more:
        (path / name).write_text(text)
    import_folder([path], path / "run")
    return analyse(Recording.open(path / "run"))


def finding(found: Analysis, name: str) -> Finding | None:
    """The finding of this id, if there is one."""
    return next((one for one in found.findings if one.id == name), None)


__all__ = ["ACK", "FIN", "PSH", "RST", "SYN"]
