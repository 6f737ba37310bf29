"""What this host asks a worker of a director, and what it gets: values, pickled by Dask."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadgen.director.links.link import Link
    from loadgen.director.links.snapshot import Snapshot, Source

Asked = Literal["open", "ask", "poll", "director_settings", "timeouts", "set_timeouts"]
"""A method of ``DirectorClient``."""

PACK_CHARACTERS = 1 << 16
"""Entries of more text than this are compressed on their way: 4 to 1, at 200 MB/s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a worker is asked of a director.

    Attributes:
        run: names this burst among others.
        link: to the director, from the worker.
        asked: with these arguments.
        source: what is read there at a poll.
    """

    run: str
    link: Link
    asked: Asked
    args: tuple[Any, ...]
    more: Mapping[str, Any]
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What a client knows of a director once it has reached it; as in ``DirectorClient``."""

    boot_id: str | None
    host_name: str | None
    programs: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedSnapshot:
    """A snapshot whose entries are compressed; ``characters`` is their length."""

    snapshot: Snapshot
    entries: bytes
    characters: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a worker answers.

    Attributes:
        value: of the method, its instants on the worker's clock.
        lost: why there is none, where the director did not answer.
        too_long: it answered more than it may.
    """

    value: Any = None
    lost: str | None = None
    too_long: bool = False


def packed(snapshot: Snapshot) -> Snapshot | PackedSnapshot:
    """The snapshot as it travels."""
    text = snapshot.entries
    if text is None or len(text) <= PACK_CHARACTERS:
        return snapshot
    return PackedSnapshot(
        snapshot=replace(snapshot, entries=None),
        entries=zlib.compress(text.encode("utf-8", "replace"), level=1),
        characters=len(text),
    )


def unpacked(value: PackedSnapshot, most_bytes: int) -> Snapshot:
    """The snapshot as it was, its entries never longer than a poll's may be.

    Raises:
        ValueError: they are damaged or too long.
    """
    unpacking = zlib.decompressobj()
    try:
        content = unpacking.decompress(value.entries, most_bytes + 1)
    except zlib.error as error:
        raise ValueError("damaged entries") from error
    if len(content) > most_bytes:
        raise ValueError("too many entries")
    if not unpacking.eof:
        raise ValueError("damaged entries")
    return replace(value.snapshot, entries=content.decode("utf-8", "replace"))
