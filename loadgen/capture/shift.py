"""A capture of another host's clock, brought to ours."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from analyzer.units import NS_PER_S
from analyzer.wire.capture.pcap import RECORD_BYTES

if TYPE_CHECKING:
    from pathlib import Path

_HEADER_BYTES = 24
_INSTANT = struct.Struct("<II")
_LENGTH = struct.Struct("<I")
_PIECE_BYTES = 1 << 20


def shift_capture(path: Path, by_ns: int) -> None:
    """Move the instants of a capture of ours (nanosecond pcap, little-endian), in place.

    A record that is cut off, or whose instant would leave what pcap can hold, ends it.

    Raises:
        OSError: the file cannot be written.
    """
    if by_ns == 0:
        return
    with path.open("r+b") as file:
        at: int | None = _HEADER_BYTES
        while at is not None:
            file.seek(at)
            piece = bytearray(file.read(_PIECE_BYTES))
            begins, at = at, _shifted(piece, at, by_ns)
            file.seek(begins)
            file.write(piece)


def _shifted(piece: bytearray, begins: int, by_ns: int) -> int | None:
    """Move the instants in a piece that begins with a record; where the next one does, if any."""
    at = 0
    while at + RECORD_BYTES <= len(piece):
        seconds, nanoseconds = _INSTANT.unpack_from(piece, at)
        moved = divmod(seconds * NS_PER_S + nanoseconds + by_ns, NS_PER_S)
        if not 0 <= moved[0] < 2**32:
            return None
        _INSTANT.pack_into(piece, at, *moved)
        at += RECORD_BYTES + _LENGTH.unpack_from(piece, at + 8)[0]
    return begins + at if at else None
