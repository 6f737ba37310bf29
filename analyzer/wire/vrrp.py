"""VRRP advertisements, ARP, IPv6 neighbour advertisements, and BFD in captures.

The frames are found with arrays, like all others; the few of VRRP, ARP and neighbour advertisements
are then dissected by scapy, each.
VRRP version 2 is RFC 3768, version 3 is RFC 9568 (before: RFC 5798); gratuitous ARP is RFC 5227,
section 3; unsolicited neighbour advertisements are RFC 4861, section 7.2.6.

A backup takes over when it received nothing for ``master_down_interval_s`` of its own priority, or
``skew_s`` after an advertisement of priority 0, with which a master gives up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from analyzer.wire.bfd import BfdPacket, BfdSpan, bfd_packets, bfd_rows, bfd_spans
from analyzer.wire.capture.ethertypes import ARP, IPV4, IPV6
from analyzer.wire.capture.files import CHUNK_BYTES, chunks_of
from analyzer.wire.capture.links import link_layer
from analyzer.wire.capture.network import ICMPV6, VRRP, network_layer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from analyzer.arrays import Ints
    from analyzer.parts.inputs import Content
    from analyzer.wire.capture.frames import Frames
    from analyzer.wire.capture.links import Link
    from analyzer.wire.capture.network import Network


GIVES_UP = 0
"""The priority of a master that leaves."""

MOST = 100_000
"""The most frames that are dissected: a day of five VRRP instances; more is a flood of ARP."""

MOST_BFD = 500_000
"""The most BFD packets that are read: hours of two directors at the usual tens a second."""

_NEIGHBOUR_ADVERTISEMENT = 136
_ON_LINK_TTL = 255
_GROUPS = ("224.0.0.18", "ff02::12")
_ANY = "0.0.0.0"  # noqa: S104 - the sender of a probe, who has no address yet
_CENTISECONDS_PER_S = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Advertisement:
    """One VRRP advertisement.

    Attributes:
        at_ns: Unix time, the capturing host's clock.
        sender, sender_mac: who sent it; the MAC as a number, NO_MAC where the link has none.
        version: 2 or 3, or what else it says.
        vrid: the virtual router.
        priority: the sender's; GIVES_UP when it leaves.
        interval_s: between its advertisements.
        addresses: the VIPs.
        checksum_ok: of version 3 with the addresses of its IP header.
        ttl: 255 unless it was routed, or forged from afar.
        unicast: it was sent to one host, which may be several hops away.
        receiver: that host, or the group; "" where it is not known.
    """

    at_ns: int
    sender: str
    sender_mac: int
    version: int
    vrid: int
    priority: int
    interval_s: float
    addresses: tuple[str, ...]
    checksum_ok: bool
    ttl: int
    unicast: bool = False
    receiver: str = ""

    @property
    def is_ipv6(self) -> bool:
        """Whether its virtual router is one of IPv6."""
        return ":" in self.sender

    @property
    def is_sound(self) -> bool:
        """Whether a backup would take it: of those to the group, only such from the same link."""
        return self.checksum_ok and (self.unicast or self.ttl == _ON_LINK_TTL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A claim that an address is at a MAC.

    Attributes:
        at_ns: Unix time, the capturing host's clock.
        kind: ``gratuitous-arp``, ``arp-request``, ``arp-reply``, ``arp-probe`` (which claims
            nothing yet), ``unsolicited-advertisement`` or ``solicited-advertisement`` (IPv6).
        address: the sender's; of a probe and of an advertisement the one that it is about.
        mac: where that is, as a number.
        target: whom a request asks for, whom a reply answers.
        sender_mac: of the frame; NO_MAC where the link has none.
    """

    at_ns: int
    kind: str
    address: str
    mac: int
    target: str
    sender_mac: int

    @property
    def unasked(self) -> bool:
        """Whether it was not requested, as at a take-over."""
        return self.kind in ("gratuitous-arp", "unsolicited-advertisement")


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcements:
    """The announcements in a capture, each kind in order of time.

    Attributes:
        advertisements: VRRP.
        claims: ARP and neighbour advertisements.
        malformed: frames that are not what they say they are, or were captured too short.
        left_out: frames beyond MOST.
        bfd_left_out: BFD packets beyond MOST_BFD.
        bfd: the times in which BFD sessions were up.
        unread: bytes at the end of files, after the last whole record of each.
    """

    advertisements: tuple[Advertisement, ...]
    claims: tuple[Claim, ...]
    malformed: int
    left_out: int
    bfd: tuple[BfdSpan, ...] = ()
    bfd_left_out: int = 0
    unread: int = 0


