"""Memory-mapped packet rings: frames by the thousand, in and out, without a system call for each.

An AF_PACKET socket (packet(7)) can share a ring of memory with the kernel (packet_mmap in the
kernel's documentation; the layouts are include/uapi/linux/if_packet.h, the code is
net/packet/af_packet.c). Three rings stand here:

- ``ReceiveRing`` (TPACKET_V3): the kernel fills blocks of a megabyte with frames one behind another
  and hands over a block when it is full, or some time after its first frame.
- ``PromptRing`` (TPACKET_V2): slots of one size; a frame can be read as soon as it has come.
- ``SendRing`` (TPACKET_V2): slots of one size; one system call sends all that have been filled.

Frames travel as numpy arrays of shape (n, width), a row a frame, so that a field is a column:
``block.frames[:, 12:14]`` is the EtherType of every frame.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import select
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterator

Ints = npt.NDArray[np.int64]
UInt8s = npt.NDArray[np.uint8]

SOL_PACKET = 263
_PACKET_ADD_MEMBERSHIP = 1
_PACKET_RX_RING = 5
_PACKET_STATISTICS = 6
_PACKET_VERSION = 10
_PACKET_TX_RING = 13
_PACKET_LOSS = 14
_PACKET_VNET_HDR = 15
_PACKET_QDISC_BYPASS = 20
_PACKET_MR_ALLMULTI = 2
_TPACKET_V2, _TPACKET_V3 = 1, 2
_ETH_P_ALL = 3
_SIOCGIFHWADDR = 0x8927  # netdevice(7)
_SO_ATTACH_FILTER = 26  # socket(7)
_SO_SNDBUFFORCE = 32

_MEMBERSHIP = struct.Struct("@iHH8s")
_STATISTICS = struct.Struct("@II")
_FILTER = struct.Struct("@HP")
_REQUEST = struct.Struct("@IIII")
_REQUEST_3 = struct.Struct("@IIIIIII")
INSTRUCTION_BYTES = 8  # struct sock_filter

_READY = 1  # TP_STATUS_USER of a block, TP_STATUS_SEND_REQUEST of a slot
VLAN_VALID = 1 << 4
_VLAN_TPID_VALID = 1 << 6
_ETH_P_8021Q = 0x8100
_WRONG_FORMAT = 1 << 2

# struct tpacket_block_desc, in words of 32 bits
_BLOCK_STATUS, _BLOCK_COUNT, _BLOCK_FIRST, _BLOCK_USED = 2, 3, 4, 5
# struct tpacket3_hdr, in words; the sockaddr_ll behind it, in bytes
_SECONDS, _NANOSECONDS, _CAPTURED, _LENGTH, _STATUS, _MAC, _VLAN, _TPID = 1, 2, 3, 4, 5, 6, 8, 9
_HEADER_WORDS = 12
_PACKET_TYPE = 48 + 10
# struct tpacket2_hdr, in words
_SLOT_STATUS, _SLOT_LENGTH, _SLOT_CAPTURED, _SLOT_SECONDS, _SLOT_NANOSECONDS = 0, 1, 2, 4, 5
_SLOT_HEADER_WORDS = 6
# a slot to be sent: TPACKET2_HDRLEN without its sockaddr_ll, struct virtio_net_hdr, the frame
_SLOT_COPIED = 32 + 2  # virtio_net_hdr.hdr_len, in bytes
SLOT_HEADER_BYTES = 32 + 10
# a slot received: an Ethernet frame's network header is aligned, and its own stands before that
PROMPT_NETWORK = 80
_PROMPT_FRAME = PROMPT_NETWORK - 14

_NS = 1_000_000_000
_SEND_BUFFER_BYTES = 64 * 1024 * 1024


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
            self.socket.setsockopt(SOL_PACKET, _PACKET_VERSION, _TPACKET_V3)
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
            request = _REQUEST_3.pack(
                *(self._block_bytes, blocks, self._block_bytes, blocks, retire_ms, 0, 0)
            )
            try:
                self.socket.setsockopt(SOL_PACKET, _PACKET_RX_RING, request)
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
        if not words[_BLOCK_STATUS] & _READY:
            self._wait(wait_s)
            if not words[_BLOCK_STATUS] & _READY:
                return None
        count, first, used = (int(words[at]) for at in (_BLOCK_COUNT, _BLOCK_FIRST, _BLOCK_USED))
        self._scratch[:used] = self._ring[self._next, :used]
        words[_BLOCK_STATUS] = 0
        self._next = (self._next + 1) % self._blocks
        return self._parse(count, first)

    def read_all(self, wait_s: float) -> Iterator[FrameBlock]:
        """Every block that is ready, the first of them awaited."""
        block = self.read(wait_s)
        while block is not None:
            yield block
            block = self.read(0)

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
            at_ns=header[:, _SECONDS] * _NS + header[:, _NANOSECONDS],
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


class PromptRing:
    """Frames of one protocol that come in through one Ethernet interface, as they come.

    Frames stay where the kernel has put them until they are released, and are read there:
    ``words[part]`` for the headers, ``frames[slot]`` for the bytes.

    Args:
        interface: to listen on, in the caller's network namespace.
        protocol: an EtherType; frames that this host sends are not seen.
        program: as for ``ReceiveRing``.
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
            self.socket.setsockopt(SOL_PACKET, _PACKET_VERSION, _TPACKET_V2)
            block_bytes = max(mmap.PAGESIZE, slot_bytes)
            blocks = slots * slot_bytes // block_bytes
            request = _REQUEST.pack(block_bytes, blocks, slot_bytes, slots)
            self.socket.setsockopt(SOL_PACKET, _PACKET_RX_RING, request)
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
        found: Ints = stamps[:, 0] * _NS + stamps[:, 1]
        return found

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
            self.socket.setsockopt(SOL_PACKET, _PACKET_VERSION, _TPACKET_V2)
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
        self._status[part] = _READY
        self._head = part.stop % len(self._status)
        return taken

    def _free_slots(self, wanted: int) -> int:
        """How many slots from the head on are the caller's, at most so many."""
        status = self._status[self._head : self._head + wanted]
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
