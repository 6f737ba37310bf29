"""Capture files, classic pcap and pcapng, to frames: when each was seen, and where its bytes lie.

A frame's own bytes stay where they are and are gathered later, from many frames at once. A file
comes in chunks, so that what is made of it at a time is bounded, whatever its size. A file that
ends in the middle of a record, is damaged, or is cut off while it is read, gives the frames before;
``unread`` says how many bytes are left. Format: draft-ietf-opsawg-pcap;
``analyzer.wire.capture.pcapng`` reads the other one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from analyzer.errors import ParseError
from analyzer.units import NS_PER_S
from analyzer.wire.capture.frames import Bytes, Chunk, Frames
from analyzer.wire.capture.pcap import HEADER_BYTES, MAGIC, MAX_FRAME_BYTES, RECORD_BYTES
from analyzer.wire.capture.pcapng import SECTION_MAGIC, pcapng_chunks
from analyzer.wire.capture.walk import STOP, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from analyzer.arrays import Bools, Ints


CHUNK_BYTES = 1 << 23
"""Bytes that are decoded at once: enough for a task of another process, few enough for a cache."""

_CHUNKS_WALKED = 4
"""Chunks whose records are found at once: more lanes, and fewer steps of each."""

_AHEAD_BYTES = RECORD_BYTES + MAX_FRAME_BYTES
"""Bytes that are read beyond: the last record goes on there, as far as its headers surely do."""

_FAR_IN_TIME_S = 1 << 25  # about a year; a guess uses it, a reading does not, as MAX_FRAME_BYTES


def frame_chunks(content: memoryview, chunk_bytes: int = CHUNK_BYTES) -> Iterator[Frames]:
    """The frames of a capture file, in the order of the file; at least one chunk.

    Raises:
        ParseError: neither pcap nor pcapng.
    """
    return (chunk.frames() for chunk in chunks_of(content, chunk_bytes))


def chunks_of(content: memoryview, chunk_bytes: int = CHUNK_BYTES) -> Iterator[Chunk]:
    """As ``frame_chunks``, and raises as it does; other processes may make the frames of them."""
    file = Bytes(content)
    head = file.read(0, HEADER_BYTES)
    if head.size < min(file.size, HEADER_BYTES):
        return iter((_unread(file, "<", 0),))
    magic = head.bytes(0, 4)
    if magic in MAGIC and file.size >= HEADER_BYTES:
        return _pcap_chunks(file, *MAGIC[magic], chunk_bytes)
    if magic == SECTION_MAGIC:
        return pcapng_chunks(file, chunk_bytes)
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
        read: the part of the file that they begin in, from ``read_from`` on.
        order, unit_ns: of numbers and instants.
        link_type: of all frames.
        at: the records' offsets in the file; shape (n,).
    """

    file: Bytes
    read: Bytes
    read_from: int
    order: str
    unit_ns: int
    link_type: int
    at: npt.NDArray[np.integer]
    unread: int

    def alone(self) -> _PcapChunk:
        """The same records in the piece of the file that has them; their offsets take 4 bytes."""
        nothing = self.file.piece(0, 0)
        if not len(self.at):
            return replace(self, file=nothing, read=nothing)
        first, last = int(self.at[0]) - self.read_from, int(self.at[-1]) - self.read_from
        end = last + RECORD_BYTES + self.read.number(last + 8, 4, self.order)
        piece = self.read.piece(first, end)
        at = (self.at - int(self.at[0])).astype(np.uint32)  # chunks are shorter than 4 GB
        return replace(self, file=piece, read=nothing, read_from=0, at=at)

    def frames(self) -> Frames:
        """The records' frames."""
        at = self.at.astype(np.int64)
        head = self.file.records(at, _HEADS[self.order])
        return Frames(
            file=self.file,
            at_ns=head["s"].astype(np.int64) * NS_PER_S
            + head["fraction"].astype(np.int64) * self.unit_ns,
            start=at + RECORD_BYTES,
            length=head["captured"].astype(np.int64),
            link_type=np.full(len(at), self.link_type, dtype=np.int32),
            unread=self.unread,
            untimed=0,
        )


def _pcap_chunks(file: Bytes, order: str, unit_ns: int, chunk_bytes: int) -> Iterator[_PcapChunk]:
    """Of a file that others were put behind (``cat``), the frames of all that are of its kind."""
    magic, begins = file.read(0, HEADER_BYTES), 0
    while True:
        start, units_per_s = begins + HEADER_BYTES, NS_PER_S // unit_ns
        head = file.read(begins, start + RECORD_BYTES)
        limit = max(file.size - RECORD_BYTES + 1, start)
        link_type = head.number(HEADER_BYTES - 4, 4, order) & 0xFFFF  # above: a checksum's length
        first_s = head.number(HEADER_BYTES, 4, order) if limit > start else 0
        next_begins, last = None, False
        while not last and next_begins is None:
            until = min(start + _CHUNKS_WALKED * chunk_bytes, limit)
            read = file.read(start, until + _AHEAD_BYTES)
            if read.size < min(until + _AHEAD_BYTES, file.size) - start:
                yield _unread(file, order, start)
                return
            records = _Records(read, order, units_per_s, first_s, file.size - start)
            at = walk(records, 0, until - start)
            after = start + (records.next_after(int(at[-1])) if len(at) else 0)
            found = _next_file(read, order, at, magic)
            if found is not None:
                at, next_begins = at[at < found], start + found
            last = len(at) == 0 or after >= limit or not _has_record(file, order, after)
            walked = _PcapChunk(
                file=file,
                read=read,
                read_from=start,
                order=order,
                unit_ns=unit_ns,
                link_type=link_type,
                at=at + start,
                unread=file.size - after if last and next_begins is None else 0,
            )
            yield from _cut(walked, np.arange(start + chunk_bytes, until, chunk_bytes))
            start = after
        if next_begins is None:
            return
        begins = next_begins


def _cut(walked: _PcapChunk, bounds: Ints) -> Iterator[_PcapChunk]:
    """The same records as several chunks, which begin at or after the bounds.

    The last one, which may be empty, has what is unread.
    """
    *pieces, rest = np.split(walked.at, np.unique(np.searchsorted(walked.at, bounds)))
    yield from (replace(walked, at=piece, unread=0) for piece in pieces if len(piece))
    yield replace(walked, at=rest)


def _has_record(file: Bytes, order: str, at: int) -> bool:
    """Whether a whole record begins there, as far as one may."""
    length = file.read(at, at + RECORD_BYTES).number(8, 4, order)
    return at + RECORD_BYTES + length <= file.size


def _unread(file: Bytes, order: str, start: int) -> _PcapChunk:
    """No record, and all bytes from there on unread."""
    return _PcapChunk(
        file=file,
        read=file.piece(0, 0),
        read_from=0,
        order=order,
        unit_ns=1,
        link_type=0,
        at=np.zeros(0, dtype=np.int64),
        unread=file.size - start,
    )


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
