"""Rings of slots, a frame in each: one to receive from at once, one to send by."""

from __future__ import annotations

import errno
import mmap
import socket
import struct
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from analyzer.units import NS_PER_S
from loadgen.rings.packet_socket import (
    PACKET_RX_RING,
    PACKET_VERSION,
    READY,
    SOL_PACKET,
    attach_filter,
    dropped_since,
)

if TYPE_CHECKING:
    from loadgen.rings.blocks import Ints, UInt8s

_PACKET_TX_RING = 13
_PACKET_LOSS = 14
_PACKET_VNET_HDR = 15
_PACKET_QDISC_BYPASS = 20
_TPACKET_V2 = 1
_SO_SNDBUFFORCE = 32  # socket(7)
_REQUEST = struct.Struct("@IIII")
_WRONG_FORMAT = 1 << 2
_SEND_BUFFER_BYTES = 64 * 1024 * 1024

# struct tpacket2_hdr, in words
_SLOT_STATUS, _SLOT_LENGTH, _SLOT_CAPTURED, _SLOT_SECONDS, _SLOT_NANOSECONDS = 0, 1, 2, 4, 5
_SLOT_HEADER_WORDS = 6
# a slot to be sent: TPACKET2_HDRLEN without its sockaddr_ll, struct virtio_net_hdr, the frame
_SLOT_COPIED = 32 + 2  # virtio_net_hdr.hdr_len, in bytes
SLOT_HEADER_BYTES = 32 + 10
# a slot received: an Ethernet frame's network header is aligned, and its own stands before that
PROMPT_NETWORK = 80
_PROMPT_FRAME = PROMPT_NETWORK - 14


class PromptRing:
    """Frames of one protocol that come in through one Ethernet interface, as they come.

    Frames stay where the kernel has put them until they are released, and are read there:
    ``words[part]`` for the headers, ``frames[slot]`` for the bytes.

    Args:
        interface: to listen on, in the caller's network namespace.
        protocol: an EtherType; frames that this host sends are not seen.
        program: as for ``blocks.ReceiveRing``.
        slots: how many frames can wait.
        slot_bytes: of a slot; of a longer frame only the beginning is kept.

    Attributes:
        words: of each slot, big-endian and 32 bits wide, from the network header on.
        frames: of each slot, from the Ethernet header on; bytes beyond ``captured`` are undefined.

    Raises:
        OSError: no privilege, no such interface, or no memory.
    """

    def __init__(
        self,
        interface: str,
        *,
        protocol: int,
        program: bytes = b"",
        slots: int = 8192,
        slot_bytes: int = 2048,
    ) -> None:
        self._head = 0
        self._slots = slots
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)  # deaf until it is bound
        try:
            self.socket.setsockopt(SOL_PACKET, PACKET_VERSION, _TPACKET_V2)
            block_bytes = max(mmap.PAGESIZE, slot_bytes)
            blocks = slots * slot_bytes // block_bytes
            request = _REQUEST.pack(block_bytes, blocks, slot_bytes, slots)
            self.socket.setsockopt(SOL_PACKET, PACKET_RX_RING, request)
            self._memory = mmap.mmap(self.socket.fileno(), slots * slot_bytes)
            if program:
                attach_filter(self.socket, program)
            self.socket.bind((interface, protocol))
        except OSError:
            self.socket.close()
            raise
        ring = np.frombuffer(self._memory, dtype=np.uint8).reshape(slots, slot_bytes)
        self._headers = ring.view(np.uint32)[:, :_SLOT_HEADER_WORDS]
        self._status = self._headers[:, _SLOT_STATUS]
        self.words = ring[:, PROMPT_NETWORK:].view(">u4")
        self.frames = ring[:, _PROMPT_FRAME:]

    def ready(self, most: int) -> slice:
        """The slots whose frames have come and were not released, at most so many."""
        status = self._status[self._head : self._head + most].copy()  # the kernel writes on
        count = int(status.argmin())  # its own slots have a status of 0
        return slice(self._head, self._head + (len(status) if status[count] else count))

    def at_ns(self, part: slice) -> Ints:
        """When the kernel saw each frame; Unix time, nanoseconds."""
        stamps = self._headers[part, _SLOT_SECONDS : _SLOT_NANOSECONDS + 1].astype(np.int64)
        times_ns: Ints = stamps[:, 0] * NS_PER_S + stamps[:, 1]
        return times_ns

    def captured(self, part: slice) -> Ints:
        """Bytes of each frame that are in its slot."""
        return self._headers[part, _SLOT_CAPTURED].astype(np.int64)

    def release(self, part: slice) -> None:
        """The kernel may fill these slots again; they are the ones that ``ready`` gave."""
        self._status[part] = 0
        self._head = part.stop % self._slots

    def dropped(self) -> int:
        """Frames that found the ring full, since it was last asked (PACKET_STATISTICS)."""
        return dropped_since(self.socket)

    def close(self) -> None:
        """Let the kernel have its memory back."""
        self.socket.close()
        del self._headers, self._status, self.words, self.frames
        with suppress(BufferError):
            self._memory.close()