def skew_s(version: int, priority: int, interval_s: float) -> float:
    """The skew of a backup of this priority; in version 2 independent of the interval."""
    return (256 - priority) / 256 * (interval_s if version >= 3 else 1.0)


def master_down_interval_s(version: int, priority: int, interval_s: float) -> float:
    """The silence of the master after which a backup of this priority takes over."""
    return 3 * interval_s + skew_s(version, priority, interval_s)


def of_router(
    adverts: Sequence[Advertisement], vip: str, vrid: int | None = None
) -> list[Advertisement]:
    """The advertisements of the VIP's virtual router; of the only one, if none names the VIP.

    A router of IPv6 may have the number of one of IPv4.
    """
    sound = [advert for advert in adverts if advert.is_sound and advert.is_ipv6 == (":" in vip)]
    if vrid is None:
        having = {advert.vrid for advert in sound if vip in advert.addresses}
        routers = having or {advert.vrid for advert in sound}
        if len(routers) != 1:
            return []
        (vrid,) = routers
    return [advert for advert in sound if advert.vrid == vrid]


def read_announcements(
    *captures: Content,
    most: int = MOST,
    most_bfd: int = MOST_BFD,
    chunk_bytes: int = CHUNK_BYTES,
) -> Announcements:
    """All announcements of capture files.

    Args:
        captures: the files, in order of time.
        most: frames that are dissected, at most.
        most_bfd: BFD packets that are read, at most.
        chunk_bytes: of a file's bytes so many are held decoded.

    Raises:
        ParseError: neither pcap nor pcapng.
    """
    found: list[Advertisement | Claim | BfdPacket | None] = []
    frames_seen, bfd_seen, unread = 0, 0, 0
    for content in captures:
        for chunk in chunks_of(content, chunk_bytes):
            frames = chunk.alone().frames()
            link = link_layer(frames)
            network = network_layer(frames, link)
            rows, of_bfd = _announcing(frames, link, network), bfd_rows(frames, network)
            wanted = rows[: max(most - frames_seen, 0)]
            found += map(_dissected, _frames(frames, link, wanted))
            wanted = of_bfd[: max(most_bfd - bfd_seen, 0)]
            found += bfd_packets(frames, link, network, wanted)
            frames_seen, bfd_seen = frames_seen + len(rows), bfd_seen + len(of_bfd)
            unread += frames.unread
    in_order = sorted((row for row in found if row is not None), key=lambda row: row.at_ns)
    return Announcements(
        advertisements=tuple(row for row in in_order if isinstance(row, Advertisement)),
        claims=tuple(row for row in in_order if isinstance(row, Claim)),
        malformed=len(found) - len(in_order),
        left_out=max(frames_seen - most, 0),
        bfd=bfd_spans(row for row in in_order if isinstance(row, BfdPacket)),
        bfd_left_out=max(bfd_seen - most_bfd, 0),
        unread=unread,
    )


@dataclass(frozen=True, slots=True)
class _Frame:
    at_ns: int
    ethertype: int
    sender_mac: int
    content: bytes  # from its network header on


def _announcing(frames: Frames, link: Link, network: Network) -> Ints:
    """The frames with announcements other than BFD, in order of the capture."""
    end = frames.start + frames.length
    chosen = (link.ethertype == ARP) | (network.protocol == VRRP)
    icmp = np.flatnonzero((network.protocol == ICMPV6) & (network.transport < end))
    chosen[icmp[_types(frames, network.transport[icmp]) == _NEIGHBOUR_ADVERTISEMENT]] = True
    return np.flatnonzero(chosen)


def _frames(frames: Frames, link: Link, rows: Ints) -> Iterator[_Frame]:
    for row in rows.tolist():
        begin = int(link.network[row])
        end = int(frames.start[row] + frames.length[row])
        yield _Frame(
            at_ns=int(frames.at_ns[row]),
            ethertype=int(link.ethertype[row]),
            sender_mac=int(link.source_mac[row]),
            content=frames.file.bytes(begin, end - begin),
        )


