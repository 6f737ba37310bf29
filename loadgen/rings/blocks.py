"""A ring of blocks: the kernel hands over many frames at once."""

from __future__ import annotations

import errno
import mmap
import select
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analyzer.units import NS_PER_S
from loadgen.rings.packet_socket import (
    PACKET_RX_RING,
    PACKET_VERSION,
    READY,
    SOL_PACKET,
    attach_filter,
    dropped_since,
    join_all_groups,
)

Ints = npt.NDArray[np.int64]
UInt8s = npt.NDArray[np.uint8]

VLAN_VALID = 1 << 4
_VLAN_TPID_VALID = 1 << 6
_ETH_P_8021Q = 0x8100
_ETH_P_ALL = 3
_TPACKET_V3 = 2
_REQUEST = struct.Struct("@IIIIIII")

# struct tpacket_block_desc, in words of 32 bits
_BLOCK_STATUS, _BLOCK_COUNT, _BLOCK_FIRST, _BLOCK_USED = 2, 3, 4, 5
# struct tpacket3_hdr, in words; the sockaddr_ll behind it, in bytes
_SECONDS, _NANOSECONDS, _CAPTURED, _LENGTH, _STATUS, _MAC, _VLAN, _TPID = 1, 2, 3, 4, 5, 6, 8, 9
_HEADER_WORDS = 12
_PACKET_TYPE = 48 + 10


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameBlock:
    """Frames as they were received; every array has n rows.

    Attributes:
        frames: shape (n, width); what lies beyond ``captured`` in a row is undefined.
        captured: bytes of each frame in its row, at most the width.
        length: of each frame on the wire, bytes.
        at_ns: when the kernel saw it; Unix time, nanoseconds, this host's clock.
        packet_type: PACKET_HOST … PACKET_OUTGOING (packet(7)).
        vlan: TPID and TCI (``tpid << 16 | tci``) of a VLAN tag that the network card took off; 0
            where there was none.
    """

    frames: UInt8s
    captured: Ints
    length: Ints
    at_ns: Ints
    packet_type: UInt8s
    vlan: Ints


class ReceiveRing:
    """Frames of one interface, in blocks.

    Args:
        interface: to listen on, in the caller's network namespace.
        program: of the classic BPF, as ``struct sock_filter`` one behind another; it decides which
            frames are kept, and how many bytes of each. Empty keeps all, whole.
        width: the longest row that ``read`` hands out, bytes.
        block_bytes: a block's size; a multiple of the page's.
        blocks: how many; halved until the kernel has the memory.
        retire_ms: after this a block that is not yet full is handed over, too.
        all_groups: take multicast that this host has not joined, such as VRRP's.

    Raises:
        OSError: no privilege, no such interface, or a kernel without rings.
    """

    def __init__(
        self,
        interface: str,
        *,
        program: bytes = b"",
        width: int,
        block_bytes: int = 1 << 20,
        blocks: int = 64,
        retire_ms: int = 50,
        all_groups: bool = True,
    ) -> None:
        self.width = width
        self._block_bytes = block_bytes
        self._next = 0
        self._scratch = np.zeros((block_bytes + width + 3) // 4 * 4, dtype=np.uint8)
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)  # deaf until it is bound
        try:
            self.socket.setsockopt(SOL_PACKET, PACKET_VERSION, _TPACKET_V3)
            self._blocks = self._reserve(blocks, retire_ms)
            self._memory = mmap.mmap(self.socket.fileno(), self._blocks * block_bytes)
            if program:
                attach_filter(self.socket, program)
            if all_groups:
                join_all_groups(self.socket, interface)
            self.socket.bind((interface, _ETH_P_ALL))
        except OSError:
            self.socket.close()
            raise
        self._ring = np.frombuffer(self._memory, dtype=np.uint8).reshape(self._blocks, block_bytes)
        self._poll = select.poll()
        self._poll.register(self.socket, select.POLLIN | select.POLLERR)

    def _reserve(self, blocks: int, retire_ms: int) -> int:
        """Ask for a ring; how many blocks the kernel gave."""
        while True:
            request = _REQUEST.pack(
                *(self._block_bytes, blocks, self._block_bytes, blocks, retire_ms, 0, 0)
            )
            try:
                self.socket.setsockopt(SOL_PACKET, PACKET_RX_RING, request)
            except OSError as error:
                if error.errno != errno.ENOMEM or blocks == 1:
                    raise
                blocks //= 2
            else:
                return blocks

    def read(self, wait_s: float) -> FrameBlock | None:
        """The next block; None if none is handed over in time.

        Raises:
            OSError: the interface went down or away.
        """
        words = self._ring[self._next].view(np.uint32)
        if not words[_BLOCK_STATUS] & READY:
            self._wait(wait_s)
            if not words[_BLOCK_STATUS] & READY:
                return None
        count, first, used = (int(words[at]) for at in (_BLOCK_COUNT, _BLOCK_FIRST, _BLOCK_USED))
        self._scratch[:used] = self._ring[self._next, :used]
        words[_BLOCK_STATUS] = 0
        self._next = (self._next + 1) % self._blocks
        return self._parse(count, first)

    def _wait(self, wait_s: float) -> None:
        for _, happened in self._poll.poll(wait_s * 1000):
            if happened & select.POLLERR:
                code = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if code:
                    raise OSError(code, errno.errorcode.get(code, str(code)))

    def _parse(self, count: int, first: int) -> FrameBlock:
        scratch = self._scratch
        starts = _follow(scratch.data.cast("I"), first, count)
        header = scratch.view(np.uint32)[starts[:, None] // 4 + np.arange(_HEADER_WORDS)]
        header = header.astype(np.int64)
        begins = starts + (header[:, _MAC] & 0xFFFF)
        rows = np.ndarray(
            (len(scratch) - self.width + 1,), f"V{self.width}", scratch.data, strides=(1,)
        )
        return FrameBlock(
            frames=rows[begins].view(np.uint8).reshape(count, self.width),
            captured=np.minimum(header[:, _CAPTURED], self.width),
            length=header[:, _LENGTH],
            at_ns=header[:, _SECONDS] * NS_PER_S + header[:, _NANOSECONDS],
            packet_type=scratch[starts + _PACKET_TYPE],
            vlan=_vlan(header),
        )

    def dropped(self) -> int:
        """Frames that found the ring full, since it was last asked (PACKET_STATISTICS)."""
        return dropped_since(self.socket)

    def close(self) -> None:
        """Let the kernel have its memory back."""
        self.socket.close()
        del self._ring
        with suppress(BufferError):  # somebody still reads a block; it goes with the last reader
            self._memory.close()


def _follow(words: memoryview, first: int, count: int) -> Ints:
    """Where each frame's header lies, bytes: every one says how far on the next is.

    A chain has to be followed; it is the only thing done for each frame, some 50 ns.
    """
    starts = [0] * count
    at = first >> 2
    for index in range(count):
        starts[index] = at
        at += words[at] >> 2
    return np.array(starts, dtype=np.int64) * 4


def _vlan(header: Ints) -> Ints:
    status = header[:, _STATUS]
    tpid = np.where(status & _VLAN_TPID_VALID, header[:, _TPID] & 0xFFFF, _ETH_P_8021Q)
    return np.where(status & VLAN_VALID, tpid << 16 | header[:, _VLAN] & 0xFFFF, 0)
