"""Nanosecond pcap files, one or a row of them of which the oldest are deleted.

The first has the given name (``capture.pcap``), the next ``capture-00001.pcap`` and so on. Each is
a capture file by itself.
"""

from __future__ import annotations

import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analyzer.units import NS_PER_S
from analyzer.wire.capture.pcap import RECORD_BYTES, pcap_header, pcap_record
from loadgen.capture.model import SNAP_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable
    from io import BufferedWriter
    from pathlib import Path

    from loadgen.rings.blocks import FrameBlock, Ints, UInt8s

_FILES = 8
"""A bound is kept in so many steps: that much of the capture goes at a time."""


def cut_record(at_ns: int, frame: bytes, length: int) -> bytes:
    """One packet as a record, cut to ``SNAP_BYTES``."""
    return pcap_record(at_ns, frame[:SNAP_BYTES], length)


def block_records(block: FrameBlock) -> bytes:
    """A block of a ring as records, in its order, VLAN tags put back where they were."""
    frames, captured, length = _with_tags(block)
    rows = np.empty((len(frames), RECORD_BYTES + frames.shape[1]), dtype=np.uint8)
    header = np.stack([block.at_ns // NS_PER_S, block.at_ns % NS_PER_S, captured, length], axis=1)
    rows[:, :RECORD_BYTES] = np.ascontiguousarray(header.astype("<u4")).view(np.uint8)
    rows[:, RECORD_BYTES:] = frames
    mask = np.arange(rows.shape[1]) < (RECORD_BYTES + captured)[:, None]
    return rows[mask].tobytes()


def _with_tags(block: FrameBlock) -> tuple[UInt8s, Ints, Ints]:
    """Frames, bytes captured and length, with the tags that the network card had taken off."""
    tagged = np.flatnonzero(block.vlan)
    if not len(tagged):
        return block.frames, block.captured, block.length
    frames, captured, length = block.frames.copy(), block.captured.copy(), block.length.copy()
    frames[tagged, 16:] = block.frames[tagged, 12:-4]
    frames[tagged, 12:16] = block.vlan[tagged].astype(">u4").view(np.uint8).reshape(-1, 4)
    captured[tagged] = np.minimum(captured[tagged] + 4, frames.shape[1])
    length[tagged] += 4
    return frames, captured, length


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """A file that made room: its name, its packets, and the instant of the last of them."""

    name: str
    packets: int
    last_ns: int


@dataclass(slots=True, kw_only=True)
class _File:
    path: Path
    bytes: int
    packets: int = 0
    last_ns: int = 0


class PcapFiles:
    """Writes records down; a context manager.

    Args:
        path: of the first file.
        link_type: LINKTYPE_… of the frames.
        size_bytes: of all files together, kept to one write; None for no bound.
        deleted: called with each file that was deleted.

    Attributes:
        packets: written so far, those of deleted files too.
        last_ns: the instant of the last packet; 0 before the first.

    Raises:
        OSError: the file cannot be made, or the disk is full.
    """

    def __init__(
        self,
        path: Path,
        link_type: int,
        size_bytes: int | None,
        deleted: Callable[[Deleted], None],
    ) -> None:
        self.packets = 0
        self.last_ns = 0
        self._first = path
        self._header = pcap_header(link_type, SNAP_BYTES)
        self._size_bytes = size_bytes
        self._deleted = deleted
        self._files: deque[_File] = deque()
        self._number = 0
        self._open_file = self._begin()

    def _begin(self) -> BufferedWriter:
        stem, suffix = self._first.stem, self._first.suffix
        name = f"{stem}-{self._number:05d}{suffix}" if self._number else self._first.name
        self._number += 1
        self._files.append(_File(path=self._first.with_name(name), bytes=len(self._header)))
        file = self._files[-1].path.open("wb")
        file.write(self._header)
        file.flush()
        return file

    def write(self, content: bytes, packets: int, last_ns: int) -> None:
        """Add records, of so many packets, the last of them seen at ``last_ns``."""
        if not packets:
            return
        if self._is_full(len(content)):
            self._open_file.close()
            self._open_file = self._begin()
        now = self._files[-1]
        self._open_file.write(content)
        self._open_file.flush()
        now.bytes += len(content)
        now.packets += packets
        now.last_ns = self.last_ns = last_ns
        self.packets += packets
        self._make_room()

    def _is_full(self, more_bytes: int) -> bool:
        now = self._files[-1]
        if self._size_bytes is None or not now.packets:
            return False
        return now.bytes + more_bytes > self._size_bytes // _FILES

    def _make_room(self) -> None:
        while self._size_bytes and len(self._files) > 1 and self.bytes > self._size_bytes:
            oldest = self._files.popleft()
            oldest.path.unlink(missing_ok=True)
            self._deleted(
                Deleted(name=oldest.path.name, packets=oldest.packets, last_ns=oldest.last_ns)
            )

    @property
    def bytes(self) -> int:
        """What the files that are left take."""
        return sum(file.bytes for file in self._files)

    def __enter__(self) -> PcapFiles:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # of a full disk, which the write before has reported
            self._open_file.close()


def clock_time(at_ns: int) -> str:
    """An instant as people read it, such as ``12:31:07.250 UTC``."""
    shown = time.strftime("%H:%M:%S", time.gmtime(at_ns // NS_PER_S))
    return f"{shown}.{at_ns % NS_PER_S // 1_000_000:03d} UTC"
