"""Which file of a run directory is where."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA_VERSION = 1
CAPTURE = "capture.pcap"
MANIFEST = "run.json"
ANALYSIS = "analysis.json"
REPORT = "report.html"
COMPARISON = "comparison.html"


def vrrp_capture_name(number: int) -> str:
    """The file of VRRP as a director saw it, by the director's number from 0."""
    return f"vrrp-{number + 1:02}.pcap"


def part_files(run: Path, table: str) -> list[Path]:
    """The parts of a table, the earliest first; none that is being written."""
    return sorted((run / table).glob("[!.]*.parquet"))


def capture_files(run: Path) -> list[Path]:
    """The captures, the earliest first: ``capture.pcap``, then those that it was rotated to."""
    rotated = run.glob("capture-[0-9]*.pcap")
    numbered = sorted(rotated, key=lambda path: (len(path.name), path.name))
    return [path for path in (run / CAPTURE, *numbered) if path.is_file()]
