"""The run directory: what a run leaves behind, and all that an analysis may know of it.

A recording is a manifest (``run.json``), one Parquet dataset per table (a folder of parts) and the
packets (``capture.pcap``, and ``capture-00001.pcap`` … where it was rotated). Parts are written
under a hidden name and then renamed, so a crash loses at most the rows that were not yet flushed,
and never spoils a part. Of the analyzer only this room, the spill's, ``analyzer.parts.inputs`` and
``analyzer.parts.mapped`` touch a disk.
"""

from analyzer.recording.directory.files import (
    not_written,
    write_derived,
    write_whole,
)
from analyzer.recording.directory.layout import (
    ANALYSIS,
    CAPTURE,
    COMPARISON,
    MANIFEST,
    REPORT,
    SCHEMA_VERSION,
    capture_files,
    vrrp_capture_name,
)
from analyzer.recording.directory.reader import Recording
from analyzer.recording.directory.table_writer import Part
from analyzer.recording.directory.writer import RecordingWriter

__all__ = [
    "ANALYSIS",
    "CAPTURE",
    "COMPARISON",
    "MANIFEST",
    "REPORT",
    "SCHEMA_VERSION",
    "Part",
    "Recording",
    "RecordingWriter",
    "capture_files",
    "not_written",
    "vrrp_capture_name",
    "write_derived",
    "write_whole",
]
