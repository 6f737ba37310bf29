"""What a report of a long capture costs: memory, time for each packet, and by two processes.

``REPORT_PACKETS`` (1000000,10000000) names the sizes; add 100000000 where there are 30 GB of disk.
tcptrace and tshark run beside, up to ``MOST_OF_PEERS`` packets, where they are installed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tests.bench.captures import PACKETS_EACH, write_capture

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pytest

Result = TypeVar("Result")

SIZES = [int(size) for size in os.environ.get("REPORT_PACKETS", "1000000,10000000").split(",")]
ANALYZER = Path(sys.executable).parent / "analyzer"
PEERS: Mapping[str, Sequence[str]] = {
    "tcptrace": ("tcptrace", "-n"),
    "tshark": ("tshark", "-q", "-z", "conv,tcp", "-r"),
}
MOST_OF_PEERS = 10_000_000
MOST_MB = 1000.0
"""The memory of a report, whatever its capture's size."""

LINEAR_TIMES = 1.15
"""Processor time for each packet of the longest by that of the shortest, the start taken off."""

SAMPLED_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a command took; ``cpu_s`` and ``peak_mb`` are its first process's."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    peak_of_all_mb: float


def cost(argv: Sequence[object]) -> Cost:
    began = time.perf_counter()
    process = subprocess.Popen(
        list(map(str, argv)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    most_kb, pid, status = 0, 0, 0
    while pid == 0:
        most_kb = max(most_kb, shared_out_kb(process.pid))
        time.sleep(SAMPLED_S)
        pid, status, used = os.wait4(process.pid, os.WNOHANG)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return Cost(
        wall_s=time.perf_counter() - began,
        cpu_s=used.ru_utime + used.ru_stime,
        peak_mb=used.ru_maxrss / 1024,
        peak_of_all_mb=most_kb / 1024,
    )


def apart(function: Callable[..., Result], *arguments: object) -> Result:
    """What a function returns, called in a process of its own.

    This one stays small: what a child has at most (``ru_maxrss``) counts from its parent's size.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def shared_out_kb(session: int) -> int:
    """Resident memory of a session's processes, what they share counted once (PSS)."""
    total = 0
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(entry.name)) == session:
                rolled_up = (entry / "smaps_rollup").read_text()
                total += int(rolled_up.partition("\nPss:")[2].split()[0])
        except (OSError, IndexError):
            continue  # it has just ended
    return total


def report(capture: Path, processes: int) -> Cost:
    page = capture.with_suffix(".html")
    argv = [ANALYZER, "report", capture, "--no-run", "-o", page, "--processes", str(processes)]
    return cost(argv)


def us_for_each(
    write: Callable[[Path, int], object],
    run: Path,
    sizes: Sequence[int],
    of: str,
    say: Callable[[str], None],
) -> list[float]:
    """Processor time of reports for each of what runs have more of, the start's taken off, us.

    Args:
        write: writes a run of so many.
        run: where; it is deleted again.
        sizes: of the shortest run, which stands for the start, and of those that count.
        of: of what.
        say: prints a line.
    """

    def reported(size: int) -> Cost:
        apart(write, run, size)
        found = cost([ANALYZER, "report", run, "--processes", "1"])
        shutil.rmtree(run)
        return found

    start = reported(sizes[0])
    each_us: list[float] = []
    for size in sizes[1:]:
        found = reported(size)
        each_us.append((found.cpu_s - start.cpu_s) / size * 1e6)
        say(f"\n{size:,} {of}; load average {os.getloadavg()[0]:.1f}")
        say(f"report: {found.wall_s:.1f} s, {found.cpu_s:.1f} s CPU, {found.peak_mb:,.0f} MB")
        say(f"{each_us[-1]:.2f} us of CPU for each, {start.cpu_s:.1f} s to start")
        assert found.peak_mb <= MOST_MB
    return each_us


def test_a_report_is_linear_in_time_and_bounded_in_memory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = report(write_capture(tmp_path / "start.pcap", 10), 1)
    per_packet_us: list[float] = []
    for size in SIZES:
        capture = write_capture(tmp_path / "long.pcap", size // PACKETS_EACH)
        alone, both = report(capture, 1), report(capture, 2)
        rows = {"analyzer report --processes 1": alone, "analyzer report --processes 2": both}
        for name, argv in PEERS.items():
            if shutil.which(name) and size <= MOST_OF_PEERS:
                rows[" ".join(argv)] = cost([*argv, capture])
        per_packet_us.append((alone.cpu_s - start.cpu_s) / size * 1e6)
        with capsys.disabled():
            print(f"\n{size:,} packets; load average {os.getloadavg()[0]:.1f}")
            for name, row in rows.items():
                print(
                    f"{name:32} {row.wall_s:8.1f} s {row.cpu_s:8.1f} s CPU"
                    f" {row.peak_mb:8,.0f} MB {row.peak_of_all_mb:8,.0f} MB of all processes"
                )
            print(f"{per_packet_us[-1]:.2f} us of CPU a packet, {start.cpu_s:.1f} s to start")
            print(f"two processes: {alone.wall_s / both.wall_s:.2f} times as fast (wanted: 1.6)")
            print(f"not installed: {', '.join(n for n in PEERS if not shutil.which(n)) or '-'}")
        capture.unlink()
        assert max(alone.peak_mb, both.peak_of_all_mb) <= MOST_MB
    assert per_packet_us[-1] <= LINEAR_TIMES * per_packet_us[0]
