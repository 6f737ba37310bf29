"""``loadgen burst --openmetrics``, scraped while the burst is on."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.unit.waiting import wait_until

if TYPE_CHECKING:
    from tests.unit.loadgen.commands.web import Site

LOADGEN = Path(sys.executable).parent / "loadgen"
START_S = 60.0
"""For a process that may have to share its CPU with many."""

pytestmark = pytest.mark.usefixtures("alone")


def scraped(url: str) -> dict[str, float]:
    """The samples by name and labels."""
    with urllib.request.urlopen(url, timeout=START_S) as answer:
        text = answer.read().decode()
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_burst_serves_its_requests_and_its_directors(site: Site, director: str) -> None:
    """Three of five requests are answered with 200; then the decay is watched until Ctrl-C."""
    site.good = 3
    words = ["--vip", "127.0.0.1", "--port", str(site.port), "-n", "5", "--no-capture"]
    served = ["--openmetrics", "0", "--director", director, "--observe", "10m", "-o", "here"]
    metrics: dict[str, float] = {}
    up = f"loadgen_director_up {director[5:]}"

    def polls() -> bool:
        """Whether the director is up; a busy machine may lose it for a moment."""
        metrics.update(scraped(url))
        return metrics.get(up) == 1

    process = subprocess.Popen(
        [LOADGEN, "burst", *words, *served],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        (url,) = next(found for line in lines if (found := re.findall(r"^metrics: (.+)$", line)))
        assert wait_until(lambda: scraped(url)["loadgen_burst_sending"] == 0, START_S)
        assert wait_until(polls, START_S)
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=START_S)
    assert process.returncode == 130
    assert metrics["loadgen_requests_planned"] == 5
    assert metrics["loadgen_requests_ended_total"] == 5
    assert metrics["loadgen_requests_failed_total http-5xx"] == 2
    assert metrics["loadgen_requests_failed_total refused"] == 0
    assert metrics["loadgen_request_duration_seconds_count"] == 3
    assert metrics[up] == 1
    inactive = [
        name for name in metrics if name.startswith("node_ipvs_backend_connections_inactive")
    ]
    assert [metrics[name] for name in inactive] == [7]
