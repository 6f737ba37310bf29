"""What a report of a capture costs, by what its connections are like.

``KIND_PACKETS`` (1000000,10000000) names the sizes.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.bench.captures import (
    KINDS,
    PACKETS_EACH,
    write_capture,
    write_kind,
    write_one_connection,
)
from tests.bench.test_report import MOST_MB, apart, report

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.bench.test_report import Cost

SIZES = [int(size) for size in os.environ.get("KIND_PACKETS", "1000000,10000000").split(",")]
MOST_TIMES = 5.0
"""Processor time by that of as many packets of connections that end in time: most of it is for
each connection, and of SYNs alone each is one."""

MOST_MB_OF_ONE = 1500.0
"""One connection is one part, whatever its length; of 10 million packets."""


@pytest.fixture(scope="module")
def usual_s(tmp_path_factory: pytest.TempPathFactory) -> list[float]:
    """Processor time for captures of connections that end in time, by size."""
    path = tmp_path_factory.mktemp("usual") / "usual.pcap"
    return [_reported(write_capture, path, size // PACKETS_EACH).cpu_s for size in SIZES]


def _reported(write: Callable[..., Path], path: Path, *arguments: object) -> Cost:
    capture = apart(write, path, *arguments)
    found = report(capture, 1)
    capture.unlink()
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_any_kind_of_connection_costs_about_as_much_as_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], usual_s: list[float], kind: str
) -> None:
    for size, usual in zip(SIZES, usual_s, strict=True):
        found = _reported(write_kind, tmp_path / "kind.pcap", kind, size)
        with capsys.disabled():
            print(
                f"\n{size:,} packets, {kind}: {found.cpu_s:.1f} s of CPU, "
                f"{found.cpu_s / usual:.1f} times, {found.peak_mb:,.0f} MB; "
                f"load average {os.getloadavg()[0]:.1f}"
            )
        assert found.peak_mb <= MOST_MB
        assert found.cpu_s <= MOST_TIMES * usual


def test_a_long_connection_costs_no_more_than_short_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], usual_s: list[float]
) -> None:
    for size, usual in zip(SIZES, usual_s, strict=True):
        found = _reported(write_one_connection, tmp_path / "one.pcap", size)
        with capsys.disabled():
            print(
                f"\n{size:,} packets of one connection: {found.cpu_s:.1f} s of CPU, "
                f"{found.cpu_s / usual:.1f} times, {found.peak_mb:,.0f} MB"
            )
        assert found.peak_mb <= MOST_MB_OF_ONE
        assert found.cpu_s <= MOST_TIMES * usual
