"""Anonymous copies of run directories."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from analyzer.anonymous import manifest, tables
from analyzer.anonymous.capture import FrameAnonymiser
from analyzer.anonymous.capture_file import anonymous_capture
from analyzer.anonymous.substitution import Substitution
from analyzer.recording.directory import RecordingWriter, vrrp_capture_name
from analyzer.recording.tables import TABLES

if TYPE_CHECKING:
    from pathlib import Path

    from analyzer.recording.directory import Recording


def anonymise(recording: Recording, output: Path, key: bytes) -> None:
    """Write an anonymous copy of a recording; derived files are not copied.

    Args:
        recording: the original; its unreadable parts are named in its ``problems``.
        output: a directory that does not exist yet.
        key: 32 bytes; the same key makes the same replacements.

    Raises:
        RecordingError: the copy cannot be written.
        ParseError: a capture file is of no known format.
    """
    names_in_tables = (tables.names_in(recording.parts(name)) for name in TABLES)
    names = chain(manifest.names_in(recording.manifest), *names_in_tables)
    substitution = Substitution(key, names)
    writer = RecordingWriter(output, manifest.anonymous_manifest(recording.manifest, substitution))
    for name in TABLES:
        for part in recording.parts(name):
            writer.extend_columns(name, tables.anonymous_table(name, part, substitution))
    writer.flush()
    anonymiser = FrameAnonymiser(substitution)
    for name, content in recording.captures().items():
        writer.write_capture(name, anonymous_capture(content, anonymiser))
    seen_by = recording.vrrp_captures()
    facts = recording.manifest.failover
    for number, name in enumerate(facts.vrrp_captured_on if facts else ()):
        if name in seen_by:
            copy = anonymous_capture(seen_by[name], anonymiser)
            writer.write_capture(vrrp_capture_name(number), copy)
