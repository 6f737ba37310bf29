"""What a history of many runs costs: time for each, memory, the size of the page, its opening.

``HISTORY_RUNS`` (1000,5000) names the numbers of runs.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from tests.bench.many_runs import write_runs
from tests.bench.test_report import ANALYZER, cost
from tests.browser.chromium import chromium, drawn

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

SIZES = [int(size) for size in os.environ.get("HISTORY_RUNS", "1000,5000").split(",")]
START_RUNS = 10
LINEAR_TIMES, MOST_MB, PAGE_MB, OPENED_S = 1.3, 1000.0, 6.0, 2.0


def test_a_history_is_linear_in_its_runs_and_its_page_opens_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = cost([ANALYZER, "history", write_runs(tmp_path / "start", START_RUNS)])
    per_run_ms: list[float] = []
    for size in SIZES:
        folder = write_runs(tmp_path / f"{size}", size)
        found = cost([ANALYZER, "history", folder])
        page = folder / "history.html"
        page_mb, opened_s = page.stat().st_size / 1e6, opening_s(page)
        per_run_ms.append((found.cpu_s - start.cpu_s) / size * 1e3)
        with capsys.disabled():
            print(f"\n{size:,} runs; load average {os.getloadavg()[0]:.1f}")
            print(f"{found.wall_s:.1f} s, {found.cpu_s:.1f} s CPU, {found.peak_mb:,.0f} MB; page")
            print(f"{page_mb:.1f} MB, drawn in {opened_s:.2f} s; {per_run_ms[-1]:.2f} ms a run")
        assert found.peak_mb <= MOST_MB
        assert page_mb <= PAGE_MB
        assert opened_s <= OPENED_S
    assert per_run_ms[-1] <= LINEAR_TIMES * per_run_ms[0]


def opening_s(page: Path) -> float:
    with chromium() as browser:
        tab = browser.new_context(offline=True).new_page()
        began = time.perf_counter()
        tab.goto(page.as_uri())
        drawn(tab)
        return time.perf_counter() - began
