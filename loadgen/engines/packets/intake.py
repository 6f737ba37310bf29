"""From frames in a ring to segments: which of them are kept, whose they are, what they carry."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

import numpy as np

from loadgen.engines.packets.frames import ETHERNET_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadgen.engines.packets.connections import Bools, Ints, UInt32s
    from loadgen.rings import PromptRing

_NO_PAIR = 0  # port 0: no connection has it


class Places:
    """From our address in a frame to its number in the pool."""

    def __init__(self, pool: Sequence[str]) -> None:
        addresses = [struct.unpack("!I", socket.inet_aton(address))[0] for address in pool]
        self._order = np.argsort(addresses)
        self._addresses = np.array(addresses, np.uint32)[self._order]

    def pairs(self, address: UInt32s, port: UInt32s) -> Ints:
        """The pair of each (``ports.Pairs``); of an address that is not ours, one of nobody."""
        last = len(self._addresses) - 1
        places = np.minimum(np.searchsorted(self._addresses, address), last) if last else 0
        pairs = self._order[places] * 65536 + port.astype(np.int64)
        return np.where(self._addresses[places] == address, pairs, _NO_PAIR)


class InRing:
    """What segments carry, where they lie in the ring; good until their slots are released.

    Args:
        ring: that they lie in.
        part: their slots.
        begin: of each payload, bytes from the IP header on.
        end: behind each, in the same way.
    """

    def __init__(self, ring: PromptRing, part: slice, begin: Ints, end: Ints) -> None:
        self._frames = ring.frames[part]
        self._captured = ring.captured(part)
        self._begin = begin + ETHERNET_BYTES
        self._end = np.minimum(end + ETHERNET_BYTES, self._captured)
        self._size = end - begin

    def of(self, place: int) -> bytes:
        """The bytes of a segment, as many as are at hand."""
        return self._frames[place, self._begin[place] : self._end[place]].tobytes()

    def equal(self, places: Ints, content: bytes) -> Bools:
        """Which of these segments carry just that."""
        begin, size = int(self._begin[places[0]]), len(content)
        alike = (self._begin[places] == begin) & (self._size[places] == size)
        if begin + size > self._frames.shape[1]:
            return np.zeros(len(places), np.bool_)
        wanted = np.frombuffer(content, np.uint8)
        same = (self._frames[places, begin : begin + size] == wanted).all(axis=1)
        return np.asarray(alike & same)


def program(vip: str, port: int) -> bytes:
    """Keep TCP from the VIP's port, whole or its first fragment, without IP options (bpf(4))."""
    address = struct.unpack("!I", socket.inet_aton(vip))[0]
    steps = (
        (0x30, 0, 0, 14),  # ldb version and header length
        (0x15, 0, 9, 0x45),
        (0x30, 0, 0, 23),  # ldb protocol
        (0x15, 0, 7, 6),
        (0x28, 0, 0, 20),  # ldh fragment
        (0x45, 5, 0, 0x3FFF),
        (0x20, 0, 0, 26),  # ld source
        (0x15, 0, 3, address),
        (0x28, 0, 0, 34),  # ldh source port
        (0x15, 0, 1, port),
        (0x06, 0, 0, 0x40000),
        (0x06, 0, 0, 0),
    )
    return b"".join(struct.pack("=HBBI", *step) for step in steps)
