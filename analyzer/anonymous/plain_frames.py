"""The frames that most captures consist of, rewritten many at a time.

Whole headers of TCP and UDP in IPv4 without options, in Ethernet without tags, not fragmented:
their copies are, byte for byte, those of ``FrameAnonymiser``, which rewrites all others.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

import numpy as np

from analyzer.wire.capture.ethertypes import IPV4
from analyzer.wire.capture.links import ETHERNET

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from analyzer.anonymous.substitution import Substitution
    from analyzer.arrays import Bools, Ints
    from analyzer.wire.capture.frames import Frames
    from analyzer.wire.capture.links import Link

    Octets = npt.NDArray[np.uint8]

_IP, _TRANSPORT = 14, 34
"""Where the headers begin."""

_MACS = (0, 6)
_ADDRESSES = slice(_IP + 12, _TRANSPORT)
_IP_CHECKSUM = slice(_IP + 10, _IP + 12)
_NO_OPTIONS, _NO_OPERATION = 0x45, 1
_LATER_FRAGMENT = 0x1FFF
_ONES = 0xFFFF
_UDP_HEADER = 8


@dataclass(frozen=True, slots=True)
class _Transport:
    """A protocol: its number, the bytes of its header without options, where the checksum is."""

    protocol: int
    header: int
    checksum: int


_TCP, _UDP = _Transport(6, 20, 16), _Transport(17, _UDP_HEADER, 6)


def plain_copies(
    frames: Frames, link: Link, substitution: Substitution
) -> Iterator[tuple[Ints, list[bytes]]]:
    """Copies of plain frames: rows of a chunk, and the copy of each."""
    plain = (frames.link_type == ETHERNET) & (link.ethertype == IPV4) & ~link.shimmed
    plain &= ~link.tunnelled & (link.network - frames.start == _IP)
    for transport in (_TCP, _UDP):
        rows = np.flatnonzero(plain & frames.holds(frames.start + _TRANSPORT + transport.header))
        rows = rows[_is_plain(frames, rows, transport)]
        header = _header_bytes(frames, rows, transport)
        whole = frames.holds_at(rows, frames.start[rows] + _TRANSPORT + header)
        for size in np.unique(header[whole]).tolist():
            here = rows[whole & (header == size)]
            yield here, _rewritten(frames, here, size, transport, substitution)


def _is_plain(frames: Frames, rows: Ints, transport: _Transport) -> Bools:
    at = frames.start[rows] + _IP
    plain = frames.file.numbers(at, 1) == _NO_OPTIONS
    plain &= frames.file.numbers(at + 9, 1) == transport.protocol
    return np.asarray(plain & (frames.file.numbers(at + 6, 2) & _LATER_FRAGMENT == 0))


def _header_bytes(frames: Frames, rows: Ints, transport: _Transport) -> Ints:
    """Of the transport's header, TCP's options with it."""
    if transport is _UDP:
        return np.full(len(rows), transport.header)
    words = frames.file.numbers(frames.start[rows] + _TRANSPORT + 12, 1) >> 4
    return np.asarray(np.maximum(words * 4, transport.header))


def _rewritten(
    frames: Frames, rows: Ints, header: int, transport: _Transport, substitution: Substitution
) -> list[bytes]:
    """The copies of frames with a transport's header of so many bytes."""
    size, start = _TRANSPORT + header, frames.start[rows]
    octets = frames.file.overlapping(1, ">")[start[:, None] + np.arange(size)]
    options = slice(_TRANSPORT + transport.header, size)
    before = _sums(octets[:, _ADDRESSES]) + _sums(octets[:, options])
    for at in _MACS:
        octets[:, at : at + 6] = _macs(frames.file.numbers(start + at, 6), substitution)
    for at in (_ADDRESSES.start, _ADDRESSES.start + 4):
        octets[:, at : at + 4] = _addresses(frames.file.numbers(start + at, 4), substitution)
    octets[:, options] = _NO_OPERATION
    octets[:, _IP_CHECKSUM] = 0
    octets[:, _IP_CHECKSUM] = _big_endian(_ONES - _folded(_sums(octets[:, _IP:_TRANSPORT])), 2)
    now = _sums(octets[:, _ADDRESSES]) + _sums(octets[:, options])
    where = slice(_TRANSPORT + transport.checksum, _TRANSPORT + transport.checksum + 2)
    octets[:, where] = _adjusted(octets[:, where], before, now, transport)
    raw = octets.tobytes()
    return [raw[at : at + size] for at in range(0, len(raw), size)]


def _macs(macs: Ints, substitution: Substitution) -> Octets:
    distinct, which = np.unique(macs, return_inverse=True)
    made = np.array([substitution.mac(mac) for mac in distinct.tolist()], dtype=np.int64)
    return _big_endian(made, 8)[which, 2:]


def _addresses(addresses: Ints, substitution: Substitution) -> Octets:
    distinct, which = np.unique(addresses, return_inverse=True)
    made = [int(substitution.address(IPv4Address(number))) for number in distinct.tolist()]
    return _big_endian(np.array(made, dtype=np.int64), 4)[which]


def _adjusted(checksum: Octets, before: Ints, now: Ints, transport: _Transport) -> Octets:
    """Checksums, updated for changed bytes (RFC 1624); 0 in UDP means no checksum."""
    given = checksum[:, 0].astype(np.int64) << 8 | checksum[:, 1]
    made = _ONES - _folded(_ONES - given + _ONES - _folded(before) + now)
    if transport is _UDP:
        made = np.where(given == 0, 0, np.where(made == 0, _ONES, made))
    return _big_endian(made, 2)


def _sums(octets: Octets) -> Ints:
    """The sum of each row's words of 16 bits; a row has an even number of bytes."""
    high, low = octets[:, ::2], octets[:, 1::2]
    return np.asarray((high.sum(axis=1, dtype=np.int64) << 8) + low.sum(axis=1, dtype=np.int64))


def _folded(sums: Ints) -> Ints:
    """Sums in ones' complement (RFC 1071): what is not 0 is never folded to 0."""
    folded = sums % _ONES
    return np.where((folded == 0) & (sums > 0), _ONES, folded)


def _big_endian(numbers: Ints, size: int) -> Octets:
    return numbers.astype(f">u{size}").view(np.uint8).reshape(-1, size)
