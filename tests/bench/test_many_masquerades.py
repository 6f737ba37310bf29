"""What a netfilter director costs: reports of runs with its entries, masquerades and packets.

``REPORT_MASQUERADES`` (1000000,3000000) names the sizes; 10000000 takes 3 GB of disk.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tests.bench.masqueraded_run import MasqueradedRun
from tests.bench.test_report import us_for_each

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

SIZES = [int(size) for size in os.environ.get("REPORT_MASQUERADES", "1000000,3000000").split(",")]
START = 1000
"""Connections of the shortest run."""

MOST_TIMES = 1.5
"""Processor time for each connection of the longest by that of the shortest; as of many entries."""


def write(run: Path, connections: int) -> None:
    MasqueradedRun(connections).write(run)


def test_a_report_is_linear_in_masquerades_and_bounded_in_memory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of each a request, three packets, two changes of its entry, and what hid its client."""
    with capsys.disabled():
        sizes = (START, *SIZES)
        each_us = us_for_each(write, tmp_path / "run", sizes, "masquerades", print)
    assert each_us[-1] <= MOST_TIMES * each_us[0]
