"""Rows, not averages: a million connections by the real command, and what they cost in memory.

``loadgen burst`` sends with the sockets engine and captures; then ``analyzer report`` reads it all
anew. While it sends, no process may hold more for more rows; the report holds the run.
``ROWS_REQUESTS`` makes it smaller.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from analyzer.recording.directory import ANALYSIS
from tests.bench.stand import REPOSITORY, SERVER_IP, Stand, director_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

MANY = int(os.environ.get("ROWS_REQUESTS", "1000000"))
FEW = 100_000  # by then a recorder holds what it ever will
GROWTH_MB = 40
"""A recorder holds at most 32 MiB of a table (``BYTES_HELD``), and what it makes a part of that."""

EVERY_S = 0.2
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Cost:
    """What a run cost; memory is anonymous (``RssAnon``): files that are mapped do not count.

    Attributes:
        sending_mb: the most that each process held while a worker was there, the recorder's first.
        sent_per_s: by the rows' own instants.
        run_mb: what the run directory takes on the disk.
    """

    requests: int
    sending_mb: tuple[float, ...]
    sent_per_s: float
    run_mb: float
    report_s: float
    reported_mb: float


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    with director_settings(tmp_path_factory.mktemp("nginx")) as made:
        yield made


def held_mb(process: int) -> float:
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    return 0.0


def children(process: int) -> list[int]:
    return [
        int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()
    ]


def while_sending(command: subprocess.Popen[bytes]) -> tuple[float, ...]:
    """The most that the command and each of its workers hold; by the order of their starts."""
    most: dict[int, float] = defaultdict(float)
    while command.poll() is None:
        with suppress(OSError):  # one that has just gone
            workers = children(command.pid)
            for process in [command.pid, *workers] if workers else []:
                most[process] = max(most[process], held_mb(process))
        time.sleep(EVERY_S)
    return tuple(most[process] for process in sorted(most))


def costs(stand: Stand, requests: int, run: Path) -> Cost:
    words = f"--vip {SERVER_IP} -X GET -n {requests} -c 50 --engine sockets -o {run}".split()
    argv = stand.argv(str(BIN / "loadgen"), "burst", *words)
    with subprocess.Popen(argv, cwd=REPOSITORY, stdout=subprocess.DEVNULL) as command:
        sending_mb = while_sending(command)
    assert command.returncode == 0
    report_s, reported_mb = report(run)
    summary = json.loads((run / ANALYSIS).read_text())["requests"]
    assert (summary["sent"], summary["succeeded"]) == (requests, requests)
    size_mb = sum(file.stat().st_size for file in run.rglob("*") if file.is_file()) / 1e6
    return Cost(requests, sending_mb, summary["rate_per_s"], size_mb, report_s, reported_mb)


def report(run: Path) -> tuple[float, float]:
    """How long the report takes from the recording alone, and the most it holds."""
    (run / ANALYSIS).unlink()
    began, most_mb = time.monotonic(), 0.0
    argv = [str(BIN / "analyzer"), "report", str(run)]
    with subprocess.Popen(argv, cwd=REPOSITORY, stdout=subprocess.DEVNULL) as command:
        while command.poll() is None:
            with suppress(OSError):
                most_mb = max(most_mb, held_mb(command.pid))
            time.sleep(EVERY_S)
    assert command.returncode == 0
    return time.monotonic() - began, most_mb


def test_ten_times_as_many_rows_take_no_more_memory_to_record(
    stand: Stand, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few, many = (costs(stand, requests, tmp_path / str(requests)) for requests in (FEW, MANY))
    with capsys.disabled():
        for each in (few, many):
            held = ", ".join(f"{megabytes:,.0f}" for megabytes in each.sending_mb)
            print(
                f"\n{each.requests:,} requests at {each.sent_per_s:,.0f}/s, {each.run_mb:,.0f} MB "
                f"on the disk; recorder and worker held {held} MB;\nthe report took "
                f"{each.report_s:.1f} s and held {each.reported_mb:,.0f} MB"
            )
    assert len(few.sending_mb) == len(many.sending_mb) == 2
    for before, after in zip(few.sending_mb, many.sending_mb, strict=True):
        assert after - before <= GROWTH_MB