class SendRing:
    """Frames out of one interface.

    The kernel copies them. Were it to send from the ring's own memory, a wire that leads to another
    namespace of this host (veth) would give a slot back while the receiver still reads from it.

    Args:
        interface: to send from, in the caller's network namespace.
        slots: how many frames can wait.
        slot_bytes: of a slot, header included; a power of 2. A frame has at most
            ``slot_bytes - SLOT_HEADER_BYTES``.
        bypass_queue: past the queueing discipline (PACKET_QDISC_BYPASS): quicker, but no capture on
            this host sees the frames, and a busy driver drops them.

    Raises:
        OSError: no privilege, no such interface, or no memory.
    """

    def __init__(
        self,
        interface: str,
        *,
        slots: int = 4096,
        slot_bytes: int = 256,
        bypass_queue: bool = False,
    ) -> None:
        block_bytes = max(mmap.PAGESIZE, slot_bytes)
        self.width = slot_bytes - SLOT_HEADER_BYTES
        self._head = 0
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)  # receives nothing
        try:
            self.socket.setsockopt(SOL_PACKET, PACKET_VERSION, _TPACKET_V2)
            self.socket.setsockopt(SOL_PACKET, _PACKET_LOSS, 1)  # a bad frame is skipped
            self.socket.setsockopt(SOL_PACKET, _PACKET_QDISC_BYPASS, int(bypass_queue))
            self.socket.setsockopt(SOL_PACKET, _PACKET_VNET_HDR, 1)
            with suppress(OSError):
                self.socket.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, _SEND_BUFFER_BYTES)
            blocks = slots * slot_bytes // block_bytes
            request = _REQUEST.pack(block_bytes, blocks, slot_bytes, slots)
            self.socket.setsockopt(SOL_PACKET, _PACKET_TX_RING, request)
            self._memory = mmap.mmap(self.socket.fileno(), slots * slot_bytes)
            self.socket.bind((interface, 0))
        except OSError:
            self.socket.close()
            raise
        ring = np.frombuffer(self._memory, dtype=np.uint8).reshape(slots, slot_bytes)
        self._frames = ring[:, SLOT_HEADER_BYTES:]
        words = ring.view(np.uint32)
        self._status, self._length = words[:, _SLOT_STATUS], words[:, _SLOT_LENGTH]
        self._copied = ring[:, _SLOT_COPIED : _SLOT_COPIED + 2].view(np.uint16)[:, 0]
        self._extra = SLOT_HEADER_BYTES - 32

    def send(self, frames: UInt8s, length: Ints) -> int:
        """Hand as many frames to the kernel as there are slots for, from the first on.

        Args:
            frames: shape (n, width), width at most ``self.width``.
            length: of each, bytes; shape (n,).

        Returns:
            How many were taken; the others are the caller's to offer again.

        Raises:
            OSError: the interface went down or away.
        """
        taken = self._fill(frames, length)
        if taken < len(frames) and self._head == 0:  # the ring's end came before theirs
            taken += self._fill(frames[taken:], length[taken:])
        self.flush()
        return taken

    def _fill(self, frames: UInt8s, length: Ints) -> int:
        """Fill the slots that are free from the head on, up to the ring's end; how many."""
        taken = self._free_slots(len(frames))
        part = slice(self._head, self._head + taken)
        self._frames[part, : frames.shape[1]] = frames[:taken]
        self._copied[part] = length[:taken]
        self._length[part] = length[:taken] + self._extra
        self._status[part] = READY
        self._head = part.stop % len(self._status)
        return taken

    def _free_slots(self, most: int) -> int:
        """How many slots from the head on are the caller's, at most so many."""
        status = self._status[self._head : self._head + most]
        busy = (status & ~np.uint32(_WRONG_FORMAT)).nonzero()[0]
        return int(busy[0]) if len(busy) else len(status)

    def flush(self) -> None:
        """Have the kernel send what waits; what it has no memory for waits on."""
        try:
            self.socket.send(b"", socket.MSG_DONTWAIT)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.ENOBUFS):
                raise

    def waiting(self) -> int:
        """Frames that the kernel has not yet sent."""
        return int(np.count_nonzero(self._status & ~np.uint32(_WRONG_FORMAT)))

    def close(self) -> None:
        """Let the kernel have its memory back; what waits is not sent."""
        self.socket.close()
        del self._frames, self._status, self._length, self._copied
        with suppress(BufferError):
            self._memory.close()
