"""The eye on the wire: the VIP's packets, with VRRP and ARP, to a nanosecond pcap.

scapy compiles the filter and owns the packet socket; frames are copied raw, never dissected here.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import struct
import threading
from typing import TYPE_CHECKING, Any

from loadgen.errors import LoadgenError

if TYPE_CHECKING:
    from io import BufferedWriter
    from pathlib import Path
    from types import TracebackType

    from loadgen.plan import Target

SNAP_BYTES = 160
"""Ethernet, two VLAN tags, IPv4 or IPv6 and TCP with all options fit."""

_SOL_PACKET = 263  # packet(7)
_PACKET_ADD_MEMBERSHIP = 1
_PACKET_MR_ALLMULTI = 2  # VRRP goes to a group that this host has not joined
_MEMBERSHIP = struct.Struct("iHH8s")
_PACKET_STATISTICS = 6
_STATISTICS = struct.Struct("II")
_SO_TIMESTAMPNS = 35  # socket(7); scapy has set it, and reads it into a float, too coarse
_TIMESPEC = struct.Struct("@qq")
_CONTROL_BYTES = 256
_SOCKET_BUFFER_BYTES = 32 * 1024 * 1024
_SO_RCVBUFFORCE = 33
_NANOSECOND_PCAP = struct.Struct("<IHHiIII")
_RECORD = struct.Struct("<IIII")
_LINK_ETHERNET = 1
_LOOK_S = 0.2


class CaptureRefused(LoadgenError):
    """No privilege to capture, or no such interface; the run goes on without."""


class Capture:
    """An activity that writes packets while the run is on.

    Args:
        interface: to listen on.
        target: whose packets are wanted.
        path: of the pcap file to be made.

    Raises:
        CaptureRefused: no privilege, no such interface.
    """

    def __init__(self, interface: str, target: Target, path: Path) -> None:
        self.interface = interface
        self.filter = (
            f"(host {target.vip} and {target.protocol.lower()} port {target.port})"
            " or arp or ip proto 112"
        )
        self.packets = 0
        self.dropped = 0
        self._path = path
        self._socket = _open(interface, self.filter)
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._failure: str | None = None

    async def __aenter__(self) -> Capture:
        file = self._path.open("wb")
        file.write(_NANOSECOND_PCAP.pack(0xA1B23C4D, 2, 4, 0, 0, SNAP_BYTES, _LINK_ETHERNET))
        file.flush()
        self._thread = threading.Thread(target=self._run, args=(self._socket, file), name="capture")
        self._thread.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    async def done(self) -> None:
        """A capture never ends a run, and never holds one up."""

    def manifest(self) -> dict[str, Any]:
        """The capture's part of ``run.json``."""
        return {
            "interface": self.interface,
            "filter": self.filter,
            "snap_bytes": SNAP_BYTES,
            "packets": self.packets,
            "dropped": self.dropped,
            "failure": self._failure,
        }

    def _run(self, sock: Any, file: BufferedWriter) -> None:
        with contextlib.closing(sock), file:
            try:
                while not self._ended.is_set():
                    self._take(sock, file)
                self._take(sock, file)
            except OSError as error:
                self._failure = str(error)
            with contextlib.suppress(OSError):
                self._count_drops(sock)

    def _take(self, sock: Any, file: BufferedWriter) -> None:
        """All that has come within one look, and the file brought up to date."""
        readable, _, _ = select.select([sock.ins], [], [], _LOOK_S)
        with contextlib.suppress(BlockingIOError):
            while readable:
                frame, at, twice = _receive(sock.ins)
                self._write(file, frame, at, twice=twice)
        file.flush()
        self._count_drops(sock)

    def _write(
        self, file: BufferedWriter, frame: bytes, at: tuple[int, int] | None, *, twice: bool
    ) -> None:
        if at is None or twice:
            return
        kept = frame[:SNAP_BYTES]
        file.write(_RECORD.pack(*at, len(kept), len(frame)) + kept)
        self.packets += 1

    def _count_drops(self, sock: Any) -> None:
        """PACKET_STATISTICS counts since it was last read (packet(7))."""
        raw = sock.ins.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, _STATISTICS.size)
        self.dropped += _STATISTICS.unpack(raw)[1]


def _receive(sock: socket.socket) -> tuple[bytes, tuple[int, int] | None, bool]:
    """A frame, when the kernel saw it (seconds, nanoseconds), and whether it comes a second time.

    On loopback each frame is seen as it leaves and as it arrives. A switch that has forgotten a
    real server's MAC floods what the director forwards to it, and so shows it to us as well.
    """
    frame, control, _, address = sock.recvmsg(1 << 16, _CONTROL_BYTES, socket.MSG_DONTWAIT)
    stamps = [
        _TIMESPEC.unpack(data)
        for level, kind, data in control
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS and len(data) == _TIMESPEC.size
    ]
    leaving_loopback = address[0] == "lo" and address[2] == socket.PACKET_OUTGOING
    twice = leaving_loopback or address[2] == socket.PACKET_OTHERHOST
    return frame, stamps[0] if stamps else None, twice


def _open(interface: str, packet_filter: str) -> Any:
    import scapy.layers.l2  # noqa: F401 - tells scapy what an Ethernet frame is
    from scapy.arch.linux import L2ListenSocket
    from scapy.error import Scapy_Exception

    try:
        sock = L2ListenSocket(iface=interface, filter=packet_filter, promisc=False)
    except (PermissionError, OSError, ValueError, Scapy_Exception) as error:
        reason = "needs root or CAP_NET_RAW" if isinstance(error, PermissionError) else error
        raise CaptureRefused(f"no capture on {interface}: {reason}") from error
    with contextlib.suppress(OSError):
        sock.ins.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _SOCKET_BUFFER_BYTES)
        group = _MEMBERSHIP.pack(socket.if_nametoindex(interface), _PACKET_MR_ALLMULTI, 0, b"")
        sock.ins.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, group)
    return sock
