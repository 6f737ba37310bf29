"""The addresses of packets: each distinct address once, with one number in all chunks."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from analyzer.arrays import Bools, Ints
    from analyzer.wire.capture.frames import Bytes

    Indices = npt.NDArray[np.int32]
    UInts = npt.NDArray[np.uint64]

_V4, _V6 = 4, 6


@dataclass(frozen=True, slots=True)
class Ends:
    """Source and destination of each packet of a chunk.

    Attributes:
        book: the distinct addresses, shape (k, 3): version, upper and lower 64 bits.
        source, destination: rows of ``book``; shape (n,).
    """

    book: UInts
    source: Ints
    destination: Ints


def ends_of(file: Bytes, network: Ints, is_v6: Bools) -> Ends:
    """Read the addresses of IP headers that begin at ``network``."""
    if not is_v6.any():
        return _ends_v4_of(file, network)
    four, six = np.flatnonzero(~is_v6), np.flatnonzero(is_v6)
    v4, v6 = _ends_v4_of(file, network[four]), _ends_v6(file, network[six])
    source, destination = np.empty((2, len(network)), dtype=np.int64)
    source[four], destination[four] = v4.source, v4.destination
    source[six], destination[six] = v6.source + len(v4.book), v6.destination + len(v4.book)
    return Ends(np.concatenate([v4.book, v6.book]), source, destination)


def _ends_v4_of(file: Bytes, at: Ints) -> Ends:
    return ends_v4(file.numbers(at + 12, 4), file.numbers(at + 16, 4))


def ends_v4(sources: Ints, destinations: Ints) -> Ends:
    """IPv4 addresses, by their numbers."""
    code, distinct = pd.factorize(np.concatenate([sources, destinations]))
    book = np.zeros((len(distinct), 3), dtype=np.uint64)
    book[:, 0], book[:, 2] = _V4, distinct
    return Ends(book, code[: len(sources)], code[len(sources) :])


def _ends_v6(file: Bytes, at: Ints) -> Ends:
    upper, uppers = pd.factorize(np.concatenate([file.wide(at + 8), file.wide(at + 24)]))
    lower, lowers = pd.factorize(np.concatenate([file.wide(at + 16), file.wide(at + 32)]))
    code, distinct = pd.factorize(upper * len(lowers) + lower)
    high, low = np.divmod(distinct, max(len(lowers), 1))
    book = np.full((len(distinct), 3), _V6, dtype=np.uint64)
    book[:, 1], book[:, 2] = uppers[high], lowers[low]
    return Ends(book, code[: len(at)], code[len(at) :])


def shared(books: Sequence[UInts]) -> tuple[tuple[str, ...], list[Indices]]:
    """All addresses of chunks as text, and for each row of each chunk's book its index.

    The order of the addresses is that of their numbers, however the packets were cut into chunks.
    """
    rows = np.concatenate(books)
    order = np.lexsort((rows[:, 2], rows[:, 1], rows[:, 0]))
    new = np.r_[True, (np.diff(rows[order], axis=0) != 0).any(axis=1)][: len(rows)]
    number = np.empty(len(rows), dtype=np.int32)
    number[order] = np.cumsum(new) - 1
    texts = tuple(_text(*row) for row in rows[order][new].tolist())
    return texts, np.split(number, np.cumsum([len(book) for book in books])[:-1])


def _text(version: int, upper: int, lower: int) -> str:
    return str(IPv4Address(lower)) if version == _V4 else str(IPv6Address(upper << 64 | lower))
