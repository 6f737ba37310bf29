"""Frames by their places in a file, and numbers gathered from many places at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from analyzer.parts.mapped import copied, is_whole

if TYPE_CHECKING:
    import numpy.typing as npt

    from analyzer.arrays import Bools, Ints


_MAC = (1 << 48) - 1
_BEFORE_BYTES = 64  # a record's header, in any format


class Bytes:
    """A file's bytes, read as numbers at any offsets, aligned or not.

    For each width there is one array of overlapping numbers, a byte apart, over the same bytes:
    nothing is copied but what is requested. An offset past the end gives some number, and never
    fails; the caller must know what it holds.
    """

    def __init__(self, content: memoryview) -> None:
        self._content = content
        self.size = len(content)
        self._views = {
            (width, order): self._overlapping(width, order)
            for width in (1, 2, 4, 8)
            for order in "<>"
        }

    def __reduce__(self) -> tuple[type[Bytes], tuple[memoryview]]:
        return Bytes, (self._content,)

    @property
    def is_whole(self) -> bool:
        """Whether none of them was cut off since: who reads asks now and then."""
        return is_whole(self._content)

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

    def read(self, first: int, last: int) -> Bytes:
        """A part as a file of its own: a copy of a mapped one, less what was cut off since."""
        return Bytes(copied(self._content[first:last]))

    def piece(self, first: int, last: int) -> Bytes:
        """Some of them, as a file of their own."""
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
        file: the whole file.
        at_ns: Unix time, the capturing host's clock.
        start: offset of the frame's first byte in the file.
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
        """Themselves."""
        return self

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
