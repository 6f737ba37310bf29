"""What entries cost: reports of runs whose director was polled all the while, with their packets.

``REPORT_ENTRIES`` (1000000,3000000) names the sizes; 10000000 takes 2.4 GB of disk and as much of
memory to write.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from tests.bench.long_run import LongRun
from tests.bench.test_report import ANALYZER, Cost, apart, cost

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

SIZES = [int(size) for size in os.environ.get("REPORT_ENTRIES", "1000000,3000000").split(",")]
START, PER_S, MOST_MB = 1000, 139, 1000.0
"""Of the shortest run; new entries a second; of memory."""

MOST_TIMES = 1.5
"""Processor time for each entry of the longest by that of the shortest. The files of the longest,
1.5 kB for each entry, are written to memory that a virtual machine may have to get first."""


def reported(run: Path, entries: int) -> Cost:
    """The report of a run of so many, which is deleted then."""
    apart(LongRun(requests=entries, watch_s=max(entries / PER_S, 100)).write, run)
    found = cost([ANALYZER, "report", run, "--processes", "1"])
    shutil.rmtree(run)
    return found


def test_a_report_is_linear_in_entries_and_bounded_in_memory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of each a request, three packets, and two changes of its entry."""
    start = reported(tmp_path / "start", START)
    per_entry_us: list[float] = []
    for size in SIZES:
        found = reported(tmp_path / "run", size)
        per_entry_us.append((found.cpu_s - start.cpu_s) / size * 1e6)
        with capsys.disabled():
            print(f"\n{size:,} entries with 3 packets each; load average {os.getloadavg()[0]:.1f}")
            print(f"report: {found.wall_s:.1f} s, {found.cpu_s:.1f} s CPU, {found.peak_mb:,.0f} MB")
            print(f"{per_entry_us[-1]:.2f} us of CPU an entry, {start.cpu_s:.1f} s to start")
        assert found.peak_mb <= MOST_MB
    assert per_entry_us[-1] <= MOST_TIMES * per_entry_us[0]
