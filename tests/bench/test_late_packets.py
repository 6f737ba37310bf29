"""What a report of a capture costs in which every connection sends a packet after its entry's end.

``LATE_PACKETS`` (1000000,10000000) names the sizes.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tests.bench.captures import LATE, PACKETS_EACH, write_capture, write_late_capture
from tests.bench.test_report import MOST_MB, report

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

SIZES = [int(size) for size in os.environ.get("LATE_PACKETS", "1000000,10000000").split(",")]
MOST_TIMES = 3.0
"""Processor time by that of as many packets of connections that end in time."""


def test_a_late_packet_costs_about_as_much_as_any_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for size in SIZES:
        usual = write_capture(tmp_path / "usual.pcap", size // PACKETS_EACH)
        usual_s = report(usual, 1).cpu_s
        usual.unlink()
        late = write_late_capture(tmp_path / "late.pcap", size // len(LATE))
        alone, both = report(late, 1), report(late, 2)
        late.unlink()
        with capsys.disabled():
            print(f"\n{size:,} packets; load average {os.getloadavg()[0]:.1f}")
            print(f"connections that end in time: {usual_s:.1f} s of CPU")
            print(f"with a late packet each: {alone.cpu_s:.1f} s of CPU, {alone.peak_mb:,.0f} MB")
            print(f"by two processes: {both.wall_s:.1f} s, {both.peak_of_all_mb:,.0f} MB in all")
        assert max(alone.peak_mb, both.peak_of_all_mb) <= MOST_MB
        assert alone.cpu_s <= MOST_TIMES * usual_s
