"""Capture files, classic pcap and pcapng, to frames: when each was seen, and where its bytes lie.

A frame's own bytes stay where they are and are gathered later, from many frames at once. A file
is read and comes in chunks, so that what is made of it at a time is bounded, whatever its size. A
file that ends in the middle of a record, is damaged, or is cut off while it is read, gives the
frames before; ``unread`` says how many bytes are left. Format: draft-ietf-opsawg-pcap;
``analyzer.wire.capture.pcapng`` reads the other one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from analyzer.errors import ParseError
from analyzer.units import NS_PER_S
from analyzer.wire.capture.frames import Bytes, Chunk, Frames, Source, no_frames
from analyzer.wire.capture.pcap import HEADER_BYTES, MAGIC, MAX_FRAME_BYTES, RECORD_BYTES
from analyzer.wire.capture.pcapng import SECTION_MAGIC, pcapng_chunks
from analyzer.wire.capture.walk import STOP, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from analyzer.arrays import Bools, Ints
    from analyzer.parts.inputs import Content


CHUNK_BYTES = 1 << 23
"""Bytes that are decoded at once: enough for a task of another process, few enough for a cache."""

WHY_UNREAD = "no whole packet follows: the capture was cut off, or is damaged"
"""Why the end of a file was not read."""

_CHUNKS_WALKED = 4
"""Chunks whose records are found at once: more lanes, and fewer steps of each."""

_HOLE_RECORDS = 64
"""So many records of no bytes, at no instant, are none: a kilobyte of zeros."""

_FAR_IN_TIME_S = 1 << 25  # about a year; a guess uses it, a reading does not, as MAX_FRAME_BYTES


def frame_chunks(content: Content, chunk_bytes: int = CHUNK_BYTES) -> Iterator[Frames]:
    """The frames of a capture file, in the order of the file; at least one chunk.

    Raises:
        ParseError: neither pcap nor pcapng.
    """
    return (chunk.frames() for chunk in chunks_of(content, chunk_bytes))


def chunks_of(content: Content, chunk_bytes: int = CHUNK_BYTES) -> Iterator[Chunk]:
    """As ``frame_chunks``, and raises as it does; other processes may make the frames of them."""
    source = Source(content)
    head = source.read(0, HEADER_BYTES)
    is_cut = head.size < min(source.size, HEADER_BYTES)
    if is_cut or (head.size and not any(head.bytes(0, HEADER_BYTES))):  # a hole, as ``_hole``
        return iter((no_frames(source.size),))
    magic = head.bytes(0, 4)
    if magic in MAGIC and source.size >= HEADER_BYTES:
        return _pcap_chunks(source, *MAGIC[magic], chunk_bytes)
    if magic == SECTION_MAGIC:
        return pcapng_chunks(source, head, chunk_bytes)
    raise ParseError("capture: neither pcap nor pcapng (its first bytes are of no known kind)")


@dataclass(frozen=True, slots=True)
class _Records:
    """The records of a part of a pcap file, each a header of 16 bytes and the frame.

    Attributes:
        read: the part, by whose beginning offsets count; the last record may go beyond it.
        left: bytes of the file from there on.
    """

    read: Bytes
    order: str
    units_per_s: int
    first_s: int
    left: int
    step: int = 1

    @property
    def words(self) -> npt.NDArray[Any]:
        """Its numbers of 4 bytes, a byte apart."""
        return self.read.overlapping(4, self.order)

    def after(self, at: Ints) -> Ints:
        end = at + self.words[at + 8]
        end += RECORD_BYTES
        return np.where(end <= self.left, end, STOP)

    def next_after(self, at: int) -> int:
        end = at + RECORD_BYTES + self.read.number(at + 8, 4, self.order)
        return end if end <= self.left else STOP

    def plausible(self, at: Ints) -> Bools:
        good = self._is_near_in_time(at)
        rows = np.flatnonzero(good)
        at = at[rows]
        for _ in range(2):  # it, and whatever would come after it
            alike = self._alike(at)
            good[rows] = alike
            after = self.after(at[alike])
            inside = after <= self.read.size - RECORD_BYTES
            rows, at = rows[alike][inside], after[inside]
        return good

    def _alike(self, at: Ints) -> Bools:
        captured, length = self.words[at + 8], self.words[at + 12]
        good = (captured > 0) & (captured <= length) & (length <= MAX_FRAME_BYTES)
        return np.asarray(
            good & (self.words[at + 4] < self.units_per_s) & self._is_near_in_time(at)
        )

    def _is_near_in_time(self, at: Ints) -> Bools:
        earliest_s = np.uint32((self.first_s - _FAR_IN_TIME_S) % 2**32)
        return np.asarray(self.words[at] - earliest_s < np.uint32(2 * _FAR_IN_TIME_S))


_HEADS = {
    order: np.dtype([(name, f"{order}u4") for name in ("s", "fraction", "captured", "length")])
    for order in "<>"
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _PcapChunk:
    """Records, all of one file or of files put behind each other.

    Attributes:
        file, unread: as in Frames.
        order, unit_ns: of numbers and instants.
        link_type: of all frames.
        at: the records' offsets in ``file``; shape (n,).
    """

    file: Bytes
    order: str
    unit_ns: int
    link_type: int
    at: npt.NDArray[np.integer]
    unread: int

    def alone(self) -> _PcapChunk:
        """The same records in the piece of the file that has them; their offsets take 4 bytes."""
        if not len(self.at):
            return replace(self, file=self.file.piece(0, 0))
        first, last = int(self.at[0]), int(self.at[-1])
        end = last + RECORD_BYTES + self.file.number(last + 8, 4, self.order)
        at = (self.at - first).astype(np.uint32)  # chunks are shorter than 4 GB
        return replace(self, file=self.file.piece(first, end), at=at)

    def frames(self) -> Frames:
        """The records' frames."""
        at = self.at.astype(np.int64)
        head = self.file.records(at, _HEADS[self.order])
        frames = Frames(
            file=self.file,
            at_ns=head["s"].astype(np.int64) * NS_PER_S
            + head["fraction"].astype(np.int64) * self.unit_ns,
            start=at + RECORD_BYTES,
            length=head["captured"].astype(np.int64),
            link_type=np.full(len(at), self.link_type, dtype=np.int32),
            unread=self.unread,
            untimed=0,
        )
        return frames.frames()


