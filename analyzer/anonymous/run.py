"""A run directory again, without the names and addresses of those it was made at."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from analyzer.anonymous import manifest, tables
from analyzer.anonymous.capture import FrameAnonymiser
from analyzer.anonymous.capture_file import anonymous_capture
from analyzer.anonymous.substitution import Substitution
from analyzer.recording.directory import RecordingWriter
from analyzer.recording.tables import TABLES

if TYPE_CHECKING:
    from pathlib import Path

    from analyzer.recording.directory import Recording


def anonymise(recording: Recording, output: Path, key: bytes) -> None:
    """Write an anonymous copy of a recording; what was derived from it is not copied.

    Args:
        recording: the original; parts of it that cannot be read are named in its ``problems``.
        output: a directory that does not exist.
        key: 32 bytes, the same for the same stand-ins.

    Raises:
        RecordingError: the copy cannot be written.
        ParseError: the capture is none.
    """
    told = (tables.names_in(recording.parts(name)) for name in TABLES)
    names = chain(manifest.names_in(recording.manifest), *told)
    substitution = Substitution(key, names)
    writer = RecordingWriter(output, manifest.anonymous_manifest(recording.manifest, substitution))
    for name in TABLES:
        for part in recording.parts(name):
            writer.extend_columns(name, tables.anonymous_table(part, substitution))
    writer.flush()
    anonymiser = FrameAnonymiser(substitution)
    for name, content in recording.captures().items():
        writer.write_capture(name, anonymous_capture(content, anonymiser))
