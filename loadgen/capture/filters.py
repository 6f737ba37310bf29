"""Which packets are wanted, and the program that the kernel sorts them out with."""

from __future__ import annotations

import ctypes
import struct
from typing import TYPE_CHECKING

from loadgen.capture.model import CaptureRefused
from loadgen.rings.packet_socket import hardware_type

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadgen.target import Target

LINK_ETHERNET, LINK_RAW = 1, 101  # tcpdump.org/linktypes.html
_LINK_TYPE_OF_HARDWARE = {
    1: LINK_ETHERNET,
    772: LINK_ETHERNET,
    65534: LINK_RAW,
    768: LINK_RAW,
    776: LINK_RAW,
}
"""By ARPHRD_…: Ethernet, loopback; none (tun, WireGuard), IP in IP, IPv6 in IPv4."""

_DLT_RAW = 12  # as libpcap calls LINKTYPE_RAW in programs
_INSTRUCTION = struct.Struct("@HBBI")
_LOAD_WORD, _JUMP_EQUAL, _RETURN = 0x20, 0x15, 0x06  # linux/bpf_common.h
_PACKET_TYPE = 0xFFFFF000 + 4  # SKF_AD_OFF + SKF_AD_PKTTYPE, linux/filter.h
_PACKET_OTHERHOST, _PACKET_OUTGOING = 3, 4
_LOOPBACK = 772


def expression(targets: Sequence[Target]) -> str:
    """The wanted packets in pcap-filter(7): the services', ARP, VRRP, neighbour advertisements."""
    hosts: dict[str, list[str]] = {}
    for target in dict.fromkeys(targets):
        hosts.setdefault(f"{target.protocol.lower()} port {target.port}", []).append(target.vip)
    services = [f"({_any_host(vips)} and {port})" for port, vips in hosts.items()]
    moves = "arp or ip proto 112 or ip6 proto 112 or (icmp6 and ip6[40] == 136)"
    return " or ".join([*services, moves])


def _any_host(vips: Sequence[str]) -> str:
    hosts = " or ".join(f"host {vip}" for vip in vips)
    return hosts if len(vips) == 1 else f"({hosts})"


def link_type(interface: str) -> int:
    """LINKTYPE_… of what an interface's frames begin with.

    Raises:
        CaptureRefused: no such interface, or one of a kind that is not known here.
    """
    try:
        kind = hardware_type(interface)
    except OSError as error:
        raise CaptureRefused(f"no capture on {interface}: {error.strerror}") from error
    if kind not in _LINK_TYPE_OF_HARDWARE:
        raise CaptureRefused(
            f"no capture on {interface}: its hardware type {kind} is not known; expected Ethernet, "
            "loopback, or a tunnel of plain IP"
        )
    return _LINK_TYPE_OF_HARDWARE[kind]


def program(expression: str, interface: str, snap_bytes: int) -> bytes:
    """An expression as classic BPF, ``struct sock_filter`` one behind another.

    Before the expression's own instructions stand those that leave out frames that come twice: on
    loopback each is seen as it leaves and as it arrives; and a switch that has forgotten a real
    server's MAC floods what the director forwards to it, and so shows it to us as well.

    Raises:
        CaptureRefused: libpcap is not there, or does not understand the expression.
    """
    compiled = _compile(expression, link_type(interface))
    twice = [_PACKET_OTHERHOST]
    if hardware_type(interface) == _LOOPBACK:
        twice.append(_PACKET_OUTGOING)
    skip = [
        instruction
        for kind in twice
        for instruction in ((_JUMP_EQUAL, 0, 1, kind), (_RETURN, 0, 0, 0))
    ]
    head = [(_LOAD_WORD, 0, 0, _PACKET_TYPE), *skip]
    tail = [
        (code, jt, jf, min(k, snap_bytes) if code == _RETURN else k) for code, jt, jf, k in compiled
    ]
    return b"".join(_INSTRUCTION.pack(*instruction) for instruction in head + tail)


def _compile(expression: str, link: int) -> list[tuple[int, int, int, int]]:
    from scapy.arch.common import compile_filter, free_filter
    from scapy.error import Scapy_Exception

    try:
        made = compile_filter(expression, linktype=_DLT_RAW if link == LINK_RAW else link)
    except (Scapy_Exception, ImportError, OSError) as error:
        raise CaptureRefused(f"no capture: the filter cannot be compiled: {error}") from error
    content = ctypes.string_at(made.bf_insns, made.bf_len * _INSTRUCTION.size)
    free_filter(made)
    return list(_INSTRUCTION.iter_unpack(content))
