"""Links from a page to the pages of runs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import quote

from analyzer.recording.directory import REPORT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def link(target: Path, page: Path) -> str:
    """The relative URL of a file, as it may stand in a page."""
    return quote(os.path.relpath(target.resolve(), page.resolve().parent))


def report_links(runs: Mapping[str, Path], page: Path) -> dict[str, str]:
    """The URL of each run's report, by the run's name; of those whose report has been written."""
    reports = {name: run / REPORT for name, run in runs.items()}
    return {name: link(report, page) for name, report in reports.items() if report.is_file()}
