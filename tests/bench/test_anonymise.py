"""What an anonymous copy of a long run costs: memory, and time for each packet and row.

``ANONYMISE_PACKETS`` (1000000,10000000) names the sizes; each run has as many requests as packets.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from analyzer.recording.directory import RecordingWriter
from tests.bench.captures import PACKETS_EACH, VIP, write_capture
from tests.bench.test_report import LINEAR_TIMES, Cost, cost

if TYPE_CHECKING:
    import pytest

SIZES = [int(size) for size in os.environ.get("ANONYMISE_PACKETS", "1000000,10000000").split(",")]
ANALYZER = Path(sys.executable).parent / "analyzer"
MOST_MB = 1000.0
ROWS_AT_ONCE = 100_000
ZERO_NS = 1_700_000_000 * 10**9


def write_run(path: Path, size: int) -> Path:
    """A run of so many requests and packets."""
    service = {"protocol": "TCP", "vip": VIP, "port": 80}
    writer = RecordingWriter(path, {"version": "0", "command": "burst", "service": service})
    for first in range(0, size, ROWS_AT_ONCE):
        number = np.arange(first, min(first + ROWS_AT_ONCE, size))
        at = pa.array(ZERO_NS + number * 100_000).cast(pa.timestamp("ns", tz="UTC"))
        columns = {
            "id": number,
            "kind": "HEAD",
            "host": "client",
            "protocol": "TCP",
            "vip": VIP,
            "port": 80,
            "source_ip": pa.array([f"10.1.0.{1 + each}" for each in (number // 60_000).tolist()]),
            "source_port": 1024 + number % 60_000,
            "status": 200,
            "closer": "client",
            **dict.fromkeys(("scheduled", "started", "connected", "first_byte", "ended"), at),
        }
        writer.extend_columns("requests", columns)
    write_capture(writer.capture_path, size // PACKETS_EACH)
    writer.close("completed")
    return path


def anonymise(run: Path) -> Cost:
    return cost([ANALYZER, "anonymise", run, "-o", run.with_name("copy")])


def test_a_copy_is_linear_in_time_and_bounded_in_memory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = anonymise(write_run(tmp_path / "0" / "run", PACKETS_EACH))
    each_us = []
    for size in SIZES:
        took = anonymise(write_run(tmp_path / str(size) / "run", size))
        each_us.append((took.cpu_s - start.cpu_s) / size * 1e6)
        with capsys.disabled():
            print(f"\n{size:,} packets and as many requests; load {os.getloadavg()[0]:.1f}")
            print(
                f"analyzer anonymise {took.wall_s:8.1f} s {took.cpu_s:8.1f} s CPU "
                f"{took.peak_mb:8,.0f} MB; {each_us[-1]:.2f} us of CPU for a packet and a request"
            )
        shutil.rmtree(tmp_path / str(size))
        assert took.peak_mb <= MOST_MB
    assert each_us[-1] <= LINEAR_TIMES * each_us[0]