def _pcap_chunks(
    source: Source, order: str, unit_ns: int, chunk_bytes: int
) -> Iterator[_PcapChunk]:
    """Of a file that others were put behind (``cat``), the frames of all that are of its kind."""
    magic = source.read(0, HEADER_BYTES)
    next_begins: int | None = 0
    while next_begins is not None:
        head = source.read(next_begins, next_begins + HEADER_BYTES + RECORD_BYTES)
        link_type = head.number(HEADER_BYTES - 4, 4, order) & 0xFFFF  # above: a checksum's length
        first_s = head.number(HEADER_BYTES, 4, order)
        start, next_begins, last = next_begins + HEADER_BYTES, None, False
        while not last and next_begins is None:
            part = source.stretch(start, _CHUNKS_WALKED * chunk_bytes, RECORD_BYTES)
            records = _Records(part.read, order, NS_PER_S // unit_ns, first_s, part.left)
            at = walk(records, 0, part.until)
            hole = _hole(part.read, order, at)
            if hole is not None:
                at = at[at < hole]
            after = start + (records.next_after(int(at[-1])) if len(at) else 0)
            found = _next_file(part.read, order, at, magic)
            if found is not None:
                at, next_begins = at[at < found], start + found
            is_end = part.is_cut or hole is not None or len(at) == 0
            last = is_end or not _has_record(source, order, after)
            walked = _PcapChunk(
                file=part.read,
                order=order,
                unit_ns=unit_ns,
                link_type=link_type,
                at=at,
                unread=source.size - after if last and next_begins is None else 0,
            )
            yield from _cut(walked, np.arange(chunk_bytes, part.until, chunk_bytes))
            start = after


def _cut(walked: _PcapChunk, bounds: Ints) -> Iterator[_PcapChunk]:
    """The same records as several chunks, which begin at or after the bounds.

    The last one, which may be empty, has what is unread.
    """
    *pieces, rest = np.split(walked.at, np.unique(np.searchsorted(walked.at, bounds)))
    yield from (replace(walked, at=piece, unread=0) for piece in pieces if len(piece))
    yield replace(walked, at=rest)


def _has_record(source: Source, order: str, at: int) -> bool:
    """Whether a whole record begins there, as far as one may."""
    head = source.read(at, at + RECORD_BYTES)
    return head.size == RECORD_BYTES and at + head.size + head.number(8, 4, order) <= source.size


def _hole(read: Bytes, order: str, at: Ints) -> int | None:
    """The first of many consecutive records that are zeros alone; the last may lie beyond these.

    So reads what is left of a file that is cut off to nothing while it is written (``copytruncate``
    of logrotate): its writer goes on where it was.
    """
    if not len(at):
        return None
    beyond = at[-1] + RECORD_BYTES * np.arange(1, _HOLE_RECORDS)
    at = np.r_[at, beyond[beyond + RECORD_BYTES <= read.size]]
    words = read.overlapping(4, order)
    rows = np.flatnonzero(words[at] == 0)
    for field in (4, 8, 12):
        rows = rows[words[at[rows] + field] == 0]
    begins = np.flatnonzero(
        rows[_HOLE_RECORDS - 1 :] == rows[: 1 - _HOLE_RECORDS] + _HOLE_RECORDS - 1
    )
    return int(at[rows[begins[0]]]) if len(begins) else None


def _next_file(read: Bytes, order: str, at: Ints, magic: Bytes) -> int | None:
    """Where another file of the same kind begins: its header looks like an empty record.

    Args:
        read: a part of the file.
        order: of its numbers.
        at: the records' offsets in the part.
        magic: the header of the first file.
    """
    headers = at[read.overlapping(4, order)[at] == magic.number(0, 4, order)]
    same = read.numbers(headers + 4, 4, order) == magic.number(4, 4, order)
    same &= read.numbers(headers + 8, 4, order) == 0
    headers = headers[same & (headers + HEADER_BYTES <= read.size)]
    return int(headers[0]) if len(headers) else None
