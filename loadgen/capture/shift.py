"""A capture of another host's clock, brought to ours."""

from __future__ import annotations

import mmap
import struct
from typing import TYPE_CHECKING

from analyzer.units import NS_PER_S
from analyzer.wire.capture.pcap import RECORD_BYTES

if TYPE_CHECKING:
    from pathlib import Path

_HEADER_BYTES = 24
_INSTANT = struct.Struct("<II")
_LENGTH = struct.Struct("<I")


def shift_capture(path: Path, by_ns: int) -> None:
    """Move the instants of a capture of ours (nanosecond pcap, little-endian), in place.

    A record that is cut off, or whose instant would leave what pcap can hold, ends it.

    Raises:
        OSError: the file cannot be written.
    """
    size = path.stat().st_size
    if by_ns == 0 or size <= _HEADER_BYTES:
        return
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as content:
        at = _HEADER_BYTES
        while at + RECORD_BYTES <= size:
            seconds, nanoseconds = _INSTANT.unpack_from(content, at)
            moved = divmod(seconds * NS_PER_S + nanoseconds + by_ns, NS_PER_S)
            if not 0 <= moved[0] < 2**32:
                return
            _INSTANT.pack_into(content, at, *moved)
            at += RECORD_BYTES + _LENGTH.unpack_from(content, at + 8)[0]
