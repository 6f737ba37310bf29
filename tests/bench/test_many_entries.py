"""What entries cost: reports of runs whose director was polled all the while, with their packets.

``REPORT_ENTRIES`` (1000000,3000000) names the sizes; 10000000 takes 2.4 GB of disk and as much of
memory to write.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tests.bench.long_run import LongRun
from tests.bench.test_report import us_for_each

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

SIZES = [int(size) for size in os.environ.get("REPORT_ENTRIES", "1000000,3000000").split(",")]
START, PER_S = 1000, 139
"""Of the shortest run; new entries a second."""

MOST_TIMES = 1.5
"""Processor time for each entry of the longest by that of the shortest. The files of the longest,
1.5 kB for each entry, are written to memory that a virtual machine may have to get first."""


def write(run: Path, entries: int) -> None:
    LongRun(requests=entries, watch_s=max(entries / PER_S, 100)).write(run)


def test_a_report_is_linear_in_entries_and_bounded_in_memory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of each a request, three packets, and two changes of its entry."""
    with capsys.disabled():
        of = "entries with 3 packets each"
        each_us = us_for_each(write, tmp_path / "run", (START, *SIZES), of, print)
    assert each_us[-1] <= MOST_TIMES * each_us[0]
