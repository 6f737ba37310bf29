"""Frames by their places in a file, and numbers gathered from many places at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from analyzer.parts.inputs import InputFile
from analyzer.wire.capture.pcap import MAX_FRAME_BYTES, RECORD_BYTES

if TYPE_CHECKING:
    import numpy.typing as npt

    from analyzer.arrays import Bools, Ints
    from analyzer.parts.inputs import Content


_MAC = (1 << 48) - 1
_BEFORE_BYTES = 64  # a record's header, in any format

AHEAD_BYTES = RECORD_BYTES + MAX_FRAME_BYTES
"""Bytes that are read beyond: the last record goes on there, as far as its headers surely do."""


class Bytes:
    """Bytes in memory, read as numbers at any offsets, aligned or not.

    For each width there is one array of overlapping numbers, a byte apart, over the same bytes:
    nothing is copied but what is requested. An offset past the end gives some number, and never
    fails; the caller must know what it holds.

    Attributes:
        size: how many they are.
        missing: bytes behind them that another process had, and its file had no longer for us.
    """

    def __init__(self, content: memoryview, whole_size: int = 0) -> None:
        self._content = content
        self.size = len(content)
        self.missing = max(whole_size - self.size, 0)
        self._views = {
            (width, order): self._overlapping(width, order)
            for width in (1, 2, 4, 8)
            for order in "<>"
        }

    def __reduce__(self) -> tuple[type[Bytes], tuple[memoryview, int]]:
        return Bytes, (self._content, self.size)

    def numbers(self, at: Ints, width: int, order: str = ">") -> Ints:
        """Unsigned numbers of 1, 2, 4 or 6 bytes at each offset; of 8, modulo 2^64 (``wide``)."""
        if width == 6:  # as the end of eight: what is before a frame is its record's header
            return (self.wide(at - 2, order) & np.uint64(_MAC)).astype(np.int64)
        return self._gather(at, width, order).astype(np.int64)

    def unsigned(self, at: Ints, width: int, order: str = ">") -> npt.NDArray[Any]:
        """Numbers of 1, 2 or 4 bytes as they are, u1, u2 or u4: for what is kept, not reckoned."""
        return self._gather(at, width, order).astype(f"u{width}")

    def records(self, at: Ints, kind: np.dtype[Any]) -> npt.NDArray[Any]:
        """The bytes at each offset as fields, copied at once; past the end as ``numbers``."""
        count = self.size - kind.itemsize + 1
        if count <= 0 or len(at) == 0:
            return np.zeros(len(at), dtype=kind)
        all_of_them = np.ndarray((count,), f"V{kind.itemsize}", self._content, strides=(1,))
        return all_of_them[at if at.max() < count else np.minimum(at, count - 1)].view(kind)

    def overlapping(self, width: int, order: str) -> npt.NDArray[Any]:
        """All numbers of this width, a byte apart; for callers whose offsets are inside."""
        return self._views[width, order]

    def wide(self, at: Ints, order: str = ">") -> npt.NDArray[np.uint64]:
        """Unsigned numbers of 8 bytes."""
        return self._gather(at, 8, order).astype(np.uint64)

    def number(self, at: int, width: int, order: str = ">") -> int:
        """One unsigned number."""
        return int.from_bytes(self._content[at : at + width], "big" if order == ">" else "little")

    def piece(self, first: int, last: int) -> Bytes:
        """Some of them, by themselves."""
        return Bytes(self._content[first:last])

    def bytes(self, at: int, size: int) -> bytes:
        """A copy of some bytes."""
        return bytes(self._content[at : at + size])

    def _gather(self, at: Ints, width: int, order: str) -> npt.NDArray[np.unsignedinteger]:
        view = self._views[width, order]
        if len(view) == 0 or len(at) == 0:
            return np.zeros(len(at), dtype=view.dtype)
        return view[at if at.max() < len(view) else np.minimum(at, len(view) - 1)]

    def _overlapping(self, width: int, order: str) -> npt.NDArray[np.unsignedinteger]:
        size = max(self.size - width + 1, 0)
        if size == 0:
            return np.zeros(0, dtype=f"{order}u{width}")
        return np.ndarray((size,), f"{order}u{width}", self._content, strides=(1,))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A part of a capture file, from the beginning of a record on; offsets count from there.

    Attributes:
        read: its bytes, and some of those behind it, where its last record goes on.
        until: records of it begin before.
        left: bytes of the file from its beginning on.
        is_cut: the file was cut off since it was opened: there is nothing behind ``read``.
    """

    read: Bytes
    until: int
    left: int
    is_cut: bool


