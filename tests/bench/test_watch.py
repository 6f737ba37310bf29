"""What the report of a long watch costs: memory, page, and processor time for each hour.

``WATCH_HOURS`` (1,24,168) names the lengths: 20 new entries a second are 25.7 million changes in a
week, which takes 5 minutes to write and to report, and 10 GB of disk meanwhile.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.long_watch import LongWatch
from tests.bench.test_report import LINEAR_TIMES, cost

if TYPE_CHECKING:
    import pytest

HOURS = [float(hours) for hours in os.environ.get("WATCH_HOURS", "1,24,168").split(",")]
ANALYZER = Path(sys.executable).parent / "analyzer"
MOST_MB, MOST_PAGE_MB = 1000.0, 6.0
A_DAY_H = 24
"""Of a shorter watch the start is most of the time."""


def test_the_report_of_a_watch_is_linear_in_time_and_bounded_in_memory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    each_hour_s: list[float] = []
    for hours in HOURS:
        run = LongWatch(hours).write(tmp_path / f"{hours:g}")
        page = tmp_path / "page.html"
        took = cost([ANALYZER, "report", run, "-o", page])
        with capsys.disabled():
            print(
                f"\nwatch of {hours:g} h: {took.wall_s:.1f} s, {took.cpu_s:.1f} s of CPU, "
                f"{took.peak_mb:,.0f} MB; page {page.stat().st_size / 1e6:.1f} MB; load average "
                f"{os.getloadavg()[0]:.1f}"
            )
        shutil.rmtree(run)
        assert took.peak_mb <= MOST_MB
        assert page.stat().st_size <= MOST_PAGE_MB * 1e6
        if hours >= A_DAY_H:
            each_hour_s.append(took.cpu_s / hours)
    assert not each_hour_s or max(each_hour_s) <= LINEAR_TIMES * each_hour_s[0]
