"""What a netfilter director costs: reports of runs with its entries, masquerades and packets.

``REPORT_MASQUERADES`` (1000000,3000000) names the sizes; 10000000 takes 3 GB of disk.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from tests.bench.masqueraded_run import MasqueradedRun
from tests.bench.test_report import ANALYZER, Cost, apart, cost

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

SIZES = [int(size) for size in os.environ.get("REPORT_MASQUERADES", "1000000,3000000").split(",")]
START, MOST_MB = 1000, 1000.0
"""Connections of the shortest run; of memory."""

MOST_TIMES = 1.5
"""Processor time for each connection of the longest by that of the shortest; as of many entries."""


def reported(run: Path, connections: int) -> Cost:
    """The report of a run of so many, which is deleted then."""
    apart(MasqueradedRun(connections).write, run)
    found = cost([ANALYZER, "report", run, "--processes", "1"])
    shutil.rmtree(run)
    return found


def test_a_report_is_linear_in_masquerades_and_bounded_in_memory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of each a request, three packets, two changes of its entry, and what hid its client."""
    start = reported(tmp_path / "start", START)
    each_us: list[float] = []
    for size in SIZES:
        found = reported(tmp_path / "run", size)
        each_us.append((found.cpu_s - start.cpu_s) / size * 1e6)
        with capsys.disabled():
            print(f"\n{size:,} masquerades; load average {os.getloadavg()[0]:.1f}")
            print(f"report: {found.wall_s:.1f} s, {found.cpu_s:.1f} s CPU, {found.peak_mb:,.0f} MB")
            print(f"{each_us[-1]:.2f} us of CPU a connection, {start.cpu_s:.1f} s to start")
        assert found.peak_mb <= MOST_MB
    assert each_us[-1] <= MOST_TIMES * each_us[0]