@dataclass(frozen=True, slots=True)
class Source:
    """A capture file, read stretch by stretch: only what has been read is in memory."""

    content: Content

    @property
    def size(self) -> int:
        """Its bytes, as it was opened."""
        return len(self.content)

    def read(self, first: int, last: int) -> Bytes:
        """Some bytes, less what was cut off since."""
        content = self.content
        if isinstance(content, InputFile):
            return Bytes(content.read(first, last))
        return Bytes(content[first:last])

    def stretch(self, begins: int, size: int, least: int) -> Stretch:
        """The next stretch.

        Args:
            begins: where.
            size: how far from there on its records may begin.
            least: bytes of the shortest record.
        """
        left = max(self.size - begins, 0)
        wanted = min(size + AHEAD_BYTES, left)
        read = self.read(begins, begins + wanted)
        is_cut = read.size < wanted
        if is_cut:  # then all that was read, as nothing else comes
            left = size = read.size
        until = min(size, max(left - least + 1, 0))
        return Stretch(read=read, until=until, left=left, is_cut=is_cut)


class Chunk(Protocol):
    """Some frames of a file, which may be worked out where they are decoded."""

    def alone(self) -> Chunk:
        """The same in the piece of the file that has them."""

    def frames(self) -> Frames:
        """The frames."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """Frames in the order of the file; every array has shape (n,).

    Attributes:
        file: the part of the file that they were read from.
        at_ns: Unix time, the capturing host's clock.
        start: offset of the frame's first byte in that part.
        length: bytes captured of it.
        link_type: what the frame begins with (LINKTYPE_…).
        unread: bytes after the last whole record: the file was cut off or is damaged there.
        untimed: frames that the file holds without an instant (simple packet blocks); left out.
    """

    file: Bytes
    at_ns: Ints
    start: Ints
    length: Ints
    link_type: npt.NDArray[np.int32]
    unread: int
    untimed: int

    def alone(self) -> Frames:
        """The same frames in the piece of the file that has them, and the record before each."""
        if not len(self.start):
            return replace(self, file=self.file.piece(0, 0))
        first = max(int(self.start[0]) - _BEFORE_BYTES, 0)
        last = int((self.start + self.length).max())
        return replace(self, file=self.file.piece(first, last), start=self.start - first)

    def frames(self) -> Frames:
        """Themselves; what their file had no longer for another process is unread."""
        if not self.file.missing:
            return self
        end = self.start + self.length
        is_there = end <= self.file.size
        read = int(end[is_there].max(initial=0))
        unread = self.unread + self.file.size + self.file.missing - read
        return replace(self.only(is_there), unread=unread)

    def only(self, chosen: Bools) -> Frames:
        """Some of them, in the same order."""
        if chosen.all():
            return self
        return replace(
            self,
            at_ns=self.at_ns[chosen],
            start=self.start[chosen],
            length=self.length[chosen],
            link_type=self.link_type[chosen],
        )

    def holds(self, end: Ints) -> Bools:
        """Which frames were captured at least to this offset."""
        return end <= self.start + self.length

    def holds_at(self, rows: Ints, end: Ints) -> Bools:
        """As ``holds``, of some frames."""
        return end <= self.start[rows] + self.length[rows]


def no_frames(unread: int) -> Frames:
    """Of a file of which so many bytes cannot be read."""
    nothing = np.zeros(0, dtype=np.int64)
    return Frames(
        file=Bytes(memoryview(b"")),
        at_ns=nothing,
        start=nothing,
        length=nothing,
        link_type=nothing.astype(np.int32),
        unread=unread,
        untimed=0,
    )
