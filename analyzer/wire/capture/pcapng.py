"""pcapng: sections, their interfaces, and packet blocks to frames (draft-ietf-opsawg-pcapng).

Packets are in enhanced blocks, or in the packet blocks of before. Simple packet blocks have no
instant: they are counted, not given one. Each interface has its own link, resolution and offset;
each section its own interfaces and byte order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from analyzer.errors import ParseError
from analyzer.units import NS_PER_S
from analyzer.wire.capture.frames import Bytes, Frames, Source
from analyzer.wire.capture.walk import STOP, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from analyzer.arrays import Bools, Ints

    UInts = npt.NDArray[np.uint64]

SECTION_MAGIC = b"\x0a\x0d\x0d\x0a"

_SECTION = 0x0A0D0D0A
_ORDER_MAGIC = 0x1A2B3C4D
_ORDERS = {b"\x1a\x2b\x3c\x4d": ">", b"\x4d\x3c\x2b\x1a": "<"}
_INTERFACE, _OBSOLETE, _SIMPLE, _ENHANCED = 1, 2, 3, 6
_LEAST_BLOCK, _LEAST_SECTION, _LEAST_INTERFACE, _LEAST_PACKET = 12, 28, 20, 32
_OPTION_RESOLUTION, _OPTION_OFFSET = 9, 14
_MICROSECONDS = 6
_LONGEST_PLAUSIBLE = 1 << 20
_LATEST_NS = 2**63 - 1


@dataclass(frozen=True, slots=True)
class _Blocks:
    """Blocks of one byte order: they end at a section of the other one.

    Attributes:
        file: a part of the file, by whose beginning offsets count; the last may go beyond it.
        left: bytes of the file from there on.
    """

    file: Bytes
    order: str
    left: int
    step: int = 4

    def after(self, at: Ints) -> Ints:
        length = self.file.numbers(at + 4, 4, self.order)
        whole = (length >= _LEAST_BLOCK) & (length % 4 == 0) & (at + length <= self.left)
        section = np.flatnonzero(self.file.numbers(at, 4, self.order) == _SECTION)
        if len(section):
            ours = self.file.numbers(at[section] + 8, 4, self.order) == _ORDER_MAGIC
            whole[section] &= ours & (length[section] >= _LEAST_SECTION)
        return np.where(whole, at + length, STOP)

    def next_after(self, at: int) -> int:
        length = self.file.number(at + 4, 4, self.order)
        if length < _LEAST_BLOCK or length % 4 or at + length > self.left:
            return STOP
        if self.file.number(at, 4, self.order) == _SECTION and (
            length < _LEAST_SECTION or self.file.number(at + 8, 4, self.order) != _ORDER_MAGIC
        ):
            return STOP
        return at + length

    def plausible(self, at: Ints) -> Bools:
        """A block's length stands at both its ends."""
        length = self.file.numbers(at + 4, 4, self.order)
        good = (length >= _LEAST_BLOCK) & (length % 4 == 0) & (length <= _LONGEST_PLAUSIBLE)
        rows = np.flatnonzero(good)
        again = self.file.numbers(at[rows] + length[rows] - 4, 4, self.order)
        good[rows] = (again == length[rows]) & (self.after(at[rows]) < STOP)
        return np.asarray(good)


@dataclass(slots=True)
class _Interfaces:
    """The interfaces of all sections so far, and where the present section's begin."""

    link_type: list[int] = field(default_factory=list)
    resolution: list[int] = field(default_factory=list)
    offset_s: list[int] = field(default_factory=list)
    section_begins: int = 0

    def add(self, file: Bytes, order: str, at: int, length: int) -> None:
        """Add the interface of an interface description block."""
        resolution, offset_s = _options(file, order, at + 16, at + length - 4)
        self.link_type.append(file.number(at + 8, 2, order))
        self.resolution.append(resolution)
        self.offset_s.append(offset_s)


def pcapng_chunks(source: Source, head: Bytes, chunk_bytes: int) -> Iterator[Frames]:
    """The frames of a file that begins with SECTION_MAGIC; at least one chunk.

    Args:
        source: the file.
        head: its first bytes.
        chunk_bytes: how much is read at once.

    Raises:
        ParseError: the byte order of its first section is none.
    """
    order = _ORDERS.get(head.bytes(8, 4))
    if order is None and source.size >= _LEAST_BLOCK:
        raise ParseError("capture: pcapng of no known byte order (in its first 12 bytes)")
    return _chunks(source, order or "<", chunk_bytes)


def _chunks(source: Source, order: str, chunk_bytes: int) -> Iterator[Frames]:
    interfaces = _Interfaces()
    start, last = 0, False
    while not last:
        part = source.stretch(start, chunk_bytes, _LEAST_BLOCK)
        blocks = _Blocks(part.read, order, part.left)
        at = walk(blocks, 0, part.until)
        after = start + (blocks.next_after(int(at[-1])) if len(at) else 0)
        new_order = _order_from(source, order, after)
        last = part.is_cut or new_order is None
        unread = source.size - after if last else 0
        yield _frames(part.read, order, at, interfaces, unread)
        start, order = after, new_order or order


def _order_from(source: Source, order: str, at: int) -> str | None:
    """The byte order of the whole block that begins here; None without one."""
    head, left = source.read(at, at + _LEAST_SECTION), source.size - at
    if head.size < _LEAST_BLOCK:
        return None
    new = _ORDERS.get(head.bytes(8, 4), order) if head.bytes(0, 4) == SECTION_MAGIC else order
    return new if _Blocks(head, new, left).next_after(0) < STOP else None


