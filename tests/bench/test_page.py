"""What a page costs for a million requests and a watch of two hours: to make, to hold, to open.

``PAGE_REQUESTS`` and ``PAGE_WATCH_S`` make it smaller.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from analyzer.analysis import analyse
from analyzer.recording.directory import Recording
from reports.run.page import render_page
from tests.bench.long_run import LongRun
from tests.browser.chromium import chromium, drawn, first_drawn

if TYPE_CHECKING:
    from pathlib import Path

REQUESTS = int(os.environ.get("PAGE_REQUESTS", "1000000"))
WATCH_S = float(os.environ.get("PAGE_WATCH_S", "7200"))
MADE_S, OPENED_S, ZOOMED_S, SIZE_MB = 15, 2, 1, 6
ZOOM = """async (range) => {
  const began = performance.now();
  await Plotly.relayout('timeline-chart', {'xaxis.range': range});
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  return (performance.now() - began) / 1000;
}"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the long run; analysed and rendered once."""
    path = tmp_path_factory.mktemp("long") / "run"
    LongRun(requests=REQUESTS, watch_s=WATCH_S).write(path)
    began, busy_before_s = time.perf_counter(), time.process_time()
    analysis = analyse(Recording.open(path))
    analysed_s = time.perf_counter() - began
    html = render_page(analysis)
    made_s, busy_s = time.perf_counter() - began, time.process_time() - busy_before_s
    file = path / "report.html"
    file.write_text(html, encoding="utf-8")
    size_mb = len(html.encode()) / 1e6
    print(
        f"\n{REQUESTS:,} requests, {WATCH_S:,.0f} s: analysed in {analysed_s:.1f} s, the page made"
    )
    print(f"after {made_s:.1f} s of {MADE_S} ({busy_s:.1f} s on the processors), {size_mb:.2f} MB")
    assert made_s <= MADE_S
    assert size_mb <= SIZE_MB
    return file


def test_the_page_opens_and_zooms_at_once(page: Path) -> None:
    with chromium() as browser:
        context = browser.new_context(viewport={"width": 1400, "height": 900}, offline=True)
        tab = context.new_page()
        began = time.perf_counter()
        tab.goto(page.as_uri())
        first_drawn(tab)
        opened_s = time.perf_counter() - began
        drawn(tab)
        drawn_s = time.perf_counter() - began
        zoomed_s = max(
            tab.evaluate(ZOOM, [share * WATCH_S, (share + width) * WATCH_S])
            for share, width in ((0.1, 0.5), (0.4, 0.1), (0.0, 1.0))
        )
        heap_mb = tab.evaluate("performance.memory.usedJSHeapSize / 1e6")
    print(f"first chart in {opened_s:.2f} s, all in {drawn_s:.2f} s of {OPENED_S}")
    print(f"zoomed in {zoomed_s:.2f} s of {ZOOMED_S}, {heap_mb:.0f} MB of heap")
    assert drawn_s <= OPENED_S
    assert zoomed_s <= ZOOMED_S


def test_the_import_of_the_analysis_and_the_page_is_cheap() -> None:
    code = "import analyzer.analysis, reports.run.page"
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    print(f"\nimport of analysis and page: {time.perf_counter() - began:.2f} s")
