"""Packed files, told by their first bytes: gzip, bzip2, xz and Zstandard, unpacked as a stream.

Nobody knows who wrote them: how much a file may unpack to is bounded, and so is what that takes.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from loadgen.errors import UsageProblem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from io import BufferedReader
    from pathlib import Path
    from typing import BinaryIO

ANY_RATIO_BYTES: Final = 4 << 20
"""What any file may unpack to."""

XZ_MEMORY_BYTES: Final = 256 << 20
"""``xz -9`` needs 65 MiB."""

_PIECE_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """A way of packing.

    Attributes:
        magic: a file's first bytes.
        most_ratio: a file that unpacks to more than this many times its size is refused: gzip packs
            an idle director's log to a 150th, the others to a 1000th.
        open: the file, unpacked.
    """

    magic: bytes
    most_ratio: int
    open: Callable[[Path], BinaryIO]


class _Pieces(io.RawIOBase):
    """A stream of what ``read`` returns, until it returns nothing."""

    def __init__(self, read: Callable[[int], bytes], close: Callable[[], object]) -> None:
        self._read, self._close = read, close

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        into = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        piece = self._read(len(into))
        into[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        if not self.closed:
            self._close()
        super().close()


class _XzReader:
    """Streams of xz one after the other, within ``XZ_MEMORY_BYTES``."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._unpacker = self._new()

    def read(self, most: int) -> bytes:
        """At most so many bytes; none at the end."""
        while True:
            if self._unpacker.eof:
                rest = self._unpacker.unused_data.lstrip(b"\0") or self._file.read(_PIECE_BYTES)
                if not rest.lstrip(b"\0"):
                    return b""
                self._unpacker, packed = self._new(), rest
            else:
                needs = self._unpacker.needs_input
                packed = self._file.read(_PIECE_BYTES) if needs else b""
                if needs and not packed:
                    raise EOFError
            if piece := self._unpacker.decompress(packed, most):
                return piece

    @staticmethod
    def _new() -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY_BYTES)


def _open_gzip(path: Path) -> BinaryIO:
    return cast("BinaryIO", gzip.open(path, "rb"))


def _open_bzip2(path: Path) -> BinaryIO:
    return cast("BinaryIO", bz2.open(path, "rb"))


def _open_xz(path: Path) -> BinaryIO:
    file = path.open("rb")
    return _stream(_XzReader(file).read, file.close)


def _open_zstandard(path: Path) -> BinaryIO:
    import pyarrow as pa

    file = pa.CompressedInputStream(pa.OSFile(str(path)), "zstd")
    return _stream(file.read, file.close)


def _stream(read: Callable[[int], bytes], close: Callable[[], object]) -> BinaryIO:
    return cast("BinaryIO", io.BufferedReader(_Pieces(read, close), 1 << 16))


PACKINGS: Final = {
    "gzip": Packing(magic=b"\x1f\x8b", most_ratio=200, open=_open_gzip),
    "bzip2": Packing(magic=b"BZh", most_ratio=2000, open=_open_bzip2),
    "xz": Packing(magic=b"\xfd7zXZ\0", most_ratio=2000, open=_open_xz),
    "Zstandard": Packing(magic=b"\x28\xb5\x2f\xfd", most_ratio=2000, open=_open_zstandard),
}

SUFFIXES: Final = (".gz", ".bz2", ".xz", ".zst", ".zstd")
"""What packers put behind a name; nothing is told by them."""

_SKIPPABLE = b"\x50\x2a\x4d\x18"
"""A frame of Zstandard's without content, which pzstd begins with; so do 15 others."""

_MAGIC_BYTES = max(len(packing.magic) for packing in PACKINGS.values())


def packing_of(path: Path) -> Packing | None:
    """How a file is packed; None for one that is not.

    Raises:
        UsageProblem: it is not readable.
    """
    with _as_usage_problem(path), path.open("rb") as file:
        magic = file.read(_MAGIC_BYTES)
    if magic[1:4] == _SKIPPABLE[1:] and magic[0] >> 4 == _SKIPPABLE[0] >> 4:
        return PACKINGS["Zstandard"]
    return next((way for way in PACKINGS.values() if magic.startswith(way.magic)), None)


def pieces_of(path: Path, read: Callable[[BinaryIO], bytes]) -> Iterator[bytes]:
    """What ``read`` returns of a file, unpacked, until it returns nothing.

    A file that was cut off while it was packed ends there.

    Raises:
        UsageProblem: it is not readable.
    """
    packing = packing_of(path)
    with _as_usage_problem(path), packing.open(path) if packing else path.open("rb") as file:
        while piece := _unless_cut_off(file, read):
            yield piece


def raw_pieces(path: Path) -> Iterator[bytes]:
    """A file's bytes, unpacked; of one that was cut off, all that can be unpacked.

    Raises:
        UsageProblem: it is not readable.
    """
    return pieces_of(path, lambda file: cast("BufferedReader", file).read1(_PIECE_BYTES))


def first_bytes(path: Path, most: int) -> bytes:
    """So many of a file's bytes, unpacked, or all that there are; raises as ``raw_pieces`` does."""
    pieces, found, lacking = raw_pieces(path), [], most
    while lacking and (piece := next(pieces, b"")):
        found.append(piece[:lacking])
        lacking -= len(found[-1])
    return b"".join(found)


def bounded_pieces(path: Path, expected: str) -> Iterator[bytes]:
    """A file's bytes, unpacked.

    Args:
        path: the file.
        expected: what it should be, for the error.

    Raises:
        UsageProblem: it is not readable, or unpacks to more than such a file would.
    """
    packing = packing_of(path)
    with _as_usage_problem(path):
        size = path.stat().st_size
    ratio = packing.most_ratio if packing else 1
    most = max(ANY_RATIO_BYTES, size * ratio)
    for piece in raw_pieces(path):
        most -= len(piece)
        if packing and most < 0:
            raise UsageProblem(
                f"{path}: unpacks to more than {ratio} times its size; "
                f"expected {expected} (if it is one, unpack it first)"
            )
        yield piece


def refuse_bomb(path: Path, expected: str) -> None:
    """Unpack a file once, without reading it; raises as ``bounded_pieces`` does."""
    if packing_of(path):
        for _ in bounded_pieces(path, expected):
            pass


def _unless_cut_off(file: BinaryIO, read: Callable[[BinaryIO], bytes]) -> bytes:
    try:
        return read(file)
    except EOFError:
        return b""
    except OSError as error:
        if "Truncated" in str(error):  # pyarrow's word
            return b""
        raise


@contextmanager
def _as_usage_problem(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, zlib.error, lzma.LZMAError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageProblem(f"{path}: not readable: {why[:100]}") from error
