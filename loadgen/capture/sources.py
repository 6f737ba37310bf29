"""Where frames come from on this host: a packet ring, or scapy's own packet socket."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
from typing import TYPE_CHECKING, Any, Protocol

from analyzer.units import NS_PER_S
from loadgen.capture.files import block_records, cut_record
from loadgen.capture.filters import program
from loadgen.capture.model import SNAP_BYTES, CaptureRefused
from loadgen.rings.blocks import VLAN_VALID, ReceiveRing
from loadgen.rings.packet_socket import SOL_PACKET, attach_filter, dropped_since, join_all_groups

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadgen.capture.model import CaptureWith, PacketSink

_SO_TIMESTAMPNS = 35  # socket(7); scapy has set it, and reads it into a float, too coarse
_SO_RCVBUFFORCE = 33
_TIMESPEC = struct.Struct("@qq")
_CONTROL_BYTES = 256
_PACKET_AUXDATA = 8
_AUXDATA = struct.Struct("@IIIHHHH")
_SOCKET_BUFFER_BYTES = 32 * 1024 * 1024
_NOTHING = "less 1"
"""Until our own program is attached."""

_BATCH = 4096


class Source(Protocol):
    """Hands on what the kernel has seen."""

    name: CaptureWith

    def take(self, sink: PacketSink, wait_s: float) -> bool:
        """Pass on what is there, awaiting the first of it; False if there was nothing.

        Raises:
            OSError: ENETDOWN while the interface is down; or the disk is full.
        """

    def dropped(self) -> int:
        """Frames lost for want of room since this was last asked."""

    def close(self) -> None:
        """Stop listening."""


class RingSource:
    """A memory-mapped ring, read by the block."""

    name: CaptureWith = "ring"

    def __init__(self, interface: str, code: bytes) -> None:
        self._ring = ReceiveRing(interface, program=code, width=SNAP_BYTES)

    def take(self, sink: PacketSink, wait_s: float) -> bool:
        """Pass on a block."""
        block = self._ring.read(wait_s)
        if block is None:
            return False
        sink.write(block_records(block), len(block.at_ns), int(block.at_ns[-1]))
        return True

    def dropped(self) -> int:
        """PACKET_STATISTICS."""
        return self._ring.dropped()

    def close(self) -> None:
        """The ring goes."""
        self._ring.close()


class ScapySource:
    """scapy's packet socket, read raw: frames are copied, never dissected."""

    name: CaptureWith = "scapy"

    def __init__(self, interface: str, code: bytes) -> None:
        import scapy.layers.l2  # noqa: F401 - tells scapy what an Ethernet frame is
        from scapy.arch.linux import L2ListenSocket

        self._owner: Any = L2ListenSocket(iface=interface, filter=_NOTHING, promisc=False)
        self._socket: socket.socket = self._owner.ins
        attach_filter(self._socket, code)
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _SOCKET_BUFFER_BYTES)
            join_all_groups(self._socket, interface)

    def take(self, sink: PacketSink, wait_s: float) -> bool:
        """Pass on what has come, at most a few thousand frames."""
        readable, _, _ = select.select([self._socket], [], [], wait_s)
        if not readable:
            return False
        taken: list[tuple[int, bytes, int]] = []
        try:
            while len(taken) < _BATCH:
                taken.append(self._receive())
        except BlockingIOError:
            pass
        finally:  # the interface may go down in the middle
            self._hand_on(sink, [packet for packet in taken if packet[0]])
        return True

    def _hand_on(self, sink: PacketSink, taken: list[tuple[int, bytes, int]]) -> None:
        if taken:
            sink.write(b"".join(cut_record(*packet) for packet in taken), len(taken), taken[-1][0])

    def _receive(self) -> tuple[int, bytes, int]:
        """When the kernel saw a frame, what was kept of it, and its length on the wire."""
        buffers = [bytearray(SNAP_BYTES)]
        captured, control, _, _ = self._socket.recvmsg_into(
            buffers, _CONTROL_BYTES, socket.MSG_DONTWAIT
        )
        ancillary = {(level, kind): data for level, kind, data in control}
        stamp = ancillary.get((socket.SOL_SOCKET, _SO_TIMESTAMPNS))
        seconds, nanoseconds = _TIMESPEC.unpack(stamp) if stamp else (0, 0)
        length, tag = _auxiliary(ancillary.get((SOL_PACKET, _PACKET_AUXDATA), b""), captured)
        frame = bytes(buffers[0][:captured])
        whole = frame[:12] + tag + frame[12:] if tag else frame
        return seconds * NS_PER_S + nanoseconds, whole, length + len(tag)

    def dropped(self) -> int:
        """PACKET_STATISTICS."""
        return dropped_since(self._socket)

    def close(self) -> None:
        """The socket goes."""
        self._owner.close()


def _auxiliary(data: bytes, captured: int) -> tuple[int, bytes]:
    """Length on the wire, and a VLAN tag that was taken off (struct tpacket_auxdata)."""
    if len(data) != _AUXDATA.size:
        return captured, b""
    status, length, _, _, _, tci, tpid = _AUXDATA.unpack(data)
    return length, struct.pack("!HH", tpid, tci) if status & VLAN_VALID else b""


_WAYS: dict[CaptureWith, tuple[Callable[[str, bytes], Source], ...]] = {
    "ring": (RingSource,),
    "scapy": (ScapySource,),
    "auto": (RingSource, ScapySource),
}


def open_source(interface: str, expression: str, captured_with: CaptureWith) -> Source:
    """Listen by the way that was asked for; ``auto`` is the ring, and scapy where there is none.

    Raises:
        CaptureRefused: no privilege, no such interface.
    """
    from scapy.error import Scapy_Exception

    code = program(expression, interface, SNAP_BYTES)
    refusal: object = None
    for way in _WAYS[captured_with]:
        try:
            return way(interface, code)
        except PermissionError:
            refusal = "needs root or CAP_NET_RAW"
        except (OSError, ValueError, Scapy_Exception) as error:
            refusal = error
    raise CaptureRefused(f"no capture on {interface}: {refusal}")
