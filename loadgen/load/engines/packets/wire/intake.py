"""From frames in a ring to segments: which of them are kept, whose they are, what they carry."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from loadgen.load.engines.packets.tcp.segments import ReceivedSegments
from loadgen.load.engines.packets.wire.versions import ETHERNET_BYTES, IPV6, version_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from loadgen.load.engines.packets.tcp.connections import Bools, Ints, UInt32s
    from loadgen.rings.slots import PromptRing

_NO_PAIR = 0  # port 0: no connection has it
_LOW, _ETHERNET_BYTES = np.uint32(0xFFFF), np.uint32(ETHERNET_BYTES)
_IPV6_BYTES = np.uint32(IPV6.ip_bytes)
_32, _ODD = np.uint64(32), np.uint64(0x9E3779B97F4A7C15)


class Places:
    """From our address in a frame to its number in the pool.

    Args:
        pool: addresses of one version of IP.
    """

    def __init__(self, pool: Sequence[str]) -> None:
        packed = b"".join(map(version_of(pool[0]).packed, pool))
        words = np.frombuffer(packed, ">u4").reshape(len(pool), -1).astype(np.uint32)
        addresses = _one_number(words)
        order = np.argsort(addresses)
        self._addresses = addresses[order]
        self._first_pairs = order * 65536

    def pairs(self, words: UInt32s, port: UInt32s) -> Ints:
        """The pair of each (``ports.Pairs``); of an address that is not ours, one of nobody.

        Args:
            words: the addresses, 32 bits at a time; shape (n, 1) or (n, 4).
            port: shape (n,).
        """
        address = _one_number(words)
        last = len(self._addresses) - 1
        places = np.minimum(self._addresses.searchsorted(address), last) if last else 0
        pairs = self._first_pairs[places] + port
        strange = (self._addresses[places] != address).nonzero()[0]
        if len(strange):
            pairs[strange] = _NO_PAIR
        return np.asarray(pairs)


def _one_number(words: UInt32s) -> npt.NDArray[Any]:
    """Addresses as numbers of at most 64 bits: of IPv6 the lower half, the upper mixed into it."""
    if words.shape[1] == 1:
        return words[:, 0]
    high, low = (words[:, [0, 2]].astype(np.uint64) << _32 | words[:, [1, 3]]).T
    return np.asarray(low ^ (high * _ODD))


class Reader:
    """Frames from one VIP and port, as segments.

    Args:
        pool: addresses of ours, of the VIP's version of IP.
    """

    def __init__(self, pool: Sequence[str]) -> None:
        version = version_of(pool[0])
        self._places = Places(pool)
        self._is_6 = version is IPV6
        # of 32 bits, from the IP header on: where our address is, and where TCP begins
        self._ours = slice(6, 10) if self._is_6 else slice(4, 5)
        self._tcp = version.ip_bytes // 4
        offset = np.arange(256, dtype=np.uint32) >> 4
        self._offset = ETHERNET_BYTES + version.ip_bytes + 12  # its data offset, then its flags
        self._begins = ETHERNET_BYTES + version.ip_bytes + 4 * offset

    def seen(self, ring: PromptRing, part: slice) -> ReceivedSegments:
        """What lies in a part of the ring; good until its slots are released."""
        tcp = self._tcp
        words = ring.words[part, : tcp + 4].astype(np.uint32)
        size = (words[:, 1] >> 16) + _IPV6_BYTES if self._is_6 else words[:, 0] & _LOW
        size += _ETHERNET_BYTES
        offset, flags = ring.frames[part, self._offset : self._offset + 2].T.astype(np.int64)
        begin = self._begins[offset]
        size -= begin
        return ReceivedSegments(
            pair=self._places.pairs(words[:, self._ours], words[:, tcp] & _LOW),
            seq=words[:, tcp + 1],
            ack=words[:, tcp + 2],
            flags=flags,
            size=size.view(np.int32),
            at_ns=ring.at_ns(part),
            payloads=InRing(ring, part, begin, size),
        )


class InRing:
    """What segments carry, where they lie in the ring; good until their slots are released.

    Args:
        ring: that they lie in.
        part: their slots.
        begin: of each payload, bytes from the frame's beginning.
        size: of each payload, bytes.
    """

    def __init__(self, ring: PromptRing, part: slice, begin: UInt32s, size: UInt32s) -> None:
        self._ring = ring
        self._part = part
        self._frames = ring.frames[part]
        self._begin = begin
        self._size = size

    def of(self, place: int) -> bytes:
        """The bytes of a segment, as many as are at hand."""
        begin = int(self._begin[place])
        captured = int(self._ring.captured(self._part)[place])
        return self._frames[place, begin : min(begin + int(self._size[place]), captured)].tobytes()

    def equal(self, places: Ints, content: bytes) -> Bools:
        """Which of these segments carry just that."""
        begin, size = int(self._begin[places[0]]), len(content)
        alike = (self._begin[places] == begin) & (self._size[places] == size)
        if begin + size > self._frames.shape[1]:
            return np.zeros(len(places), np.bool_)
        contents = self._frames[places, begin : begin + size]
        if contents.tobytes() == content * len(places):  # which is the rule, and one comparison
            return np.asarray(alike)
        same = (contents == np.frombuffer(content, np.uint8)).all(axis=1)
        return np.asarray(alike & same)


def program(vip: str, port: int) -> bytes:
    """Keep TCP from the VIP's port, without IP options or extension headers (bpf(4))."""
    address = version_of(vip).packed(vip)
    steps = _only_ipv6(address, port) if len(address) == 16 else _only_ipv4(address, port)
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


_Step = tuple[int, int, int, int]


def _only_ipv4(address: bytes, port: int) -> tuple[_Step, ...]:
    """Whole packets, or first fragments."""
    return (
        (0x30, 0, 0, 14),  # ldb version and header length
        (0x15, 0, 9, 0x45),
        (0x30, 0, 0, 23),  # ldb protocol
        (0x15, 0, 7, 6),
        (0x28, 0, 0, 20),  # ldh fragment
        (0x45, 5, 0, 0x3FFF),
        (0x20, 0, 0, 26),  # ld source
        (0x15, 0, 3, int.from_bytes(address)),
        (0x28, 0, 0, 34),  # ldh source port
        (0x15, 0, 1, port),
        (0x06, 0, 0, 0x40000),
        (0x06, 0, 0, 0),
    )


def _only_ipv6(address: bytes, port: int) -> tuple[_Step, ...]:
    compared = ((0x28, 54, port), *((0x20, 22 + at, word) for at, word in _words_at(address)))
    wanted = ((0x30, 20, 6), *compared)  # ldb next header, ldh source port, ld source
    steps: list[_Step] = []
    for left, (load, at, value) in zip(range(len(wanted), 0, -1), wanted, strict=True):
        steps += [(load, 0, 0, at), (0x15, 0, 2 * left - 1, value)]
    return (*steps, (0x06, 0, 0, 0x40000), (0x06, 0, 0, 0))


def _words_at(address: bytes) -> Iterator[tuple[int, int]]:
    yield from ((at, int.from_bytes(address[at : at + 4])) for at in range(0, 16, 4))