def _types(frames: Frames, at: Ints) -> Ints:
    return frames.file.numbers(at, 1)


def _dissected(frame: _Frame) -> Advertisement | Claim | None:
    try:
        return _DISSECTORS[frame.ethertype](frame)
    except Exception:  # whatever scapy, or what it made of a stranger's bytes, raises
        return None


def _of_arp(frame: _Frame) -> Claim | None:
    from scapy.layers import l2

    packet = l2.ARP(frame.content)
    if (packet.hwtype, packet.ptype, packet.hwlen, packet.plen) != (1, IPV4, 6, 4):
        return None
    sender, target = str(packet.psrc), str(packet.pdst)
    return Claim(
        at_ns=frame.at_ns,
        kind=_arp_kind(int(packet.op), sender, target),
        address=target if sender == _ANY else sender,
        mac=_mac(packet.hwsrc),
        target=target,
        sender_mac=frame.sender_mac,
    )


def _arp_kind(operation: int, sender: str, target: str) -> str:
    if sender == _ANY:
        return "arp-probe"
    if sender == target:
        return "gratuitous-arp"
    return "arp-request" if operation == 1 else "arp-reply"


def _of_ipv4(frame: _Frame) -> Advertisement | None:
    from scapy.layers import inet, vrrp
    from scapy.utils import checksum

    packet = inet.IP(frame.content)
    body = frame.content[packet.ihl * 4 : packet.len]
    is_v3 = vrrp.VRRPv3 in packet
    advert = packet[vrrp.VRRPv3 if is_v3 else vrrp.VRRP]
    left = inet.in4_chksum(VRRP, packet, body) if is_v3 else checksum(body)
    return _advertisement(frame, packet, advert, checksum_ok=left == 0, ttl=int(packet.ttl))


def _of_ipv6(frame: _Frame) -> Advertisement | Claim | None:
    from scapy.layers import inet6, vrrp

    packet = inet6.IPv6(frame.content)
    if inet6.ICMPv6ND_NA in packet:
        return _of_neighbour(frame, packet)
    body = frame.content[40 : 40 + packet.plen]
    left = inet6.in6_chksum(VRRP, packet, body)  # type: ignore[no-untyped-call]
    advert = packet[vrrp.VRRPv3]
    return _advertisement(frame, packet, advert, checksum_ok=left == 0, ttl=int(packet.hlim))


def _advertisement(
    frame: _Frame, packet: Any, advert: Any, *, checksum_ok: bool, ttl: int
) -> Advertisement | None:
    if advert.type != 1 or len(advert.addrlist) != advert.ipcount:
        return None
    is_v3 = advert.version >= 3
    return Advertisement(
        at_ns=frame.at_ns,
        sender=str(packet.src),
        sender_mac=frame.sender_mac,
        version=int(advert.version),
        vrid=int(advert.vrid),
        priority=int(advert.priority),
        interval_s=advert.adv / _CENTISECONDS_PER_S if is_v3 else float(advert.adv),
        addresses=tuple(map(str, advert.addrlist)),
        checksum_ok=checksum_ok,
        ttl=ttl,
        unicast=str(packet.dst) not in _GROUPS,
        receiver=str(packet.dst),
    )


def _of_neighbour(frame: _Frame, packet: Any) -> Claim:
    from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6NDOptDstLLAddr

    advertisement = packet[ICMPv6ND_NA]
    has_mac = ICMPv6NDOptDstLLAddr in packet
    return Claim(
        at_ns=frame.at_ns,
        kind="solicited-advertisement" if advertisement.S else "unsolicited-advertisement",
        address=str(advertisement.tgt),
        mac=_mac(packet[ICMPv6NDOptDstLLAddr].lladdr) if has_mac else frame.sender_mac,
        target=str(packet.dst),
        sender_mac=frame.sender_mac,
    )


def _mac(text: str) -> int:
    return int(text.replace(":", ""), 16)


_DISSECTORS = {ARP: _of_arp, IPV4: _of_ipv4, IPV6: _of_ipv6}
