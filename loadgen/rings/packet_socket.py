"""What every AF_PACKET socket of ours is asked for (packet(7), socket(7), netdevice(7))."""

from __future__ import annotations

import ctypes
import fcntl
import socket
import struct

SOL_PACKET = 263
PACKET_RX_RING = 5
PACKET_VERSION = 10
READY = 1
"""TP_STATUS_USER of a block or a slot received, TP_STATUS_SEND_REQUEST of one to be sent."""

INSTRUCTION_BYTES = 8
"""Of a struct sock_filter."""

_PACKET_ADD_MEMBERSHIP = 1
_PACKET_STATISTICS = 6
_PACKET_MR_ALLMULTI = 2
_SIOCGIFHWADDR = 0x8927
_SO_ATTACH_FILTER = 26

_MEMBERSHIP = struct.Struct("@iHH8s")
_STATISTICS = struct.Struct("@II")
_FILTER = struct.Struct("@HP")


def attach_filter(sock: socket.socket, program: bytes) -> None:
    """Attach a classic BPF program (SO_ATTACH_FILTER), in place of one that is there."""
    code = ctypes.create_string_buffer(program, len(program))
    fprog = _FILTER.pack(len(program) // INSTRUCTION_BYTES, ctypes.addressof(code))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, fprog)


def join_all_groups(sock: socket.socket, interface: str) -> None:
    """Have the interface take every multicast frame while the socket is open."""
    group = _MEMBERSHIP.pack(socket.if_nametoindex(interface), _PACKET_MR_ALLMULTI, 0, b"")
    sock.setsockopt(SOL_PACKET, _PACKET_ADD_MEMBERSHIP, group)


def dropped_since(sock: socket.socket) -> int:
    """Frames that the socket had no room for, since this was last asked."""
    raw = sock.getsockopt(SOL_PACKET, _PACKET_STATISTICS, _STATISTICS.size)
    return int(_STATISTICS.unpack(raw)[1])


def hardware_type(interface: str) -> int:
    """ARPHRD_… of an interface: 1 is Ethernet.

    Raises:
        OSError: there is no such interface.
    """
    return int(struct.unpack_from("@H", _hardware(interface))[0])


def hardware_address(interface: str) -> bytes:
    """An Ethernet interface's MAC.

    Raises:
        OSError: there is no such interface.
    """
    return _hardware(interface)[2:8]


def _hardware(interface: str) -> bytes:
    """A struct sockaddr: family and address (SIOCGIFHWADDR, netdevice(7))."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16s24x", interface.encode()[:15])
        answer = fcntl.ioctl(sock, _SIOCGIFHWADDR, request)
    return answer[16:]
