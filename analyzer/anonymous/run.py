"""Anonymous copies of run directories."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from analyzer.anonymous import manifest, tables
from analyzer.anonymous.capture import FrameAnonymiser
from analyzer.anonymous.capture_file import anonymous_capture
from analyzer.anonymous.substitution import Substitution
from analyzer.anonymous.texts import is_address
from analyzer.errors import ParseError
from analyzer.recording.directory import RecordingWriter, vrrp_capture_name
from analyzer.recording.spill import directory_until_whole
from analyzer.recording.tables import TABLES
from analyzer.wire.capture.files import WHY_UNREAD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from analyzer.parts.inputs import InputFile
    from analyzer.recording.directory import Recording

    Progress = Callable[[int, float], object]


_PIECE_ROWS = 1 << 17


def anonymise(
    recording: Recording, output: Path, key: bytes, progress: Progress | None = None
) -> None:
    """Write an anonymous copy of a recording, whole or not at all; derived files are not copied.

    Tables are copied some rows at a time and captures chunk by chunk, so that memory is bounded.

    Args:
        recording: the original; its unreadable parts are named in its ``problems`` afterwards.
        output: a directory that does not exist yet.
        key: 32 bytes; the same key makes the same replacements.
        progress: is told how many rows and packets, and what share of all bytes, are copied.

    Raises:
        RecordingError: the copy cannot be written.
        ParseError: a capture file is of no known format.
    """
    captures = dict(_captures(recording))
    sizes = {name: recording.table_size(name) for name in TABLES}
    total_bytes = sum(size for _, size in sizes.values()) + sum(map(len, captures.values()))
    copied = _Copied(total_bytes, progress)
    substitution = Substitution(key, _names_in(recording))
    with directory_until_whole(output) as hidden:
        written = manifest.anonymous_manifest(recording.manifest, substitution)
        writer = RecordingWriter(hidden, written, shown_as=output)
        for name, (rows, size_bytes) in sizes.items():
            for part in recording.pieces(name, _PIECE_ROWS):
                writer.extend_columns(name, tables.anonymous_table(name, part, substitution))
                copied.add(len(part), size_bytes * len(part) / max(rows, 1))
        writer.flush()
        anonymiser = FrameAnonymiser(substitution)
        for name, content in captures.items():
            unread: list[int] = []
            pieces = anonymous_capture(content, anonymiser, copied.add, unread.append)
            try:
                writer.write_capture(name, pieces)
            except ParseError as error:
                raise ParseError(f"{name}: {error}") from error
            if unread:
                lost = f"{name}: its last {sum(unread)} bytes are not in the copy: {WHY_UNREAD}"
                recording.problems.append(lost)


def _captures(recording: Recording) -> Iterator[tuple[str, InputFile]]:
    """The capture files by name: the run's, then VRRP as each director saw it."""
    yield from recording.captures().items()
    seen_by = recording.vrrp_captures()
    facts = recording.manifest.failover
    for number, name in enumerate(facts.vrrp_captured_on if facts else ()):
        if name in seen_by:
            yield vrrp_capture_name(number), seen_by[name]


def _names_in(recording: Recording) -> Iterator[str]:
    """The names of hosts in a recording."""
    in_tables = chain.from_iterable(recording.texts(name, tables.HOSTS) for name in TABLES)
    yield from manifest.names_in(recording.manifest)
    yield from (name for name in in_tables if not is_address(name))


@dataclass(slots=True)
class _Copied:
    """How far a copy is."""

    total_bytes: int
    progress: Progress | None
    items: int = 0
    copied_bytes: float = 0.0

    def add(self, items: int, size_bytes: float) -> None:
        """So many more rows or packets, of so many bytes of the original's files."""
        self.items += items
        self.copied_bytes += size_bytes
        if self.progress:
            self.progress(self.items, self.copied_bytes / max(self.total_bytes, 1))