def _frames(file: Bytes, order: str, at: Ints, interfaces: _Interfaces, unread: int) -> Frames:
    kind, length = file.numbers(at, 4, order), file.numbers(at + 4, 4, order)
    begins, known = _interfaces_at(file, order, at, kind, length, interfaces)
    rows = np.flatnonzero(((kind == _ENHANCED) | (kind == _OBSOLETE)) & (length >= _LEAST_PACKET))
    width = np.where(kind[rows] == _ENHANCED, 4, 2)
    number = file.numbers(at[rows] + 8, 4, order)
    if (width == 2).any():
        number = np.where(width == 2, file.numbers(at[rows] + 8, 2, order), number)
    captured = file.numbers(at[rows] + 20, 4, order)
    sound = (number < known[rows]) & (captured <= length[rows] - _LEAST_PACKET)
    rows, captured = rows[sound], captured[sound]
    interface = begins[rows] + number[sound]
    high, low = file.numbers(at[rows] + 12, 4, order), file.numbers(at[rows] + 16, 4, order)
    units = high.astype(np.uint64) << np.uint64(32) | low.astype(np.uint64)
    resolution = np.array(interfaces.resolution, dtype=np.int64)[interface]
    offset_s = np.array(interfaces.offset_s, dtype=np.int64)[interface]
    return Frames(
        file=file,
        at_ns=_instants_ns(units, resolution, offset_s),
        start=at[rows] + 28,
        length=captured,
        link_type=np.array(interfaces.link_type, dtype=np.int32)[interface],
        unread=unread,
        untimed=int((kind == _SIMPLE).sum()),
    )


def _interfaces_at(
    file: Bytes, order: str, at: Ints, kind: Ints, length: Ints, interfaces: _Interfaces
) -> tuple[Ints, Ints]:
    """Where each block's section has its interfaces, and how many are known so far."""
    marks = np.flatnonzero(
        (kind == _SECTION) | ((kind == _INTERFACE) & (length >= _LEAST_INTERFACE))
    )
    begins = [interfaces.section_begins]
    counts = [len(interfaces.link_type) - interfaces.section_begins]
    for row in marks.tolist():  # sections and interfaces, never packets
        if kind[row] == _SECTION:
            interfaces.section_begins = len(interfaces.link_type)
        else:
            interfaces.add(file, order, int(at[row]), int(length[row]))
        begins.append(interfaces.section_begins)
        counts.append(len(interfaces.link_type) - interfaces.section_begins)
    since = np.searchsorted(marks, np.arange(len(at)), side="left")
    return np.array(begins, dtype=np.int64)[since], np.array(counts, dtype=np.int64)[since]


def _options(file: Bytes, order: str, at: int, end: int) -> tuple[int, int]:
    """Options of an interface: if_tsresol as written, and if_tsoffset in seconds."""
    resolution, offset_s = _MICROSECONDS, 0
    while at + 4 <= end:
        code, length = file.number(at, 2, order), file.number(at + 2, 2, order)
        value = at + 4
        if code == 0 or value + length > end:
            break
        if code == _OPTION_RESOLUTION and length == 1:
            resolution = file.number(value, 1)
        elif code == _OPTION_OFFSET and length == 8:
            unsigned = file.number(value, 8, order)
            signed = unsigned - (unsigned >> 63 << 64)
            offset_s = signed if abs(signed) < 2**33 else 0
        at = value + (length + 3) // 4 * 4
    return resolution, offset_s


def _instants_ns(units: UInts, resolution: Ints, offset_s: Ints) -> Ints:
    """Unix ns, at most what an int64 holds; each resolution once."""
    at_ns = np.zeros(len(units), dtype=np.int64)
    for kind in np.flatnonzero(np.bincount(resolution, minlength=1)).tolist():
        rows = resolution == kind
        at_ns[rows] = _whole_ns(units[rows], kind)
    offset_ns = offset_s * NS_PER_S
    return np.asarray(np.minimum(at_ns, _LATEST_NS - np.maximum(offset_ns, 0)) + offset_ns)


def _whole_ns(units: UInts, resolution: int) -> Ints:
    """Units of 10^-n s, or of 2^-n s where the highest bit is set, in ns."""
    power = resolution & 0x7F
    if resolution & 0x80:
        return _of_binary(units, power)
    if power > 9:
        divisor = 10 ** (power - 9)
        whole = units // np.uint64(divisor) if divisor < 2**64 else np.zeros_like(units)
        return np.minimum(whole, np.uint64(_LATEST_NS)).astype(np.int64)
    factor = 10 ** (9 - power)
    most = np.minimum(units, np.uint64(_LATEST_NS // factor))
    return np.asarray(most * np.uint64(factor), dtype=np.int64)


def _of_binary(units: UInts, power: int) -> Ints:
    """Units times 10^9 / 2^power: whole seconds apart, the rest in two parts that fit."""
    if power < 64:
        seconds = units >> np.uint64(power)
        rest = units & np.uint64((1 << power) - 1)
    else:
        seconds, rest = np.zeros_like(units), units
    high, low = rest >> np.uint64(33), rest & np.uint64((1 << 33) - 1)
    scaled = high * np.uint64(NS_PER_S) + (
        low * np.uint64(NS_PER_S) >> np.uint64(33)
    )  # rest * 10^9 / 2^33
    if power < 33:
        scaled = low * np.uint64(NS_PER_S) >> np.uint64(power)
    else:
        scaled >>= np.uint64(min(power - 33, 63))
    most = np.uint64(_LATEST_NS // NS_PER_S - 1)
    at_ns = np.minimum(seconds, most) * np.uint64(NS_PER_S) + scaled
    return np.asarray(at_ns, dtype=np.int64)
