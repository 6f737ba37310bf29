"""What requests cost: reports of runs alone, with packets, with entries, and a comparison of two.

``REPORT_REQUESTS`` (1000000,10000000) names the sizes; add 100000000 where there are 20 GB of disk.
"""

from __future__ import annotations

import os
import shutil
from functools import partial
from typing import TYPE_CHECKING

from tests.bench.many_requests import (
    write_requests,
    write_requests_with_entries,
    write_requests_with_packets,
)
from tests.bench.test_report import ANALYZER, LINEAR_TIMES, apart, cost

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

SIZES = [int(size) for size in os.environ.get("REPORT_REQUESTS", "1000000,10000000").split(",")]
MOST_MB, BAR_S, MILLION = 1000.0, 6.0, 1_000_000
START_REQUESTS = 1000
POLLED_SIZES = (1_000_000, 3_000_000)
"""Requests of the runs whose director was polled: each has an entry of three changes."""


def test_a_report_is_linear_in_requests_and_bounded_in_memory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = cost([ANALYZER, "report", apart(write_requests, tmp_path / "start", START_REQUESTS)])
    per_request_us: list[float] = []
    for size in SIZES:
        run = apart(write_requests, tmp_path / "run", size)
        found = cost([ANALYZER, "report", run])
        per_request_us.append((found.cpu_s - start.cpu_s) / size * 1e6)
        with capsys.disabled():
            print(f"\n{size:,} requests; load average {os.getloadavg()[0]:.1f}")
            print(f"report: {found.wall_s:.1f} s, {found.cpu_s:.1f} s CPU, {found.peak_mb:,.0f} MB")
            print(f"{per_request_us[-1]:.2f} us of CPU a request, {start.cpu_s:.1f} s to start")
        shutil.rmtree(run)
        assert found.peak_mb <= MOST_MB
    assert per_request_us[-1] <= LINEAR_TIMES * per_request_us[0]


def test_a_report_of_a_million_requests_with_their_packets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a load test of no director that is known: 10 million packets."""
    found = cost(
        [ANALYZER, "report", apart(write_requests_with_packets, tmp_path / "run", MILLION)]
    )
    with capsys.disabled():
        print(f"\na million requests with 10 packets each; load average {os.getloadavg()[0]:.1f}")
        print(f"{found.wall_s:.1f} s (bar: {BAR_S:g} s), {found.cpu_s:.1f} s CPU of its own,")
        print(f"{found.peak_mb:,.0f} MB, of all processes {found.peak_of_all_mb:,.0f} MB")
    assert max(found.peak_mb, found.peak_of_all_mb) <= MOST_MB
    assert found.wall_s <= BAR_S


def test_a_report_of_requests_and_their_entries_is_linear_and_bounded_in_memory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = cost(
        [ANALYZER, "report", apart(write_requests_with_entries, tmp_path / "s", START_REQUESTS)]
    )
    per_request_us: list[float] = []
    for size in POLLED_SIZES:
        run = apart(write_requests_with_entries, tmp_path / "run", size)
        found = cost([ANALYZER, "report", run])
        per_request_us.append((found.cpu_s - start.cpu_s) / size * 1e6)
        with capsys.disabled():
            print(f"\n{size:,} requests, as many entries, no capture; ", end="")
            print(f"load average {os.getloadavg()[0]:.1f}")
            print(f"report: {found.wall_s:.1f} s, {found.cpu_s:.1f} s CPU, {found.peak_mb:,.0f} MB")
            print(f"{per_request_us[-1]:.2f} us of CPU a request, {start.cpu_s:.1f} s to start")
        shutil.rmtree(run)
        assert found.peak_mb <= MOST_MB
    assert per_request_us[-1] <= LINEAR_TIMES * per_request_us[0]


def test_rows_in_no_order_of_their_ids_are_sorted_in_bounded_memory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = apart(partial(write_requests, shuffled=True), tmp_path / "run", SIZES[-1])
    found = cost([ANALYZER, "report", run])
    with capsys.disabled():
        print(f"\n{SIZES[-1]:,} requests in no order of their ids; ", end="")
        print(f"{found.wall_s:.1f} s, {found.cpu_s:.1f} s CPU, {found.peak_mb:,.0f} MB")
    assert found.peak_mb <= MOST_MB


def test_a_comparison_of_two_long_runs_is_bounded_in_memory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    size = SIZES[-1]
    runs = [apart(write_requests, tmp_path / name, size) for name in ("before", "after")]
    found = cost([ANALYZER, "compare", *runs])
    with capsys.disabled():
        print(f"\ntwo runs of {size:,} requests compared; load average {os.getloadavg()[0]:.1f}")
        print(f"{found.wall_s:.1f} s, {found.cpu_s:.1f} s CPU, {found.peak_mb:,.0f} MB")
    assert found.peak_mb <= MOST_MB
